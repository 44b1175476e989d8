"""A stage's folder as it lies on disk: its manifest, what it was begun for, and its receipts.

Each part is read at most once, when it is first asked for. So a `StageFolder` says what was there at
that moment: take a new one after something may have changed.
"""

from collections.abc import Iterator
from functools import cached_property

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.manifest import MANIFEST, STARTED, Manifest, OtherVersion, read_manifest
from corpusmill.manifests.receipt import Receipt, scan_receipts


class StageFolder:
    """path: of the folder. Nothing need be there."""

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/")

    @cached_property
    def has_manifest(self) -> bool:
        return storage.exists(storage.join(self.path, MANIFEST))

    @cached_property
    def has_started(self) -> bool:
        return storage.exists(storage.join(self.path, STARTED))

    @cached_property
    def has_receipts(self) -> bool:
        return storage.exists(storage.join(self.path, "receipts"))

    @property
    def is_stage(self) -> bool:
        """Whether a stage writes or has written there."""
        return self.has_manifest or self.has_started or self.has_receipts

    @cached_property
    def is_ours(self) -> bool:
        """The same, but a manifest.json alone counts only if corpusmill wrote it."""
        if not self.has_manifest or self.has_receipts:
            return self.is_stage
        try:
            return bool(self.manifest)
        except OtherVersion:
            return True
        except InputError:
            return False

    @cached_property
    def manifest(self) -> Manifest:
        """Raises InputError if there is none or it is damaged, OtherVersion if its form is."""
        return read_manifest(self.path)

    @cached_property
    def started(self) -> Manifest | None:
        """What the folder was begun for, while that is not finished. Raises as `manifest` does."""
        return read_manifest(self.path, STARTED) if self.has_started else None

    def claimed(self, replace: bool) -> Manifest | None:
        """The manifest, or else what the folder was begun for. A damaged one counts as none.

        Raises OtherVersion where another version of corpusmill wrote it, unless `replace`.
        """
        for part in ("manifest", "started"):
            try:
                if getattr(self, f"has_{part}"):
                    return getattr(self, part)
            except OtherVersion:
                if not replace:
                    raise
            except InputError:
                continue
        return None

    @cached_property
    def receipts(self) -> list[Receipt | CorpusmillError]:
        """Every receipt in order, or why it cannot be read."""
        return [receipt for _, receipt in scan_receipts(self.path)]

    @cached_property
    def has_finished_work(self) -> bool:
        """Whether there is a manifest, or a shard that is done."""
        return self.has_manifest or any(
            isinstance(receipt, Receipt) and receipt.status == "done"
            for _, receipt in scan_receipts(self.path)
        )


def stage_folders(root: str) -> Iterator[StageFolder]:
    """The stage folders directly below `root`, by name."""
    return (folder for folder in map(StageFolder, _names_in(root)) if folder.is_stage)


def _names_in(root: str) -> list[str]:
    """The paths directly in `root`, files too. Empty if there is no such folder."""
    return sorted(storage.join(root, name) for name in storage.names_in(root))
