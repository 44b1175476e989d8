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
from corpusmill.manifests.settings import build_settings
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers.compression import opened, start_of, without_suffixes
from corpusmill.stages.readers.content_type import binary_mime
from corpusmill.stages.readers.json_array import is_array
from corpusmill.stages.readers.own import own_record, read_own
from corpusmill.stages.readers.plain import HTML_SUFFIXES, TEXT_SUFFIXES, read_plain
from corpusmill.stages.readers.record import (
    BATCH_BYTES,
    BATCH_ROWS,
    RECORD,
    Format,
    ReaderSettings,
    in_batches,
)

__all__ = [
    "FORMAT_SUFFIXES",
    "RECORD",
    "ReaderSettings",
    "certain_format",
    "format_of",
    "locate",
    "read_records",
]

_SUFFIXES: tuple[tuple[tuple[str, ...], Format], ...] = (
    ((".warc", ".wet", ".wat"), "warc"),
    ((".arc",), "arc"),
    ((".jsonl", ".json", ".ndjson"), "jsonl"),
    ((".parquet",), "parquet"),
    (TEXT_SUFFIXES + HTML_SUFFIXES, "text"),
)
_TABLES = (".csv", ".tsv")
FORMAT_SUFFIXES = tuple(suffix for suffixes, _ in _SUFFIXES for suffix in suffixes)


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
    if settings.own is not None:
        yield from in_batches(read_own(artifact, settings), batch_rows, batch_bytes)
        return
    readers = {
        "warc": read_warc,
        "arc": read_arc,
        "jsonl": read_jsonl,
        "parquet": read_parquet_records,
        "text": read_plain,
        "pdf": read_plain,
    }
    read = readers[_format(artifact.path, settings)]
    yield from in_batches(read(artifact, settings), batch_rows, batch_bytes)


def _format(path: str, settings: ReaderSettings) -> Format:
    return settings.format if settings.format != "auto" else format_of(path)


def format_of(path: str) -> Format:
    """The format of a file: by content if that is certain (WARC, ARC, Parquet), else by name,
    else by a guess from the content.

    Raises InputError if neither name nor content says, if it is a table of CSV, or if it is
    compressed in a way that is not read.
    """
    with storage.open_read(path) as file:
        packed = file.read(4)
        start = start_of(file, path)
    certain = certain_format(start)
    if certain == "parquet" and packed != start[:4]:
        raise InputError(f"{path} is a compressed Parquet file", "unpack it")
    if certain:
        return certain
    name = without_suffixes(path)
    for suffixes, found in _SUFFIXES:
        if name.endswith(suffixes):
            return found
    if name.endswith(_TABLES):
        raise InputError(
            f"{path} is a table, and would be one document",
            "write it as Parquet or JSON lines, or set the reader's `format` to text",
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or is_array(start):
        return "jsonl"
    if not binary_mime(start):
        return "text"
    raise InputError(
        f"{path} is of no known format (it begins with {start[:16]!r})", "set the reader's `format`"
    )


def locate(origin: Mapping[str, Any]) -> bytes:
    """The bytes that a document came from: a whole WARC or ARC record, a JSON line, a Parquet
    row as JSON, a text file, or what a reader of your own gave.

    origin: as in `schema.ORIGIN`, and under `reader` the settings of the reader (default: those of
    `ReaderSettings`). Raises InputError if the file is gone or has no such record.
    """
    from corpusmill.stages.readers import arc, jsonl, parquet, warc_record

    path = origin.get("file")
    if not path:
        raise InputError(
            "the document names no file as its origin", "trace the document that it was made from"
        )
    offset, row = origin.get("offset"), origin.get("row")
    settings = build_settings(ReaderSettings, origin.get("reader") or {}, "reader")
    if settings.own is not None:
        return own_record(path, settings, row or 0)
    with storage.open_read(path) as file:
        try:
            found = _format(path, settings)
        except InputError:
            found = "text"  # a picture or a PDF file, which `ocr` reads as a whole
        if offset is not None and found == "warc":
            return warc_record.record_at(file, offset, row)
        if offset is not None and found == "arc":
            return arc.record_at(file, offset, row)
        if found == "parquet":
            return json.dumps(
                parquet.row_at(file, row or 0), ensure_ascii=False, default=str
            ).encode()
        if found == "jsonl":
            return jsonl.line_at(file, path, row or 0)
        return opened(file, path).read()


def certain_format(start: bytes) -> Format | None:
    """The format of a file that begins as only that format does. start: decompressed."""
    begins = start.lstrip(b"\xef\xbb\xbf\r\n")[:9]
    if begins[:5].upper() == b"WARC/":
        return "warc"
    if begins == b"filedesc:":
        return "arc"
    return "parquet" if start.startswith(b"PAR1") else None
