"""What `trace` follows besides documents: records, clusters, evaluation items and files.

Each leads to documents, or to the shard that wrote the file.

    record:crawl-000.warc.gz@335369    the record at this offset of a WARC or ARC file
    record:pages.jsonl#17              the row (from 0) of JSON lines or Parquet
    urn:uuid:...                       a WARC-Record-ID
    cluster:ID                         the documents that dedup found to be copies of each other
    item:SET/ITEM                      the documents that hold an evaluation item
    file:PATH                          the shard that wrote a file, and what it read
"""

import re
from collections.abc import Iterator
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.find import finished_stages
from corpusmill.manifests.looking.sql import connection, make_table, quoted
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.receipt import Receipt
from corpusmill.manifests.schema import actual_id
from corpusmill.manifests.stage_folder import StageFolder

_PLACE = re.compile(r"(.+)([@#])(\d+)")
MOST = 200  # documents of a cluster or an item


def documents_at(root: str, what: str) -> list[str]:
    """The ids of the documents made from a record: `record:...` or a WARC-Record-ID.

    Raises InputError if it names no place, or nothing was made from it.
    """
    stages = finished_stages(root)
    found = _from_place(stages, what) if what.startswith("record:") else _from_urn(stages, what)
    if not found:
        raise InputError(
            f"no document below {root} was made from {what}",
            "give the file's name as `trace` shows it, with @OFFSET or #ROW, or a WARC-Record-ID",
        )
    return found


def _from_place(stages: list[Manifest], what: str) -> list[str]:
    place = _PLACE.fullmatch(what.removeprefix("record:"))
    if place is None:
        raise InputError(f"{what} names no record", "write record:FILE@OFFSET or record:FILE#ROW")
    key = "offset" if place[2] == "@" else "row"
    ends = quoted(place[1])
    return _ids(
        stages,
        f"origin.{key} = {place[3]} AND (origin.file = {ends} OR origin.file LIKE '%/' || {ends})",
        "origin",
    )


def _from_urn(stages: list[Manifest], what: str) -> list[str]:
    """The ids that the record may have. An id depends on the source, so each source gives two."""
    urn = what.strip("<>")
    named = {
        parent.path
        for manifest in stages
        for parent in manifest.parents
        if not StageFolder(parent.path).has_manifest
    }
    set_ = {
        str(value) for item in stages for key, value in item.settings.items() if "source" in key
    }
    sources = {storage.stem_of(path) for path in named} | set_
    ids = {actual_id(source, key) for source in sources for key in (urn, f"<{urn}>")}
    return _ids(stages, f"id IN ({', '.join(map(quoted, sorted(ids)))})", "id") if ids else []


def cluster(root: str, document: str) -> list[dict[str, Any]]:
    """The documents of a cluster, the kept one first. document: the id of one, or its beginning.

    Raises InputError if no dedup below `root` knows it.
    """
    begins = f"starts_with(%s, {quoted(document)})"
    condition = (
        "cluster_id IN (SELECT cluster_id FROM rows WHERE "
        f"{begins % 'id'} OR {begins % 'cluster_id'}) ORDER BY reason IS NOT NULL, id"
    )
    # A later stage knows the cluster too, but not the copies that dedup removed.
    found = [_rows(manifest, "cluster_id", condition) for manifest in finished_stages(root)]
    if rows := max(found, key=len):
        return rows
    raise InputError(f"no cluster below {root} has {document}", "give the id of a document")


def item(root: str, name: str) -> list[dict[str, Any]]:
    """The documents that hold the evaluation item `SET/ITEM`.

    Raises InputError if no decontaminate below `root` found it.
    """
    set_, slash, number = name.partition("/")
    condition = f"c.set = {quoted(set_)}" + (f" AND c.item = {quoted(number)}" if slash else "")
    for manifest in finished_stages(root):
        rows = _rows(
            manifest,
            "contamination",
            f"len(list_filter(contamination, lambda c: {condition})) > 0 ORDER BY id",
        )
        if rows:
            return rows
    raise InputError(
        f"no document below {root} holds the item {name}",
        "write item:SET/ITEM, or item:SET for all",
    )


def file_made_by(root: str, path: str) -> dict[str, Any]:
    """The receipt of the shard that wrote a file, as plain data.

    path: of the file, or its end. Raises InputError if no receipt names it, or several do.
    """
    end = f"/{path.removeprefix('./').lstrip('/')}"
    found = {
        output.path: (receipt, output)
        for manifest in finished_stages(root)
        for receipt in StageFolder(manifest.folder).receipts
        if isinstance(receipt, Receipt)
        for output in receipt.outputs
        if f"/{output.path}".endswith(end)
    }
    if not found:
        raise InputError(
            f"no receipt below {root} names {path}", "give a path below the run's folder"
        )
    if len(found) > 1:
        some = ", ".join(sorted(found)[:3])
        raise InputError(f"{len(found)} files end with {path}", f"give one: {some}, ...")
    ((receipt, output),) = found.values()
    return {
        "file": output.path,
        "digest": output.digest,
        "rows": output.rows,
        "stage": receipt.stage,
        "pass": receipt.pass_name,
        "shard": receipt.shard,
        "worker": receipt.worker,
        "seconds": receipt.seconds,
        "read": [[read.path, read.digest] for read in receipt.inputs],
    }


def _ids(stages: list[Manifest], condition: str, column: str) -> list[str]:
    for manifest in stages:
        rows = _rows(manifest, column, f"{condition} ORDER BY id")
        if rows:
            return list(dict.fromkeys(row["id"] for row in rows))
    return []


def _rows(manifest: Manifest, column: str, condition: str) -> list[dict[str, Any]]:
    """Rows of a stage, kept and excluded, if it has the column; at most `MOST`."""
    with connection() as database:
        try:
            known = make_table(database, "rows", manifest, ("documents", "excluded"))
        except InputError:
            return []  # a stage without documents
        if not {"id", column} <= set(known):
            return []
        wanted = [name for name in ("id", "url", "reason", "detail", "shard") if name in known]
        if "reason" not in known:
            condition = condition.replace("reason IS NOT NULL, ", "")
        found = database.sql(f"SELECT {', '.join(wanted)} FROM rows WHERE {condition} LIMIT {MOST}")
        return found.to_arrow_table().to_pylist()


def rows_text(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line a document: id, outcome, URL and detail."""
    for row in rows:
        outcome = row.get("reason") or "kept"
        told = filter(None, (row["id"], outcome, row.get("url"), row.get("detail")))
        yield "  ".join(map(str, told))


def file_text(found: dict[str, Any]) -> str:
    """A file's receipt for a terminal."""
    head = [f"{key:<8} {value}" for key, value in found.items() if key != "read"]
    return "\n".join(
        [*head, *(f"read     {path}  {digest[:12]}" for path, digest in found["read"])]
    )
