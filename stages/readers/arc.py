"""ARC files: the Internet Archive's format before WARC, from 1996 to about 2008.

A record is one line of fields with spaces between them (address, IP, date, MIME type, length;
version 2 has five more before the length), and then that many bytes of the server's answer. The
first record, `filedesc:`, describes the file. In compressed files each record is a gzip member,
as in WARC files. Damage costs one row, as in `stages.readers.warc`; reading goes on at the next
place where a record can begin.

Source: Burner and Kahle, "Arc File Format" (Internet Archive, 1996), versions 1 and 2.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.cursor import Cursor
from corpusmill.stages.readers.record import TOO_LARGE, Place, ReaderSettings, Record, source_of
from corpusmill.stages.readers.streams import Inflated, Plain, compression_of, find, magic_of
from corpusmill.stages.readers.warc_record import filled_by_answer, place_in, stream_at

_LONGEST_HEADER = 64 << 10
_READ = 1 << 20
_HEADER = re.compile(
    rb"(?P<url>[a-zA-Z][a-zA-Z0-9+.-]*:\S.*) (?P<ip>\S+) "
    rb"(?P<date>\d{8,17}) (?P<mime>\S+)(?: \S+ \S+ \S+ \S+ \S+)? (?P<length>\d{1,15})\r?\n\Z"
)
_RECORD_START = re.compile(
    rb"\n[a-zA-Z][a-zA-Z0-9+.-]{1,20}:[^\n]{1,4000} \d{8,17} \S{1,200} [^\n]{0,400}?\d{1,15}\r?\n"
)


@dataclass(frozen=True)
class _Header:
    url: str
    date: str
    mime: str
    length: int
    size: int  # bytes of the line itself


def read_arc(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """Raises InputError if the file is not empty and holds no ARC record at all."""
    with storage.open_read(artifact.path) as opened:
        file: Any = Watched(opened)
        reader = _Reader(artifact.path, file, settings)
        position: int | None = 0
        while position is not None:
            position = yield from reader.read_from(position)
        if not reader.records and reader.lost:
            raise InputError(
                f"{artifact.path} holds no ARC record",
                "check the file, or set the reader's `format`",
            )


class _Reader:
    """Reads one file in spans. A span begins at a record, and ends at the end of the file or at
    damage.
    """

    def __init__(self, path: str, file: IO[bytes], settings: ReaderSettings) -> None:
        self.path, self.file, self.settings = path, file, settings
        file.seek(0)
        self.magic = compression_of(path, file.read(8), b"filedesc")
        self.source = source_of(path, settings)
        self.records = self.lost = 0
        self._seen: set[tuple[str, str]] = set()

    def read_from(self, offset: int) -> Generator[Record, None, int | None]:
        """Yield the documents of a span. Returns where to go on after damage, or None at the
        end of the file.
        """
        data = Cursor(stream_at(self.file, offset, self.magic))
        place: Place | None = None
        line = _line(data)
        while line:
            start = data.position - len(line)
            place = place_in(data.stream, start, place)
            header = parsed(line)
            if header is None:
                yield self._lost(
                    place, "error_read.arc", f"no ARC record begins here ({line[:32]!r})"
                )
                return self._resume(
                    data.stream.damage.offset + 1 if data.stream.damage else _after(place)
                )
            self.records += 1
            row = None if header.url.startswith("filedesc:") else self._row(header, place)
            too_large = header.length > self.settings.max_payload_bytes
            block = data.take(header.length) if row is not None and not too_large else b""
            size = len(block) or data.skip(header.length)
            if size < header.length:
                damage = data.stream.damage
                kind, what = (
                    (damage.kind, damage.what)
                    if damage
                    else ("truncated", "the file ends inside the record")
                )
                yield (row or self._row(header, place)).failed(f"error_read.{kind}", what)
                return self._resume(_after(place))
            line = _line(data)  # it shows where this record ended
            if row is not None:
                place.length = self._end(data.stream, start, header) - (place.offset or 0)
                limit = self.settings.max_payload_bytes
                yield (
                    row.failed(TOO_LARGE, f"{header.length} bytes > {limit}")
                    if too_large
                    else filled(row, header, block, limit)
                )
        damage = data.stream.damage
        if damage is not None:
            place = Place(offset=damage.offset)
            header = self._header_at(place.offset or 0)
            if header is not None:
                yield self._row(header, place).failed(f"error_read.{damage.kind}", damage.what)
            else:
                yield self._lost(place, f"error_read.{damage.kind}", damage.what)
            return self._resume(damage.offset + (damage.kind != "garbage"))
        return None

    def _row(self, header: _Header, place: Place) -> Record:
        key: tuple[str | int, ...] = (header.url, header.date)
        if (header.url, header.date) in self._seen:
            key = (*key, place.offset or 0, place.row or 0)
        self._seen.add((header.url, header.date))
        return Record(
            self.path, self.source, place, key, url=header.url, date=iso_date(header.date)
        )

    def _end(self, stream: Inflated | Plain, start: int, header: _Header) -> int:
        """Where the record that begins at `start` of the stream ends in the file."""
        if isinstance(stream, Plain):
            return start + header.size + header.length
        following = stream.member_after(start)
        if following is not None:
            return following.offset
        return stream.damage.offset if stream.damage else storage.size_of(self.path)

    def _lost(self, place: Place, error: str, what: str) -> Record:
        self.lost += 1
        return Record(
            self.path, self.source, place, (self.path, "lost", place.offset or 0, place.row or 0)
        ).failed(error, what)

    def _header_at(self, offset: int) -> _Header | None:
        """The fields of a damaged gzip member, as far as it can be decoded in small steps."""
        stream = stream_at(self.file, offset, self.magic)
        start = b""
        while b"\n" not in start and len(start) < _LONGEST_HEADER and (more := stream.read(64)):
            start += more
        return parsed(start[: start.find(b"\n") + 1])

    def _resume(self, offset: int) -> int | None:
        """The next place at or after `offset` where an ARC record really begins."""
        if not self.magic:
            found = find(self.file, _RECORD_START, offset, overlap=5000)
            return None if found is None else found + 1
        found = find(self.file, re.compile(re.escape(self.magic)), offset)
        while (
            found is not None
            and parsed(_line(Cursor(stream_at(self.file, found, self.magic)))) is None
        ):
            found = find(self.file, re.compile(re.escape(self.magic)), found + 1)
        return found


def parsed(line: bytes) -> _Header | None:
    """The fields of a record's first line, or None if it is no such line."""
    found = _HEADER.match(line)
    if found is None:
        return None
    texts = {name: value.decode("latin-1") for name, value in found.groupdict().items()}
    return _Header(
        texts["url"], texts["date"], texts["mime"].lower(), int(texts["length"]), len(line)
    )


