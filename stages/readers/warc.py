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
from collections.abc import Generator, Iterator
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers import http
from corpusmill.stages.readers.cursor import Cursor
from corpusmill.stages.readers.record import TOO_LARGE, Place, ReaderSettings, Record, source_of
from corpusmill.stages.readers.streams import Inflated, Plain, compression_of
from corpusmill.stages.readers.warc_damage import Damaged, Last, ordinal
from corpusmill.stages.readers.warc_header import (
    RECORD_START,
    WARC_START,
    Header,
    NotWarc,
    go_on,
    next_header,
)
from corpusmill.stages.readers.warc_record import TYPES, filled, is_document, place_in, stream_at

_MOST_GONE_BACK = 1 << 30  # bytes; a file of wrong lengths would be read again for each


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
                f"{artifact.path} holds no WARC record ({reader.damaged.first_failure})",
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
        self.damaged = Damaged(path, file, magic, self.source)
        self._seen_keys: set[str] = set()
        self._gone_back = 0  # bytes of blocks that were read again

    def read_from(self, offset: int) -> Generator[Record, None, int | None]:
        """Yield the documents of a span. Returns where to go on after damage, or None at the
        end of the file.
        """
        cursor = Cursor(stream_at(self.file, offset, self.magic))
        stream = cursor.stream
        last: Last | None = None
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

    def _can_go_on(self, cursor: Cursor, last: Last | None) -> bool:
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
        self, cursor: Cursor, last: Last | None, before: Place | None
    ) -> Generator[Record, None, None]:
        """Yield the last record, and a row for bytes behind it that are no record. Go on."""
        position = cursor.position
        if go_on(cursor, last.block if last else b"") and last is not None:
            self._gone_back += position - cursor.position
            what = f"its Content-Length of {last.claimed} bytes runs into the next record"
            yield self.damaged.lost(last.place, "error_read.length", what, last.row)
            return
        yield from self._final_row(last, cursor.stream, None)
        if last is None or last.row is None or not last.row.error:
            at = before or place_in(cursor.stream, position, None)
            what = "something follows that is no WARC record"
            beyond = self.file.tell()
            lost = self.damaged.lost(dataclasses.replace(at, length=None), "error_read.warc", what)
            self.file.seek(beyond)  # `lost` reads the header again; the stream goes on from here
            yield lost

    def _set_length(self, last: Last, end: int | None, stream: Inflated | Plain) -> None:
        if end is not None and last.place.offset is not None and end > last.place.offset:
            last.place.length = end - last.place.offset
        elif isinstance(stream, Inflated):
            following = stream.member_after(last.position)
            if following is not None and last.place.offset is not None:
                last.place.length = following.offset - last.place.offset

    def _read_record(self, cursor: Cursor, header: Header, place: Place) -> Last:
        """Read the block of one record, or skip it if it is no document or too long."""
        at, head, claimed = header.position, len(header.raw), header.length
        if claimed is None:
            blank = self._blank(header, place)
            return Last(at, head, 0, place, blank, False, "its header has no usable Content-Length")
        block = b""
        if is_document(header) and claimed <= self.settings.max_payload_bytes:
            block = cursor.take(claimed)
            size = len(block)
        else:
            size = cursor.skip(claimed)
        self.file.check()
        row = self._row(header, place, claimed, block, size == claimed)
        return Last(at, head, claimed, place, row, size == claimed, "", block)

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
            (key,) if key and key not in self._seen_keys else (key or self.path, *ordinal(place))
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
        self, stream: Inflated | Plain, offset: int, last: Last | None, failure: str
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
            beyond, overrun = self.damaged.after(stream, last)
            if overrun:
                what = f"its Content-Length of {last.claimed} bytes runs into the next record"
                yield self.damaged.lost(last.place, "error_read.length", what, last.row)
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
                yield self.damaged.lost(last.place, f"error_read.{kind}", what, last.row)
                return self.damaged.resume(damage.offset + 1 if damage else beyond)
            if damage and damage.kind == "corrupt" and damage.offset == last.place.offset:
                yield self.damaged.lost(last.place, "error_read.corrupt", damage.what, last.row)
                return self.damaged.resume(damage.offset + 1)
            yield from self._final_row(last, stream, damage.offset if damage else beyond)
        if damage is not None:
            yield self.damaged.lost(
                Place(offset=damage.offset), f"error_read.{damage.kind}", damage.what
            )
            return self.damaged.resume(damage.offset + (damage.kind != "garbage"))
        if last is not None and last.row is not None and last.row.error:
            return beyond  # one row is enough for a record whose header lies about its length
        at = last.place.offset if last is not None and last.place.offset is not None else offset
        where = "after this record" if last is not None else "here"
        yield self.damaged.lost(
            Place(offset=at),
            "error_read.warc",
            f"{where} something follows that is no WARC record ({failure})",
        )
        return beyond if last is not None else self.damaged.resume(offset + 1)

    def _final_row(
        self, last: Last | None, stream: Inflated | Plain, end: int | None
    ) -> Iterator[Record]:
        if last is not None:
            self._set_length(last, end, stream)
            if last.row is not None:
                yield last.row
