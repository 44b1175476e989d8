"""Which files, records and rows are scans: PDF files and pictures of pages.

PDF files and pictures      one scan each
WARC and ARC files          their PDF files; pictures of web pages are no scans
shards with images          each row is one page: `images`, `render`
excluded shards of extract  the rows that have no text because their PDF files are scans, from
                            the files and records that they came from
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import (
    DOCUMENT,
    EXCLUSION,
    IMAGE,
    LICENCE,
    actual_id,
    conform,
    extended,
)
from corpusmill.manifests.settings import Settings
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.shard_names import shard_names
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.extract import pdf
from corpusmill.stages.images.tars import PICTURES
from corpusmill.stages.readers import ReaderSettings, certain_format, read_records
from corpusmill.stages.readers.compression import start_of, without_suffixes
from corpusmill.stages.readers.content_type import mime_of
from corpusmill.stages.readers.licences import with_licences
from corpusmill.stages.readers.payloads import payload_at
from corpusmill.stages.readers.record import source_of
from corpusmill.stages.synthesize.postfilters import Rejection
from pydantic import PositiveInt

_COPIED = ("id", "url", "source", "date", "origin", LICENCE.name)
_LICENSED = extended(LICENCE)
_PAGES = extended(LICENCE, IMAGE)
_ROWS = 16  # of a shard that are in memory
GROUP_FILES, GROUP_BYTES = 256, 64 << 20  # of a shard: one file alone would leave a server idle


class ScanReader(Settings):
    """How files are read. Every file of a folder is."""

    format: ClassVar[str] = "scans"  # any: no file of a folder is left out

    source: str = ""
    """The collection's name, part of every id. Empty: each file's name without its suffixes."""
    max_payload_bytes: PositiveInt = 256 << 20
    """A larger file or record is not read."""

    def records(self, format: Any) -> ReaderSettings:
        return ReaderSettings(
            format=format, source=self.source, max_payload_bytes=self.max_payload_bytes
        )


@dataclass(frozen=True)
class Scan:
    """row: columns of its document. parent: id of the row that brought the image. rejection: why
    there is no `content`.
    """

    row: Mapping[str, Any]
    content: bytes = b""
    is_pdf: bool = False
    parent: str | None = None
    rejection: Rejection | None = None


def grouped(artifacts: tuple[Artifact, ...]) -> dict[str, tuple[Artifact, ...]]:
    """Shard name -> files. Small neighbours make one shard, named after the first."""
    groups: dict[str, list[Artifact]] = {}
    size, current = 0, ""
    by_path = sorted(shard_names(artifacts).items(), key=lambda item: (item[1].path, item[0]))
    for name, artifact in by_path:
        full = size + artifact.size > GROUP_BYTES or len(groups.get(current, ())) >= GROUP_FILES
        if not current or full or artifact.name.endswith(".parquet"):
            current, size = name, 0
        groups.setdefault(current, []).append(artifact)
        size += artifact.size
    return {name: tuple(files) for name, files in sorted(groups.items())}


def scans_of(shard: Shard, reader: ScanReader, read: Counts) -> Iterator[Scan]:
    """The scans of a shard's files, in order. Every row that is read is counted.

    read: gets the rows that are no scans. A file that cannot be read costs only itself. Raises
    InputError for a Parquet file that is damaged or has no images.
    """
    for artifact in shard.inputs:
        if not artifact.size:
            yield _unreadable(artifact, shard, reader, Rejection("ocr.mime", "the file is empty"))
            continue
        try:
            with storage.open_read(artifact.path) as file:
                found = certain_format(start_of(file, artifact.path))
            if found != "parquet":
                yield from _from_file(artifact, shard, reader, read, found)
        except InputError as error:
            told = Rejection("error_read.format", str(error))
            yield _unreadable(artifact, shard, reader, told)
            continue
        if found == "parquet":
            names = set(schema_of(artifact).names)
            if IMAGE.name in names and set(DOCUMENT.names) <= names:
                yield from _from_images(artifact, shard)
            elif {field.name for field in EXCLUSION} | {"id", "origin"} <= names:
                yield from _from_excluded(artifact, shard, reader, read)
            else:
                raise InputError(
                    f"{artifact.path} holds no page images",
                    "run `corpusmill images` on image-text corpora first and give its output "
                    "folder; of extract, give OUT/excluded",
                )


def _unreadable(artifact: Artifact, shard: Shard, reader: ScanReader, why: Rejection) -> Scan:
    """The row of a file that no reader takes."""
    shard.count_rows(artifact, 1)
    source = source_of(artifact.path, reader.records("pdf"))
    row = dict.fromkeys(_COPIED) | {
        "id": actual_id(source, artifact.path, 0),
        "source": source,
        "origin": {"file": artifact.path, "length": artifact.size, "row": 0},
    }
    return Scan(row, rejection=why)


def _from_images(artifact: Artifact, shard: Shard) -> Iterator[Scan]:
    there = schema_of(artifact).names
    columns = [name for name in _PAGES.names if name in there]
    groups = map(with_licences, shard.read(artifact, columns))
    for row in _rows(conform(group, _PAGES) for group in groups):
        content, parent = row.pop(IMAGE.name), row["id"]
        copied = {name: row[name] for name in _COPIED}
        if content:
            yield Scan(copied, content, content.startswith(b"%PDF-"), parent)
        else:
            nothing = Rejection("ocr.no_image", "the row has no image")
            yield Scan(copied, parent=parent, rejection=nothing)


def _from_excluded(
    artifact: Artifact, shard: Shard, reader: ScanReader, read: Counts
) -> Iterator[Scan]:
    for group in shard.read(artifact):
        chosen = pc.is_in(group["reason"], pa.array(pdf.SCANS))
        read.leave_out("ocr.not_a_scan", pc.sum(pc.invert(chosen)).as_py() or 0)
        for row in _rows([conform(with_licences(group.filter(chosen)), _LICENSED)]):
            copied = {name: row[name] for name in _COPIED}
            try:
                content = payload_at(row["origin"], reader.max_payload_bytes)
            except InputError as error:
                yield Scan(copied, rejection=Rejection("error_ocr.origin", str(error)))
            else:
                yield Scan(copied, content, is_pdf=True)


def _from_file(
    artifact: Artifact, shard: Shard, reader: ScanReader, read: Counts, crawl: str | None
) -> Iterator[Scan]:
    """crawl: warc or arc; else the file itself is the scan."""
    name = without_suffixes(artifact.path)  # of a damaged file, it says what it should be
    tables = read_records(artifact, reader.records(crawl or "pdf"), batch_rows=_ROWS)
    for record in _rows(shard.counted(artifact, tables)):
        copied = {name: record[name] for name in _COPIED}
        payload, status = record["payload"] or b"", record["status"]
        declared = record["mime"] if crawl else None
        mime = mime_of(payload, declared) if payload else ""
        good = mime == pdf.MIME and status in (None, *range(200, 300))
        if crawl and not good and not record["error"]:
            read.leave_out("ocr.not_a_scan", 1)
        elif record["error"]:
            told = Rejection(record["error"], record["error_detail"] or "")
            yield Scan(copied, rejection=told)
        elif mime == pdf.MIME or name.endswith(".pdf"):
            yield Scan(copied, payload, is_pdf=True)
        elif mime.startswith("image/") or name.endswith(tuple(PICTURES)):
            yield Scan(copied, payload)
        else:
            yield Scan(copied, rejection=Rejection("ocr.mime", f"the file is {mime}"))


def _rows(tables: Any) -> Iterator[dict[str, Any]]:
    for table in tables:
        for batch in table.to_batches(max_chunksize=_ROWS):
            yield from batch.to_pylist()