def filled(row: Record, header: _Header, block: bytes, limit: int) -> Record:
    """The row of a whole record. An HTTP answer has status, MIME type and decoded body; other
    records (DNS...) stay as they are.
    """
    if block.startswith(b"HTTP/"):
        return filled_by_answer(row, block, header.mime, limit)
    if header.url.startswith(("http:", "https:")):
        return row.failed("error_read.http", f"the answer has no HTTP status line ({block[:32]!r})")
    row.mime, row.payload = header.mime, block
    return row


def iso_date(digits: str) -> str:
    """`20050614070159` as ISO 8601. The oldest files have 8 to 12 digits: the beginning of that
    day or hour.
    """
    d = digits.ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"


def record_at(file: IO[bytes], offset: int, row: int | None) -> bytes:
    """One record as it stands in the file, decompressed: its line of fields and its block.

    Of a damaged record, as much as can be read.
    """
    file.seek(offset)
    magic = magic_of(file.read(8))
    data = Cursor(stream_at(file, offset, magic))
    line = _first_line(data)
    for _ in range(row or 0):
        header = parsed(line)
        data.skip(header.length if header else 0)
        line = _line(data)
    header = parsed(line)
    if header is None:
        return stream_at(file, offset, magic).read(_READ)
    return line + data.take(header.length)


def _first_line(data: Cursor) -> bytes:
    """The first line that begins a record: a member may begin inside the record before."""
    line = _line(data)
    while line and parsed(line) is None:
        line = _line(data)
    return line


def _line(data: Cursor) -> bytes:
    """The next line that is not empty, at most `_LONGEST_HEADER` bytes of it."""
    data.skip_blank()
    return data.line(_LONGEST_HEADER)


def _after(place: Place) -> int:
    return (place.offset or 0) + 1
