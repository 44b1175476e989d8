"""Check a run against its manifests: every byte, every count, every parent.

For each stage folder it checks:
- The folder has a manifest.
- Outputs have their digests. Parquet footers have the rows of the receipts.
- Receipts and manifest agree.
- The accounts balance (`looking.accounts`).
- No id appears twice.
- `documents/` and `excluded/` hold no other files.
- Parents still have the digest that the stage read.

A failed check becomes a problem in the list. The other checks go on.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.compute as pc
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.looking.accounts import check_accounts, check_footer
from corpusmill.manifests.looking.find import find_stages
from corpusmill.manifests.manifest import (
    MANIFEST,
    Manifest,
    Parent,
    claimed_digest,
)
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Receipt, scan_receipts
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact

IDS_HELD = 2_000_000  # so many ids are compared over all shards of a stage
_UNIQUE = (
    "give their input files different ids (the reader's `id_column` or `source`) "
    "and run the stage again"
)


@dataclass(frozen=True)
class Verdict:
    """The result of `verify`.

    files: how many were checked. problems: failed checks; empty if all is well. quarantined: shards
    that failed and so are missing. The manifests name them. remarks: what is valid, but may
    surprise.
    """

    files: int
    problems: list[str]
    quarantined: list[str]
    remarks: list[str] = field(default_factory=list)


def verify(root: str | os.PathLike[str]) -> Verdict:
    """Check `root`: a run's output or one stage's folder.

    Raises InputError if `root` holds no stage.
    """
    root = os.fspath(root)
    found = find_stages(root)
    problems = list(map(str, found.damaged))
    problems += [
        f"{' reads '.join([*cycle, cycle[0]])}: these manifests form a circle; "
        "run these stages again"
        for cycle in found.cycles
    ]
    remarks: list[str] = []
    checked = 0
    for folder in found.unfinished:
        problems.append(
            f"{folder} is not finished (it has no {MANIFEST}); run the same command again to go on"
        )
        checked += len(_outputs(_check_receipts(folder, problems)))
    for manifest in found.manifests:
        receipts = _check_receipts(manifest.folder, problems)
        known = _outputs(receipts)
        checked += len(known)
        lost = _without_receipt(manifest, known)
        # Without its receipts the sums of a stage cannot be right.
        problems += lost or check_accounts(manifest, receipts)
        problems += _check_manifest(manifest.folder, manifest, known, remarks)
        for parent in manifest.parents:
            problems += _check_parent(manifest.folder, parent)
    quarantined = [
        f"shard {item['shard']} of {manifest.stages[-1]} ({manifest.folder}) is quarantined: "
        f"{item['error']}"
        for manifest in found.manifests
        for item in manifest.quarantined
    ]
    return Verdict(checked, problems, quarantined, remarks)


def _check_receipts(folder: str, problems: list[str]) -> list[Receipt]:
    """The folder's receipts. Problems of receipts and of their files are added to `problems`."""
    found: list[Receipt] = []
    for _, receipt in scan_receipts(folder):
        if not isinstance(receipt, Receipt):
            problems.append(str(receipt))
            continue
        found.append(receipt)
        for output in receipt.outputs:
            problems += _check_file(output) or check_footer(output)
        problems += [
            f"{folder}: the account of {counts.stage} in shard {receipt.shard} does not balance: "
            f"{counts.text()}; run the stage again"
            for counts in receipt.counts
            if not counts.conserved
        ]
    return found


def _outputs(receipts: list[Receipt]) -> dict[str, Artifact]:
    """Absolute path -> output file, for all receipts."""
    return {
        storage.absolute(output.path): output for receipt in receipts for output in receipt.outputs
    }


def _without_receipt(manifest: Manifest, known: dict[str, Artifact]) -> list[str]:
    """A problem if the manifest lists files that no receipt has. A run would make them again."""
    lost = [out.path for out in manifest.outputs if storage.absolute(out.path) not in known]
    if not lost:
        return []
    files = "1 file" if len(lost) == 1 else f"{len(lost):,} files"
    return [
        f"{manifest.folder}: the receipt of {files} is missing or damaged, e.g. of {min(lost)}; "
        "run the same command again, it makes these shards anew and leaves the others"
    ]


def _check_file(artifact: Artifact) -> list[str]:
    try:
        if not storage.exists(artifact.path):
            return [f"{artifact.path} is missing; run the same command again"]
        if not storage.matches(artifact):
            return [
                f"{artifact.path} has changed since it was written; "
                "run the same command again to restore it"
            ]
    except InputError as error:
        return [str(error)]
    return []


