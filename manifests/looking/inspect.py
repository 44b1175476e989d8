"""What a run did, in numbers: one row a stage. It reads manifests and receipts, no documents."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.find import find_stages
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.manifests.stage_folder import StageFolder

# A source of a blend ends before the document that its quota does not cover.
DOCUMENTS_SHORT = 4  # mean documents of each source that may be missing
SHARE_SHORT = 0.02
OF_IMAGES = ("render", "images")  # stages whose rows are images
FEW_ROWS = 8  # of a prompt; with fewer rows, what is dropped tells little


@dataclass(frozen=True)
class StageRow:
    """One line of the funnel.

    step: the stage's name in the run, if it differs from `stage`. excluded, failures: reason ->
    rows. edited, cut_bytes: kept rows of which text was cut, and how much. seconds: worker time,
    summed over shards. quarantined: shard -> error. missing_tokens: what a blend gave less than it
    was asked for, because its sources hold no more. warnings: about prompts whose rows are alike.
    """

    folder: str
    stage: str
    step: str
    rows_in: int
    kept: int
    excluded: dict[str, int]
    failed: int
    failures: dict[str, int]
    text_bytes: int
    tokens: int
    seconds: float
    quarantined: dict[str, str]
    unused: dict[str, int]
    repeats: int
    edited: int
    cut_bytes: int
    missing_tokens: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The row's name in the output, e.g. `dedup`, or `exact (dedup)`."""
        return f"{self.step} ({self.stage})" if self.step else self.stage

    def as_json(self) -> dict[str, object]:
        """The keys that every row has, and eight more if they are not empty."""
        return {
            "stage": self.stage,
            "in": self.rows_in,
            "kept": self.kept,
            "excluded": self.excluded,
            "failed": self.failed,
            "bytes": self.text_bytes,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            **{
                key: value
                for key in (
                    *("step", "failures", "quarantined", "unused", "repeats"),
                    *("edited", "cut_bytes", "warnings"),
                )
                if (value := getattr(self, key))
            },
        }


@dataclass
class Unfinished:
    """A folder that a stage began, without a manifest.

    done: pass -> number of finished shards. quarantined: shard -> error. damaged: number of
    receipts that cannot be read.
    """

    folder: str
    done: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    damaged: int = 0


@dataclass(frozen=True)
class Funnel:
    """All stages at a root.

    rows: of the finished stages, parents first. unfinished: interrupted stages. damaged: what
    cannot be read, and what to do. outdated: stage folder -> its inputs that have changed since.
    """

    rows: list[StageRow]
    unfinished: list[Unfinished]
    damaged: list[str]
    outdated: dict[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "stages": [row.as_json() for row in self.rows],
            "unfinished": [vars(item) for item in self.unfinished],
            "damaged": self.damaged,
            **({"outdated": self.outdated} if self.outdated else {}),
        }


def funnel(root: str) -> Funnel:
    """The stages at `root`: a run's output or one stage's folder.

    Raises InputError if there is none.
    """
    found = find_stages(root)
    rows = [
        row
        for manifest in found.manifests
        for row in stage_rows(manifest, below=manifest.folder != root.rstrip("/"))
    ]
    unfinished = list(map(_unfinished, found.unfinished))
    return Funnel(rows, unfinished, list(map(str, found.damaged)), _outdated(found.manifests))


def _outdated(manifests: list[Manifest]) -> dict[str, list[str]]:
    """Stage folder -> its parents that have another digest now or are outdated.

    Parents may be in other runs. Raw files are not read again: `verify` does that.
    """
    today = {storage.absolute(manifest.folder): manifest.digest for manifest in manifests}
    found: dict[str, list[str]] = {}
    for manifest in manifests:
        for parent in manifest.parents:
            if parent.path not in today:
                today[parent.path] = _digest_now(parent.path) or parent.digest
    for manifest in manifests:  # parents come first
        changed = [
            parent.path
            for parent in manifest.parents
            if today.get(parent.path, parent.digest) != parent.digest or parent.path in found
        ]
        if changed:
            found[storage.absolute(manifest.folder)] = changed
    return found


