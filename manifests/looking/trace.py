"""Where a document came from: every stage that saw it, back to the file and offset of its record.

It looks up the document's id or URL in each stage's shards, kept and excluded, by a scan of that
column. It follows a synthetic document to its parent, or to both parents.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.find import find_stages, finished_stages, stages_before
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Receipt
from corpusmill.manifests.schema import LINKED_PARENT
from corpusmill.manifests.stage_folder import StageFolder

PARENTS = ("parent", LINKED_PARENT.name)  # of a synthetic document


@dataclass
class Sighting:
    """One stage's row of the document.

    step: the name of the stage's folder, if it differs from the stage's. outcome: `kept`, or the
    reason of exclusion.
    """

    stage: str
    step: str
    file: str
    outcome: str
    row: dict[str, Any]

    @property
    def name(self) -> str:
        """The stage's name in the output, e.g. `dedup`, or `exact (dedup)`."""
        return f"{self.step} ({self.stage})" if self.step else self.stage


@dataclass
class Trace:
    """A document's way through the stages.

    parent: of a synthetic document. linked_parent: the second one, if it was made from two.
    unread: what could not be read, and what to do. stages: those that were searched.
    """

    id: str
    sightings: list[Sighting] = field(default_factory=list)
    parent: "Trace | None" = None
    linked_parent: "Trace | None" = None
    unread: list[str] = field(default_factory=list)
    stages: list[Manifest] = field(default_factory=list, repr=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "sightings": [vars(sighting) for sighting in self.sightings],
            "parent": self.parent.as_json() if self.parent else None,
            **({"linked_parent": self.linked_parent.as_json()} if self.linked_parent else {}),
            **({"unread": self.unread} if self.unread else {}),
        }


def trace(root: str | os.PathLike[str], document: str) -> Trace:
    """Follow a document.

    document: its id, the beginning of its id (at least 6 characters), or its URL. If no stage at
    `root` has it, those that they were made from are searched. Raises InputError if no document
    matches, or several do.
    """
    root = os.fspath(root)
    if len(document) < 6:
        raise InputError(
            f"{document!r} is too short for an id", "give at least its first 6 characters"
        )
    stages = find_stages(root)
    found = Trace(document, stages=stages.manifests)
    found.unread += [
        *map(str, stages.damaged),
        *(f"{folder} is not finished" for folder in stages.unfinished),
    ]
    for manifest in stages.manifests:
        found.sightings += _sightings(manifest, document, found.unread)
    if not found.sightings:  # as of `ablate`: what it read has the documents
        before = stages_before(stages.manifests)
        found.stages = [*before, *stages.manifests]
        for manifest in before:
            found.sightings += _sightings(manifest, document, found.unread)
    ids = {sighting.row["id"] for sighting in found.sightings}
    if not ids:
        unread = (
            f" ({len(found.unread)} places could not be read: {found.unread[0]})"
            if found.unread
            else ""
        )
        raise InputError(
            f"no document {document} below {root}{unread}",
            "give a value of the `id` or `url` column of the shards",
        )
    if len(ids) > 1:
        some = ", ".join(sorted(ids)[:3])
        raise InputError(f"{len(ids)} documents match {document}", f"give one id: {some}, ...")
    found.id = ids.pop()
    found.parent = _parent(found, root, "lineage")
    found.linked_parent = _parent(found, root, LINKED_PARENT.name)
    return found


def _parent(found: Trace, root: str, column: str) -> Trace | None:
    """The trace of the parent that a column names; None if there is none."""
    named = (sighting.row.get(column) or {} for sighting in found.sightings)
    parent = next((one["parent"] for one in named if one.get("parent")), None)
    if parent is not None:
        with contextlib.suppress(InputError):  # the parent's stage does not lie below this root
            return trace(root, parent)
    return None


