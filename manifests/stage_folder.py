"""A stage's folder on disk: its manifest, its started file and its receipts.

Each part is read once, when it is first used. Make a new `StageFolder` if the folder may have
changed.
"""

from collections.abc import Iterator
from functools import cached_property

from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.manifest import MANIFEST, STARTED, Manifest, OtherVersion, read_manifest
from corpusmill.manifests.receipt import Receipt, scan_receipts


class StageFolder:
    """A stage's folder. path: of the folder, which need not exist."""

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
        """As `is_stage`, but a manifest.json alone counts only if corpusmill wrote it."""
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
        """The folder's manifest. Raises as `read_manifest` does."""
        return read_manifest(self.path)

    @cached_property
    def started(self) -> Manifest | None:
        """The plan of an unfinished stage, or None. Raises as `manifest` does."""
        return read_manifest(self.path, STARTED) if self.has_started else None

    def claimed(self, replace: bool) -> Manifest | None:
        """The manifest, else the started file. A damaged one counts as missing.

        Raises OtherVersion if another version of corpusmill wrote it, unless `replace`.
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
        """Each receipt, or the error if it cannot be read. Sorted by path."""
        return [receipt for _, receipt in scan_receipts(self.path)]

    @cached_property
    def has_finished_work(self) -> bool:
        """Whether there is a manifest or a finished shard."""
        return self.has_manifest or any(
            isinstance(receipt, Receipt) and receipt.status == "done"
            for _, receipt in scan_receipts(self.path)
        )


def stage_folders(root: str) -> Iterator[StageFolder]:
    """The stage folders directly below `root`, sorted by name."""
    return (folder for folder in map(StageFolder, _names_in(root)) if folder.is_stage)


def _names_in(root: str) -> list[str]:
    """The paths of files and folders directly in `root`. Empty if there is no such folder."""
    return sorted(storage.join(root, name) for name in finding.names_in(root))
