"""WARC and WET files, record by record, with the place of each in the (compressed) file.

fastwarc parses the records. The stream below (`stages.readers.streams`) knows where every byte
came from. So damage costs one row for each lost record, and reading goes on at the next place
where a record can begin.

Documents are `response` records, `conversion` records (WET: text), and `resource` records of
text. Other records (`warcinfo`, `request`, `metadata`, `revisit`, other resources) are not
counted. A WAT file holds only metadata about pages. It gives one row, `record.wat`, so that an
empty result does not look like success.

Source: ISO 28500:2017 (WARC 1.1).
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers import http
from corpusmill.stages.readers.record import TOO_LARGE, Place, ReaderSettings, Record, source_of
from corpusmill.stages.readers.streams import Inflated, Plain, compression_of, find
from corpusmill.stages.readers.warc_record import (
    HEADER_END,
    MAX_HEADER,
    TYPES,
    filled,
    is_document,
    stream_at,
)

WARC_START = b"WARC/"
_RECORD_START = re.compile(rb"(?<![^\n])WARC/[01]\.\d+\r?\n[A-Za-z-]+:")
_READ = 1 << 20


@dataclass
class _Last:
    """The last record: its position in the stream, the length that its header claims, and its
    row if it is a document.
    """

    position: int
    claimed: int
    place: Place
    row: Record | None
    complete: bool
    fault: str = ""  # why the header must be wrong


def read_warc(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """Raises InputError if the file is not empty and holds no WARC record at all."""
    with storage.open_read(artifact.path) as source:
        file: Any = Watched(source)
        magic = compression_of(artifact.path, file.read(8), WARC_START)
        reader = _Reader(artifact.path, file, magic, settings)
        position: int | None = 0
        while position is not None:
            position = yield from reader.read_from(position)
        if reader.metadata_as_json and not reader.documents:
            what = (
                f"a WAT file: {reader.metadata_as_json} records of metadata and no page; give "
                f"the WARC or WET file instead"
            )
            yield Record(
                artifact.path, reader.source, Place(offset=0), (artifact.path, "wat")
            ).failed("record.wat", what)
        if not reader.records and not reader.is_empty:
            raise InputError(
                f"{artifact.path} holds no WARC record ({reader.first_failure})",
                "check the file, or set the reader's `format`",
            )


class _Reader:
    """Reads one file in spans. A span begins at a record, and ends at the end of the file or at
    damage.
    """

    def __init__(self, path: str, file: Any, magic: bytes | None, settings: ReaderSettings) -> None:
        self.path, self.file, self.magic, self.settings = path, file, magic, settings
        self.source = source_of(path, settings)
        self.records = self.documents = self.metadata_as_json = 0
        self.is_empty = True
        self.first_failure = ""
        self._seen_keys: set[str] = set()

    def read_from(self, offset: int) -> Generator[Record, None, int | None]:
        """Yield the documents of a span. Returns where to go on after damage, or None at the
        end of the file.
        """
        from fastwarc.warc import ArchiveIterator

        stream = stream_at(self.file, offset, self.magic)
        records = ArchiveIterator(
            stream, parse_http=False, stream_detect=False, max_header_len=MAX_HEADER
        )
        last: _Last | None = None
        failure = ""
        while True:
            try:
                record = next(records)
            except StopIteration:
                break
            except OSError as error:  # fastwarc raises it for anything that is not a WARC header
                self.file.check()
                failure = str(error)
                break
            place = self._place(stream, record.stream_pos, last)
            if last is not None:
                self._set_length(last, place.offset, stream)
                if last.row is not None:
                    yield last.row
            self.records += 1
            self.is_empty = False
            last = self._read_record(record, place)
            if not last.complete:
                break
        return (yield from self._finish(stream, offset, last, failure))

    def _place(self, stream: Inflated | Plain, position: int, last: _Last | None) -> Place:
        """The place of a record. Its offset is that of its gzip member. `row` counts if several
        records share a member.
        """
        if isinstance(stream, Plain):
            return Place(offset=position)
        offset = stream.member_of(position).offset
        if last is not None and last.place.offset == offset:
            return Place(offset=offset, row=(last.place.row or 0) + 1)
        return Place(offset=offset)

    def _set_length(self, last: _Last, end: int | None, stream: Inflated | Plain) -> None:
        if end is not None and last.place.offset is not None and end > last.place.offset:
            last.place.length = end - last.place.offset
        elif isinstance(stream, Inflated):
            following = stream.member_after(last.position)
            if following is not None and last.place.offset is not None:
                last.place.length = following.offset - last.place.offset

    def _read_record(self, record: Any, place: Place) -> _Last:
        """Read the block of one record, or skip it if it is no document or too long."""
        claimed = record.content_length
        if not (record.headers.get("Content-Length") or "").strip().isdecimal():
            blank = self._blank(record, place)
            return _Last(
                record.stream_pos, 0, place, blank, False, "its header has no usable Content-Length"
            )
        wanted = is_document(record)
        block, size = b"", 0
        if wanted and claimed <= self.settings.max_payload_bytes:
            while len(block) < claimed and (more := record.reader.read(claimed - len(block))):
                block += more
            size = len(block)
        else:
            while skipped := record.reader.consume(_READ):
                size += skipped
        row = self._row(record, place, claimed, block, size == claimed)
        return _Last(record.stream_pos, claimed, place, row, size == claimed)

    def _row(
        self, record: Any, place: Place, claimed: int, block: bytes, complete: bool
    ) -> Record | None:
        """The row of the record, or None if it is no document.

        All rows share `place`. Its length is known when the next record begins.
        """
        if is_document(record):
            self.documents += 1
            blank = self._blank(record, place)
            if claimed > self.settings.max_payload_bytes:
                return blank.failed(
                    TOO_LARGE, f"{claimed} bytes > {self.settings.max_payload_bytes}"
                )
            return (
                filled(blank, record, block, self.settings.max_payload_bytes) if complete else blank
            )
        kind = (record.headers.get("WARC-Type") or "").strip().lower()
        self.metadata_as_json += (
            kind == "metadata"
            and http.parse_mime(record.headers.get("Content-Type"))[0] == "application/json"
        )
        if kind not in TYPES:
            return self._blank(record, place).failed(
                "error_read.warc", f"there is no WARC record type {kind!r}"
            )
        return None

    def _blank(self, record: Any, place: Place) -> Record:
        headers = record.headers
        key = record.record_id or headers.get("WARC-Record-ID")
        unique: tuple[str | int, ...] = (
            (key,) if key and key not in self._seen_keys else (key or self.path, *_ordinal(place))
        )
        if key:
            self._seen_keys.add(key)
        return Record(
            path=self.path,
            source=self.source,
            place=place,
            key=unique,
            url=(headers.get("WARC-Target-URI") or "").strip("<> ") or None,
            date=headers.get("WARC-Date"),
        )

    def _finish(
        self, stream: Inflated | Plain, offset: int, last: _Last | None, failure: str
    ) -> Generator[Record, None, int | None]:
        """Yield the last record, and one row for what was lost after it. Returns where to go
        on.
        """
        damage = stream.damage
        if isinstance(stream, Inflated):
            self.is_empty = self.is_empty and stream.tell() == 0 and damage is None
        elif last is None:
            self.is_empty = self.is_empty and storage.size_of(self.path) == 0
        whole = last is None or last.complete
        if not failure and damage is None and whole:
            yield from self._final_row(last, stream, storage.size_of(self.path))
            return None

        beyond = None
        if last is not None:
            beyond, overrun = self._after(stream, last)
            if overrun:
                what = f"its Content-Length of {last.claimed} bytes runs into the next record"
                yield self._lost(last.place, "error_read.length", what, last.row)
                return beyond
            if not last.complete:
                if damage:
                    kind, what = damage.kind, damage.what
                elif last.fault:
                    kind, what = "warc", last.fault
                else:
                    kind, what = (
                        "truncated",
                        f"the record claims {last.claimed} bytes and the file ends before",
                    )
                yield self._lost(last.place, f"error_read.{kind}", what, last.row)
                return self._resume(damage.offset + 1 if damage else beyond)
            if damage and damage.kind == "corrupt" and damage.offset == last.place.offset:
                yield self._lost(last.place, "error_read.corrupt", damage.what, last.row)
                return self._resume(damage.offset + 1)
            yield from self._final_row(last, stream, damage.offset if damage else beyond)
        if damage is not None:
            yield self._lost(Place(offset=damage.offset), f"error_read.{damage.kind}", damage.what)
            return self._resume(damage.offset + (damage.kind != "garbage"))
        if last is not None and last.row is not None and last.row.error:
            return beyond  # one row is enough for a record whose header lies about its length
        at = last.place.offset if last is not None and last.place.offset is not None else offset
        where = "after this record" if last is not None else "here"
        yield self._lost(
            Place(offset=at),
            "error_read.warc",
            f"{where} something follows that is no WARC record ({failure})",
        )
        return beyond if last is not None else self._resume(offset + 1)

    def _final_row(
        self, last: _Last | None, stream: Inflated | Plain, end: int | None
    ) -> Iterator[Record]:
        if last is not None:
            self._set_length(last, end, stream)
            if last.row is not None:
                yield last.row

    def _after(self, stream: Inflated | Plain, last: _Last) -> tuple[int | None, bool]:
        """Where a record can begin after `last`, and whether `last` claims bytes beyond that
        place.
        """
        header = self._header_length(last.place, stream)
        if isinstance(stream, Inflated):
            while (following := stream.member_after(last.position)) is None and stream.read(_READ):
                pass  # fastwarc may have stopped short of the next member
            overrun = (
                following is not None and last.position + header + last.claimed > following.start
            )
            return (self._resume(following.offset) if following else None), overrun
        beyond = self._resume(last.position + header)
        return beyond, beyond is not None and beyond < last.position + header + last.claimed

    def _header_length(self, place: Place, stream: Inflated | Plain) -> int:
        assert place.offset is not None
        if isinstance(stream, Inflated) and place.row:
            return 0  # inside a shared member: costly to find, and only a bound is needed
        again = stream_at(self.file, place.offset, self.magic)
        start = b""
        while (
            (end := HEADER_END.search(start)) is None
            and len(start) < MAX_HEADER
            and (more := again.read(64 << 10))
        ):
            start += more
        return end.end() if end else len(start)

    def _resume(self, offset: int | None) -> int | None:
        """The next place at or after `offset` where a WARC record really begins."""
        if offset is None:
            return None
        if not self.magic:
            return find(self.file, _RECORD_START, offset)
        pattern = re.compile(re.escape(self.magic))
        found = find(self.file, pattern, offset)
        while (
            found is not None
            and Inflated(self.file, found, self.magic).read(len(WARC_START)) != WARC_START
        ):
            found = find(self.file, pattern, found + 1)
        return found

    def _lost(self, place: Place, error: str, what: str, row: Record | None = None) -> Record:
        """The row of a record that could not be read, with address and date if its header can
        be read.
        """
        self.first_failure = self.first_failure or what
        if row is None:
            row = Record(self.path, self.source, place, (self.path, "lost", *_ordinal(place)))
            if self.magic and error != "error_read.garbage" and not place.row:
                header = self._header_at(place)
                row.url = header.get("warc-target-uri", "").strip("<> ") or None
                row.date = header.get("warc-date")
        return row.failed(error, what)

    def _header_at(self, place: Place) -> dict[str, str]:
        """As much of a WARC header as a damaged gzip member gives, decoded in small steps."""
        assert place.offset is not None
        stream = stream_at(self.file, place.offset, self.magic)
        start = b""
        while (
            not HEADER_END.search(start) and len(start) < MAX_HEADER and (more := stream.read(64))
        ):
            start += more
        end = HEADER_END.search(start)
        whole = start[: end.start()] if end else start.rpartition(b"\n")[0]
        return http.parse_headers(whole.split(b"\n")[1:]) if start.startswith(WARC_START) else {}


def _ordinal(place: Place) -> tuple[int, int]:
    return (place.offset or 0, place.row or 0)
