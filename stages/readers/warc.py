"""WARC and WET files, record by record, with the place of each in the (compressed) file.

The stream below (`stages.readers.streams`) knows where every byte came from. So damage costs one
row for each lost record, and reading goes on at the next place where a record can begin.

Documents are `response` records, `conversion` records (WET: text), and `resource` records of
text. Other records (`warcinfo`, `request`, `metadata`, `revisit`, other resources) are not
counted. A WAT file holds only metadata about pages. It gives one row, `record.wat`, so that an
empty result does not look like success.

Source: ISO 28500:2017 (WARC 1.1); `stages.readers.warc_header` for what archives do instead.
"""

import dataclasses
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers import http
from corpusmill.stages.readers.compression import packed_whole
from corpusmill.stages.readers.cursor import Cursor
from corpusmill.stages.readers.record import TOO_LARGE, Place, ReaderSettings, Record, source_of
from corpusmill.stages.readers.streams import Inflated, Plain, compression_of, find
from corpusmill.stages.readers.warc_header import (
    RECORD_START,
    WARC_START,
    Header,
    NotWarc,
    begins_record,
    go_on,
    next_header,
)
from corpusmill.stages.readers.warc_record import TYPES, filled, is_document, place_in, stream_at

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_READ = 1 << 20
_LONGEST_DAMAGED = 64 << 10  # bytes of a damaged header that are looked at
_MOST_GONE_BACK = 1 << 30  # bytes; a file of wrong lengths would be read again for each


