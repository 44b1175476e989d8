"""Check that a run is what its manifests say: every byte, every count, every parent.

For each stage folder: it has a manifest; outputs hash to their digests; receipts and manifest agree; in = kept + excluded + failed; the
rows on disk are as many as the counts say; no id appears twice; nothing lies in `documents/` that no receipt knows; parents
still have the digest that was read. Whatever does not hold is a problem in the list, and the check goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.looking.find import find_stages, is_stage
from corpusmill.manifests.manifest import (
    MANIFEST,
    Manifest,
    Parent,
    claimed_digest,
    has_manifest,
    read_manifest,
)
from corpusmill.manifests.receipt import Receipt, scan_receipts
from corpusmill.manifests.shard import read_parquet, schema_of
from corpusmill.manifests.storage import Artifact

IDS_HELD = 2_000_000  # of documents that are compared over all shards of a stage
_UNIQUE = "give the files that they come from ids of their own (another `id_column`, or `source` of the reader) and make the stage again"

# These stages look at every document of their one parent exactly once; the others count in units of their own.
ONE_TO_ONE = ("filter", "dedup", "classify")


@dataclass(frozen=True)
class Verdict:
    """files: how many were checked. problems: what does not hold; none means that the run does. quarantined: shards that failed and are
    missing, as the manifests themselves say."""

    files: int
    problems: list[str]
    quarantined: list[str]


def verify(root: str) -> Verdict:
    """Check all that lies at `root`, a run's output or one stage's folder. Raises InputError if that is nothing."""
    found = find_stages(root)
    problems = list(map(str, found.damaged))
    problems += [
        f"{' reads '.join([*cycle, cycle[0]])}: the manifests go round in a circle; run these stages again"
        for cycle in found.cycles
    ]
    checked = 0
    for folder in found.unfinished:
        problems.append(
            f"{folder} was begun but has no {MANIFEST}; run the stage that writes it again"
        )
        known = _check_receipts(folder, problems)
        checked += len(known)
    for manifest in found.manifests:
        known = _check_receipts(manifest.folder, problems)
        checked += len(known)
        problems += _check_manifest(manifest.folder, manifest, known)
        problems += _check_parents(manifest.folder, manifest)
    quarantined = [
        f"shard {item['shard']} of {manifest.stages[-1]} ({manifest.folder}) is quarantined: {item['error']}"
        for manifest in found.manifests
        for item in manifest.quarantined
    ]
    return Verdict(checked, problems, quarantined)


def _check_receipts(folder: str, problems: list[str]) -> dict[str, Artifact]:
    """The outputs that the folder's receipts vouch for, by absolute path; what does not hold is added to `problems`."""
    known: dict[str, Artifact] = {}
    for _, receipt in scan_receipts(folder):
        if not isinstance(receipt, Receipt):
            problems.append(str(receipt))
            continue
        for output in receipt.outputs:
            known[storage.absolute(output.path)] = output
            problems += _check_file(output)
        problems += [
            f"{folder}: shard {receipt.shard} of {counts.stage} lost rows (in {counts.rows_in}, out otherwise)"
            for counts in receipt.counts
            if not counts.conserved
        ]
    return known


def _check_file(artifact: Artifact) -> Iterator[str]:
    try:
        if not storage.exists(artifact.path):
            yield f"{artifact.path} is missing; run the same command again"
        elif not storage.matches(artifact):
            yield f"{artifact.path} has changed since it was written; run the same command again to restore it"
    except InputError as error:
        yield str(error)