def origin_of(found: Trace) -> dict[str, Any]:
    """File and place of the record that a document was made from, as in `schema.ORIGIN`. Of a
    synthetic document: of its parent's. `reader`: the settings of the reader that read the file, if
    the stage can be found. Raises InputError if no stage names the record.
    """
    for sighting in found.sightings:
        origin = sighting.row.get("origin")
        if origin and origin.get("file"):
            return {**origin, "reader": _reader_of(origin["file"], found.stages)}
    if found.parent:
        return origin_of(found.parent)
    raise InputError(
        f"no stage names the record of document {found.id}",
        "trace it in the folder of the run that extracted it",
    )


def _reader_of(file: str, stages: Iterable[Manifest]) -> dict[str, Any] | None:
    """The settings of the reader by which one of the stages, or a stage that they read, read a raw
    file.
    """
    waiting, seen = list(stages), set[str]()
    for manifest in waiting:
        paths = {parent.path for parent in manifest.parents}
        if file in paths:
            readers = (settings.get("reader") for settings in manifest.config.values())
            return next(filter(None, readers), None)
        for folder in map(StageFolder, sorted(paths - seen)):
            if folder.has_manifest:
                waiting.append(folder.manifest)
        seen |= paths
    return None


def sources(root: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Where documents came from.

    id -> `origin` (file and place in it), `url`, `source`, `kind`, and the `PARENTS` of a synthetic
    document. Each shard's narrow columns are scanned once, the first stage first, until all ids are
    found. Unknown ids are left out.
    """
    wanted = set(ids)
    found: dict[str, dict[str, Any]] = {}
    for manifest in finished_stages(root):
        for output in manifest.documents():
            missing = wanted - found.keys()
            if not missing:
                return found
            names = schema_of(output).names if output.path.endswith(".parquet") else []
            if not {"id", "origin"} <= set(names):
                continue
            wanted_columns = ["id", "url", "source", "origin", "kind", "lineage"]
            if LINKED_PARENT.name in names:
                wanted_columns.append(LINKED_PARENT.name)
            for table in read_parquet(output, wanted_columns):
                chosen = table.filter(
                    pc.is_in(table["id"], value_set=pa.array(sorted(missing), table["id"].type))
                )
                for row in chosen.to_pylist():
                    made_from = (row.pop("lineage"), row.pop(LINKED_PARENT.name, None))
                    parents = {
                        kind: one["parent"]
                        for kind, one in zip(PARENTS, made_from, strict=True)
                        if one and one["parent"]
                    }
                    found[row.pop("id")] = {
                        name: value for name, value in row.items() if value is not None
                    } | parents
    return found


def _sightings(manifest: Manifest, document: str, unread: list[str]) -> Iterator[Sighting]:
    """The document's rows in a stage's shards. Files that cannot be read are added to `unread`."""
    for receipt in StageFolder(manifest.folder).receipts:
        if not isinstance(receipt, Receipt):
            unread.append(str(receipt))
            continue
        try:
            yield from _in_shard(manifest, receipt, document)
        except InputError as error:
            unread.append(str(error))


def _in_shard(manifest: Manifest, receipt: Receipt, document: str) -> Iterator[Sighting]:
    folder, stage = manifest.folder, manifest.stages[-1]
    column, matches = ("url", pc.equal) if "://" in document else ("id", pc.starts_with)
    for output in receipt.outputs:
        inner = output.path.removeprefix(folder).lstrip("/")
        if not inner.startswith(("documents/", "excluded/")) or not inner.endswith(".parquet"):
            continue
        if not {"id", column} <= set(schema_of(output).names):
            continue
        for number, values in enumerate(read_parquet(output, [column])):
            if not pc.any(matches(values[column], document)).as_py():
                continue
            table = next(
                group for index, group in enumerate(read_parquet(output)) if index == number
            )
            for row in table.filter(matches(table[column], document)).to_pylist():
                kept = inner.startswith("documents/")
                yield Sighting(
                    stage=stage if kept else row.get("stage") or stage,
                    step=""
                    if storage.name_of(folder) in manifest.stages
                    else storage.name_of(folder),
                    file=output.path,
                    outcome="kept" if kept else str(row.get("reason")),
                    row={name: value for name, value in row.items() if value is not None},
                )
