"""Where a damaged WARC file can be read on, and the rows of what is lost in it."""

import re
from dataclasses import dataclass
from typing import Any

from corpusmill.stages.readers import http
from corpusmill.stages.readers.compression import packed_whole
from corpusmill.stages.readers.record import Place, Record
from corpusmill.stages.readers.streams import Inflated, Plain, find
from corpusmill.stages.readers.warc_header import RECORD_START, begins_record
from corpusmill.stages.readers.warc_record import stream_at

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_READ = 1 << 20
_LONGEST_DAMAGED = 64 << 10  # bytes of a damaged header that are looked at


@dataclass
class Last:
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


class Damaged:
    """One file, as far as damage goes. first_failure: why the first lost record was lost."""

    def __init__(self, path: str, file: Any, magic: bytes | None, source: str) -> None:
        self.path, self.file, self.magic, self.source = path, file, magic, source
        self.first_failure = ""

    def after(self, stream: Inflated | Plain, last: Last) -> tuple[int | None, bool]:
        """Where a record can begin after `last`, and whether `last` claims bytes beyond that
        place.
        """
        block = last.position + last.header
        if isinstance(stream, Inflated):
            while (following := stream.member_after(last.position)) is None and stream.read(_READ):
                pass  # the record may end short of the next member
            overrun = following is not None and block + last.claimed > following.start
            return (self.resume(following.offset) if following else None), overrun
        beyond = self.resume(block)
        return beyond, beyond is not None and beyond < block + last.claimed

    def resume(self, offset: int | None) -> int | None:
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

    def lost(self, place: Place, error: str, what: str, row: Record | None = None) -> Record:
        """The row of a record that could not be read, with address and date if its header can
        be read.
        """
        self.first_failure = self.first_failure or what
        if row is None:
            row = Record(self.path, self.source, place, (self.path, "lost", *ordinal(place)))
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


def ordinal(place: Place) -> tuple[int, int]:
    """Offset and row: the part of a key that tells records without an id of their own apart."""
    return (place.offset or 0, place.row or 0)