def _check_manifest(folder: str, manifest: Manifest, known: dict[str, Artifact]) -> Iterator[str]:
    if not manifest.conserved:
        yield f"{folder}: the manifest says that rows were lost"
    if claimed_digest(folder) != manifest.digest:
        yield f"{folder}: the manifest is not what it was when it was written"
    for output in manifest.outputs:
        receipted = known.get(storage.absolute(output.path))
        if receipted is None:
            yield f"{output.path} is in the manifest but no receipt vouches for it"
        elif (receipted.digest, receipted.rows) != (output.digest, output.rows):
            yield f"{output.path} was made anew since the manifest was written; run {manifest.stages[-1]} to its end"
    for below in ("documents", "excluded"):
        place = storage.join(folder, below)
        if storage.exists(place):
            for path in storage.list_files(place):
                if storage.absolute(path) not in known:
                    yield f"{path} belongs to no shard; move it elsewhere, or remove it"
    shards = [output for output in manifest.documents() if output.path.endswith(".parquet")]
    if manifest.totals and shards:
        rows = sum(output.rows for output in shards)
        if rows != manifest.totals[-1].kept:
            yield f"{folder}: {manifest.totals[-1].kept} rows were kept but documents/ holds {rows}"
    dropped = manifest.documents("excluded")
    if manifest.totals and dropped:
        rows = sum(output.rows for output in dropped)
        counted = sum(sum(counts.excluded.values()) + counts.failed for counts in manifest.totals)
        if rows != counted:
            yield f"{folder}: {counted} rows were excluded but excluded/ holds {rows}"
    yield from _check_ids(shards)


def _check_ids(shards: list[Artifact]) -> Iterator[str]:
    """Every document of a shard has an id that no other one has; over all shards, so have as many documents as memory allows to look at:
    those whose ids begin alike. (Not the copies that blend takes on purpose.)"""
    rows, alike = sum(shard.rows for shard in shards), ""
    while rows > IDS_HELD << 4 * len(alike):
        alike += "0"
    elsewhere: dict[tuple[object, ...], str] = {}
    for shard in shards:
        found: set[tuple[object, ...]] = set()
        yield from _check_shards_ids(shard, alike, found)
        shared = next((key for key in sorted(found, key=str) if key in elsewhere), None)
        if shared:
            yield f"{elsewhere[shared]} and {shard.path} both hold document {shared[0]}; {_UNIQUE}"
            return
        elsewhere.update(dict.fromkeys(found, shard.path))


def _check_shards_ids(
    artifact: Artifact, alike: str, found: set[tuple[object, ...]]
) -> Iterator[str]:
    """found: takes up the keys of the documents whose ids begin with `alike`."""
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
                yield f"{artifact.path} has a document without an id; make it again with the reader's `id_column`"
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


def _check_parents(folder: str, manifest: Manifest) -> Iterator[str]:
    for parent in manifest.parents:
        yield from _check_parent(folder, parent)
    if manifest.totals and manifest.verbs[0] in ONE_TO_ONE:
        try:
            before = [
                read_manifest(parent.path)
                for parent in manifest.parents
                if has_manifest(parent.path)
            ]
        except InputError:
            return  # said already
        if len(before) < len(manifest.parents):
            return  # raw files beside stages: how many documents they hold is not written down
        rows = sum(output.rows for stage in before for output in stage.documents())
        lost = sum(1 for _ in manifest.quarantined)
        if before and not lost and rows != manifest.totals[0].rows_in:
            yield f"{folder}: read {manifest.totals[0].rows_in} documents where its input holds {rows}"


def _check_parent(folder: str, parent: Parent) -> Iterator[str]:
    try:
        if has_manifest(parent.path):
            if read_manifest(parent.path).digest != parent.digest:
                yield f"{folder}: its input {parent.path} was made anew since; run this stage again"
        elif is_stage(parent.path):
            yield f"{folder}: its input {parent.path} has no {MANIFEST}; run the stage that writes it again"
        elif not storage.exists(parent.path):
            yield f"{folder}: its input {parent.path} is gone (lineage cannot be followed below it)"
        elif not storage.is_remote(parent.path) and storage.digest_of(parent.path) != parent.digest:
            yield f"{folder}: its input {parent.path} has changed since it was read"
    except InputError as error:
        yield f"{folder}: its input cannot be read ({error})"
