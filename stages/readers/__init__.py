"""Readers turn input files into batches of `RECORD`. An origin leads back to the bytes.

Formats: WARC and WET (`stages.readers.warc`), ARC (`arc`), JSON lines (`jsonl`), Parquet
(`parquet`), plain text and HTML files (`plain`). All are read as streams. Memory holds one
batch and one record, whatever the file's size.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers.plain import HTML_SUFFIXES, TEXT_SUFFIXES, read_plain
from corpusmill.stages.readers.record import (
    BATCH_BYTES,
    BATCH_ROWS,
    RECORD,
    Format,
    ReaderSettings,
    in_batches,
)
from corpusmill.stages.readers.streams import Inflated, magic_of

__all__ = ["RECORD", "ReaderSettings", "format_of", "locate", "read_records"]

_SUFFIXES: tuple[tuple[tuple[str, ...], Format], ...] = (
    ((".warc", ".wet", ".wat"), "warc"),
    ((".arc",), "arc"),
    ((".jsonl", ".json", ".ndjson"), "jsonl"),
    ((".parquet",), "parquet"),
    (TEXT_SUFFIXES + HTML_SUFFIXES, "text"),
)
_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


def read_records(
    artifact: Artifact,
    settings: ReaderSettings,
    batch_rows: int = BATCH_ROWS,
    batch_bytes: int = BATCH_BYTES,
) -> Iterator[pa.Table]:
    """The records of one file, in order, as tables of `RECORD`. An empty file has none.

    A record that cannot be read is a row with `error` set. Raises InputError if the file cannot
    be read at all.
    """
    from corpusmill.stages.readers.arc import read_arc
    from corpusmill.stages.readers.jsonl import read_jsonl
    from corpusmill.stages.readers.parquet import read_parquet_records
    from corpusmill.stages.readers.warc import read_warc

    if storage.exists(artifact.path) and storage.size_of(artifact.path) == 0:
        return
    found = settings.format if settings.format != "auto" else format_of(artifact.path)
    readers = {
        "warc": read_warc,
        "arc": read_arc,
        "jsonl": read_jsonl,
        "parquet": read_parquet_records,
        "text": read_plain,
    }
    read = readers[found]
    yield from in_batches(read(artifact, settings), batch_rows, batch_bytes)


def format_of(path: str) -> Format:
    """The format of a file: by content if that is certain (WARC, ARC, Parquet), else by name,
    else by a guess from the content.

    Raises InputError if neither name nor content says.
    """
    start = _start_of(path)
    if start.startswith(b"WARC/"):
        return "warc"
    if start.startswith(b"filedesc:"):
        return "arc"
    if start.startswith(b"PAR1"):
        return "parquet"
    name = path.lower().rsplit("/", 1)[-1]
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    for suffixes, found in _SUFFIXES:
        if name.endswith(suffixes):
            return found
    if start.lstrip().startswith(b"{"):
        return "jsonl"
    if b"\0" not in start and _is_utf8(start):
        return "text"
    raise InputError(
        f"{path} is of no known format (it begins with {start[:16]!r})", "set the reader's `format`"
    )


def locate(origin: Mapping[str, Any]) -> bytes:
    """The bytes that a document came from: a whole WARC or ARC record, a JSON line, a Parquet
    row as JSON, or a text file.

    origin: as in `schema.ORIGIN`. Raises InputError if the file is gone or has no such record.
    """
    from corpusmill.stages.readers import arc, jsonl, parquet, warc_record

    path = origin.get("file")
    if not path:
        raise InputError(
            "the document names no file as its origin", "trace the document that it was made from"
        )
    offset, row = origin.get("offset"), origin.get("row")
    with storage.open_read(path) as file:
        found = format_of(path)
        if offset is not None and found == "warc":
            return warc_record.record_at(file, offset, row)
        if offset is not None and found == "arc":
            return arc.record_at(file, offset, row)
        if found == "parquet":
            return json.dumps(
                parquet.row_at(file, row or 0), ensure_ascii=False, default=str
            ).encode()
        if found == "jsonl":
            return jsonl.line_at(file, row or 0)
        return file.read()


def _start_of(path: str) -> bytes:
    """The first bytes of a file, decompressed if it is compressed."""
    with storage.open_read(path) as file:
        start = file.read(4096)
        magic = magic_of(start)
        return Inflated(file, 0, magic).read(4096) if magic else start


def _is_utf8(start: bytes) -> bool:
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return error.start > len(start) - 4 and error.reason == "unexpected end of data"
    return True