def _check_manifest(
    folder: str, manifest: Manifest, known: dict[str, Artifact], remarks: list[str]
) -> Iterator[str]:
    if claimed_digest(folder) != manifest.digest:
        yield f"{folder}: the manifest was changed after it was written; run the stage again"
    for output in manifest.outputs:
        receipted = known.get(storage.absolute(output.path))
        if receipted is None:
            continue  # `_without_receipt` reports it
        if (receipted.digest, receipted.rows) != (output.digest, output.rows):
            yield (
                f"{output.path} is newer than the manifest; "
                f"run {manifest.stages[-1]} again to finish it"
            )
    expected = known.keys() | {storage.absolute(output.path) for output in manifest.outputs}
    for below in ("documents", "excluded"):
        place = storage.join(folder, below)
        if storage.exists(place):
            for path in finding.files_below(place):
                if storage.absolute(path) not in expected:
                    yield f"{path} belongs to no shard; move it elsewhere or remove it"
    shards = [output for output in manifest.documents() if output.path.endswith(".parquet")]
    yield from _check_ids(shards, remarks)


def _check_ids(shards: list[Artifact], remarks: list[str]) -> Iterator[str]:
    """Check that no two documents have one id.

    Within a shard, all documents are compared. Over all shards, memory holds about `IDS_HELD` ids:
    those that begin with the same digits. Copies that blend makes on purpose are no problem. Two
    input files may hold the same document (`a.warc` and `a.warc.gz`). Two shards then have its id.
    That is a remark, no problem.
    """
    rows, alike = sum(shard.rows for shard in shards), ""
    while rows > IDS_HELD << 4 * len(alike):
        alike += "0"
    elsewhere: dict[tuple[object, ...], str] = {}
    for shard in shards:
        found: set[tuple[object, ...]] = set()
        yield from _check_shards_ids(shard, alike, found)
        shared: dict[str, set[str]] = {}
        for key in found:
            if key in elsewhere:
                shared.setdefault(elsewhere[key], set()).add(str(key[0]))
        for other, ids in sorted(shared.items()):
            example = min(ids)
            texts = [_texts(path, ids) for path in (other, shard.path)]
            if texts[0] != texts[1]:
                yield f"{other} and {shard.path} both hold document {example}; {_UNIQUE}"
                return
            remarks.append(
                f"{other} and {shard.path} hold {len(ids):,} documents twice, e.g. {example}: "
                "their inputs are copies; leave one out or let dedup remove them"
            )
        elsewhere.update(dict.fromkeys(found, shard.path))


def _texts(path: str, ids: set[str]) -> dict[str, str]:
    """id -> digest of the text, for these documents of a shard."""
    found: dict[str, str] = {}
    for table in read_parquet(path, ["id", "text"]):
        for identity, text in zip(
            *(table[name].to_pylist() for name in ("id", "text")), strict=True
        ):
            if identity in ids:
                found[identity] = hashlib.sha256((text or "").encode()).hexdigest()
    return found


def _check_shards_ids(
    artifact: Artifact, alike: str, found: set[tuple[object, ...]]
) -> Iterator[str]:
    """Check one shard's ids. The keys of documents whose ids begin with `alike` go to `found`."""
    if not storage.exists(artifact.path):
        return
    try:
        names = schema_of(artifact).names
        keys = [name for name in ("id", "epoch", "part") if name in names]
        if keys[:1] != ["id"]:
            return
        seen: set[tuple[object, ...]] = set()
        for table in read_parquet(artifact, keys):
            if table["id"].null_count or pc.any(pc.equal(table["id"], "")).as_py():
                yield (
                    f"{artifact.path} has a document without an id; "
                    "set the reader's `id_column` and run the stage again"
                )
                return
            for key in zip(*(table[name].to_pylist() for name in keys), strict=True):
                if key in seen:
                    yield f"{artifact.path} holds document {key[0]} twice; {_UNIQUE}"
                    return
                seen.add(key)
                if keys == ["id"] and str(key[0]).startswith(alike):
                    found.add(key)
    except CorpusmillError as error:
        yield str(error)


def _check_parent(folder: str, parent: Parent) -> Iterator[str]:
    there = StageFolder(parent.path)
    try:
        if there.has_manifest:
            if there.manifest.digest != parent.digest:
                yield f"{folder}: its input {parent.path} has changed since; run this stage again"
        elif there.is_stage:
            yield (
                f"{folder}: its input {parent.path} has no {MANIFEST}; "
                "run the stage that writes it again"
            )
        elif not storage.exists(parent.path):
            yield (
                f"{folder}: its input {parent.path} is gone, so `trace` cannot follow documents "
                "to it; put it back"
            )
        elif not storage.is_remote(parent.path) and storage.digest_of(parent.path) != parent.digest:
            yield f"{folder}: its input {parent.path} has changed since; run this stage again"
    except InputError as error:
        yield f"{folder}: its input cannot be read ({error})"