def _digest_now(path: str) -> str | None:
    """The digest of the stage's manifest at `path`; None if there is none that can be read."""
    there = StageFolder(path)
    try:
        return there.manifest.digest if there.has_manifest else None
    except CorpusmillError:
        return None  # `verify` reports it


def inspect(root: str | os.PathLike[str]) -> list[StageRow]:
    """The rows of `funnel(root)`."""
    return funnel(os.fspath(root)).rows


def stage_rows(manifest: Manifest, below: bool = False) -> list[StageRow]:
    """One row for each account in the manifest.

    below: other stages lie beside the folder, so its name is the step's name.
    """
    outputs = sum(output.size for output in manifest.outputs)
    spent = sum(manifest.timing.values())
    measured = sum(counts.seconds for counts in manifest.totals)
    rows = []
    for counts in manifest.totals:
        last = counts is manifest.totals[-1]
        documents = manifest.documents() if last else []
        rows.append(
            StageRow(
                folder=manifest.folder,
                stage=counts.stage,
                step=_step(manifest, counts, below),
                rows_in=counts.rows_in,
                kept=counts.kept,
                excluded=_most_first(counts.excluded),
                unused=_most_first(counts.unused),
                repeats=counts.repeats,
                edited=counts.edited,
                cut_bytes=counts.cut_bytes,
                failed=counts.failed,
                failures=_most_first(counts.failures),
                # Of images the text is the least part: their files count.
                text_bytes=(counts.stage in OF_IMAGES and sum(output.size for output in documents))
                or counts.text_bytes
                or sum(output.text_bytes for output in documents)
                or (outputs if last else 0),
                tokens=counts.tokens or sum(output.tokens for output in documents),
                missing_tokens=_missing_tokens(manifest, counts),
                seconds=counts.seconds if len(manifest.totals) > 1 and measured else spent,
                quarantined={item["shard"]: item["error"] for item in manifest.quarantined}
                if last
                else {},
                warnings=(*_collapsed(manifest), *_few_kept(manifest)) if last else (),
            )
        )
    return rows


def _collapsed(manifest: Manifest) -> Iterator[str]:
    """What synthesize says about prompts whose rows are too much alike."""
    for prompt, measured in manifest.measures.get("diversity", {}).items():
        for text in measured["warnings"]:
            yield f"prompt {prompt} may have collapsed: {text}"


def _few_kept(manifest: Manifest) -> Iterator[str]:
    """Prompts of whose rows most were dropped."""
    prompts = manifest.measures.get("usage", {}).get("prompts", {})
    for prompt, found in prompts.items():
        rows, kept = found["rows"], found["kept"]
        if rows >= FEW_ROWS and kept < rows / 2:
            yield f"prompt {prompt} kept {kept} of {rows} rows; excluded/ says why"


def _step(manifest: Manifest, counts: Counts, below: bool) -> str:
    """The name of the account's step. Empty if it is the name of the account."""
    if len(manifest.stages) > 1 or counts.stage != manifest.verbs[-1].replace("-", "_"):
        return ""
    step = manifest.folder.rstrip("/").rsplit("/", 1)[-1] if below else manifest.stages[-1]
    return "" if step.replace("-", "_") == counts.stage else step


def _missing_tokens(manifest: Manifest, counts: Counts) -> int:
    """What a blend gave less than its settings ask for, if that is more than drawing whole
    documents explains.
    """
    settings = manifest.config.get("blend")
    if counts.stage != "blend" or not isinstance(settings, Mapping) or not settings.get("tokens"):
        return 0
    missing: int = settings["tokens"] - counts.tokens
    drawn = DOCUMENTS_SHORT * len(settings["sources"]) * counts.tokens / max(1, counts.kept)
    return missing if missing > max(SHARE_SHORT * settings["tokens"], drawn) else 0


def _most_first(reasons: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _unfinished(folder: str) -> Unfinished:
    found = Unfinished(folder)
    for receipt in StageFolder(folder).receipts:
        if not isinstance(receipt, Receipt):
            found.damaged += 1
        elif receipt.status == "done":
            found.done[receipt.pass_name] = found.done.get(receipt.pass_name, 0) + 1
        else:
            found.quarantined[receipt.shard] = receipt.error.split("\n", 1)[0]
    return found