@dataclass
class _Last:
    """The last record: its position in the stream, the length of its header, the length of the
    block that the header claims, and its row if it is a document.
    """

    position: int
    header: int
    claimed: int
    place: Place
    row: Record | None
    complete: bool
    fault: str = ""  # why the header must be wrong
    block: bytes = b""


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
        self._gone_back = 0  # bytes of blocks that were read again

    def read_from(self, offset: int) -> Generator[Record, None, int | None]:
        """Yield the documents of a span. Returns where to go on after damage, or None at the
        end of the file.
        """
        cursor = Cursor(stream_at(self.file, offset, self.magic))
        stream = cursor.stream
        last: _Last | None = None
        before: Place | None = None
        failure = ""
        while True:
            try:
                header = next_header(cursor)
            except NotWarc as error:
                failure = str(error)
            self.file.check()
            if failure and self._can_go_on(cursor, last):
                yield from self._go_on(cursor, last, before)
                last, failure = None, ""
                continue
            if failure or header is None:
                break
            place = before = place_in(stream, header.position, before)
            if last is not None:
                self._set_length(last, place.offset, stream)
                if last.row is not None:
                    yield last.row
            self.records += 1
            self.is_empty = False
            last = self._read_record(cursor, header, place)
            if not last.complete:
                if not self._can_go_on(cursor, last) or not RECORD_START.search(last.block):
                    break
                yield from self._go_on(cursor, last, before)
                last = None
        return (yield from self._finish(stream, offset, last, failure))

    def _can_go_on(self, cursor: Cursor, last: _Last | None) -> bool:
        """Whether to look for the next record in the same stream.

        In a plain file, and where each record is a member, the file shows where to go on.
        """
        stream, at = cursor.stream, last.position if last else cursor.position
        return (
            isinstance(stream, Inflated)
            and stream.damage is None
            and (bool(last and last.place.row) or stream.member_after(at) is None)
            and self._gone_back < _MOST_GONE_BACK
        )

    def _go_on(
        self, cursor: Cursor, last: _Last | None, before: Place | None
    ) -> Generator[Record, None, None]:
        """Yield the last record, and a row for bytes behind it that are no record. Go on."""
        position = cursor.position
        if go_on(cursor, last.block if last else b"") and last is not None:
            self._gone_back += position - cursor.position
            what = f"its Content-Length of {last.claimed} bytes runs into the next record"
            yield self._lost(last.place, "error_read.length", what, last.row)
            return
        yield from self._final_row(last, cursor.stream, None)
        if last is None or last.row is None or not last.row.error:
            at = before or place_in(cursor.stream, position, None)
            what = "something follows that is no WARC record"
            beyond = self.file.tell()
            lost = self._lost(dataclasses.replace(at, length=None), "error_read.warc", what)
            self.file.seek(beyond)  # `_lost` reads the header again; the stream goes on from here
            yield lost

    def _set_length(self, last: _Last, end: int | None, stream: Inflated | Plain) -> None:
        if end is not None and last.place.offset is not None and end > last.place.offset:
            last.place.length = end - last.place.offset
        elif isinstance(stream, Inflated):
            following = stream.member_after(last.position)
            if following is not None and last.place.offset is not None:
                last.place.length = following.offset - last.place.offset

    def _read_record(self, cursor: Cursor, header: Header, place: Place) -> _Last:
        """Read the block of one record, or skip it if it is no document or too long."""
        at, head, claimed = header.position, len(header.raw), header.length
        if claimed is None:
            blank = self._blank(header, place)
            return _Last(
                at, head, 0, place, blank, False, "its header has no usable Content-Length"
            )
        block = b""
        if is_document(header) and claimed <= self.settings.max_payload_bytes:
            block = cursor.take(claimed)
            size = len(block)
        else:
            size = cursor.skip(claimed)
        self.file.check()
        row = self._row(header, place, claimed, block, size == claimed)
        return _Last(at, head, claimed, place, row, size == claimed, "", block)

    def _row(
        self, header: Header, place: Place, claimed: int, block: bytes, complete: bool
    ) -> Record | None:
        """The row of the record, or None if it is no document.

        All rows share `place`. Its length is known when the next record begins.
        """
        if is_document(header):
            self.documents += 1
            blank = self._blank(header, place)
            if claimed > self.settings.max_payload_bytes:
                return blank.failed(
                    TOO_LARGE, f"{claimed} bytes > {self.settings.max_payload_bytes}"
                )
            return (
                filled(blank, header, block, self.settings.max_payload_bytes) if complete else blank
            )
        self.metadata_as_json += (
            header.kind == "metadata"
            and http.parse_mime(header.get("Content-Type"))[0] == "application/json"
        )
        if header.kind not in TYPES:
            return self._blank(header, place).failed(
                "error_read.warc", f"there is no WARC record type {header.kind!r}"
            )
        return None

    def _blank(self, header: Header, place: Place) -> Record:
        key = header.get("WARC-Record-ID")
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
            url=header.target or None,
            date=header.get("WARC-Date"),
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
        block = last.position + last.header
        if isinstance(stream, Inflated):
            while (following := stream.member_after(last.position)) is None and stream.read(_READ):
                pass  # the record may end short of the next member
            overrun = following is not None and block + last.claimed > following.start
            return (self._resume(following.offset) if following else None), overrun
        beyond = self._resume(block)
        return beyond, beyond is not None and beyond < block + last.claimed

    def _resume(self, offset: int | None) -> int | None:
        """The next place at or after `offset` where a WARC record really begins."""
        if offset is None:
            return None
        if not self.magic:
            return find(self.file, RECORD_START, offset, overlap=256)
        if packed_whole(self.magic):
            return None
        pattern = re.compile(re.escape(self.magic))
        found = find(self.file, pattern, offset)
        while found is not None and not begins_record(
            Inflated(self.file, found, self.magic).read(16)
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
        read = bytearray()
        while len(read) < _LONGEST_DAMAGED and (more := stream.read(64)):
            read += more
            if _HEADER_END.search(read, max(0, len(read) - 68)):
                break
        start = bytes(read)
        end = _HEADER_END.search(start)
        whole = start[: end.start()] if end else start.rpartition(b"\n")[0]
        return http.parse_headers(whole.split(b"\n")[1:]) if begins_record(start) else {}


def _ordinal(place: Place) -> tuple[int, int]:
    return (place.offset or 0, place.row or 0)
