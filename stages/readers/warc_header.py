"""The header of a WARC record, as archives really have it.

ISO 28500 wants lines that end in CRLF, and an empty line behind them. Archives have lines that end
in LF alone (ClueWeb09 and ClueWeb12 in their WARC headers, others in half of their lines), folded
lines, lines without a colon, `warc/1.0`, `WARC/0.18`, an empty line inside, or none at the end.
"""

import re
from dataclasses import dataclass

from corpusmill.stages.readers import http
from corpusmill.stages.readers.cursor import Cursor

WARC_START = b"WARC/"
MAX_HEADER = 1 << 20
# Where a header can begin in the middle of a file.
RECORD_START = re.compile(
    rb"(?<![^\n])WARC/\d{1,3}\.\d{1,3}[ \t]{0,8}\r{0,2}\n[A-Za-z-]{1,60}[ \t]{0,8}:", re.IGNORECASE
)
_OWN_FIELD = re.compile(rb"(?:content-length|content-type|warc-[a-z-]{1,40})[ \t]*:", re.IGNORECASE)
_BLOCK_START = re.compile(rb"HTTP/\d|<[!a-zA-Z?]", re.IGNORECASE)


class NotWarc(Exception):
    """No WARC header begins here. `str` says what does."""


@dataclass(frozen=True)
class Header:
    """fields: names in lower case; of equal names the first counts. raw: its bytes as they stand.
    position: of its first byte in the stream.
    """

    fields: dict[str, str]
    raw: bytes
    position: int

    def get(self, name: str) -> str | None:
        return self.fields.get(name.lower())

    @property
    def kind(self) -> str:
        """The record's type, in lower case."""
        return (self.get("WARC-Type") or "").strip().lower()

    @property
    def target(self) -> str:
        return (self.get("WARC-Target-URI") or "").strip("<> ")

    @property
    def length(self) -> int | None:
        """The length of the block. None if the header has no usable one."""
        value = (self.get("Content-Length") or "").strip()
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else None


def begins_record(start: bytes) -> bool:
    """Whether a record begins with these bytes, or behind line ends among them."""
    return start.lstrip(b"\r\n")[: len(WARC_START)].upper() == WARC_START


def go_to_record(cursor: Cursor) -> None:
    """Go to the next line that begins as a record does, or to the end of the stream."""
    while cursor.peek(len(WARC_START)).upper() != WARC_START and cursor.line(MAX_HEADER):
        pass


def go_on(cursor: Cursor, block: bytes) -> bool:
    """Go to the next record after something that is none. block: the bytes read last.

    If a record begins within the block, the block was too long: the cursor goes back to there.
    Returns whether it did.
    """
    inside = RECORD_START.search(block)
    if inside:
        cursor.give_back(block[inside.start() :])
        return True
    cursor.line(MAX_HEADER)
    go_to_record(cursor)
    return False


def next_header(cursor: Cursor) -> Header | None:
    """The header at the cursor, behind any line ends. None at the end of the stream.

    Raises NotWarc for anything else, for a header of more than `MAX_HEADER` bytes, and for one that
    breaks off before its first field. Then the cursor stands where it stood.
    """
    blank = cursor.skip_blank()
    position = cursor.position
    lines = [cursor.line(MAX_HEADER)]
    if not lines[0]:
        return None
    fault = ""
    if not begins_record(lines[0]):
        fault = f"it begins with {lines[0][:32]!r}"
    size = len(lines[0])
    has_length = False
    while not fault:
        if has_length and _BLOCK_START.match(cursor.peek(8)):
            break  # the empty line is missing
        line = cursor.line(MAX_HEADER)
        size += len(line)
        lines.append(line)
        if size > MAX_HEADER:
            fault = f"its header has more than {MAX_HEADER} bytes"
        elif not line.endswith(b"\n"):  # the file ends inside the header
            fault = "its header breaks off" if len(lines) == 2 else ""
            break
        elif not line.strip(b"\r\n") and (has_length or not _OWN_FIELD.match(cursor.peek(64))):
            break
        has_length = has_length or line[:14].lower() == b"content-length"
    if fault:
        cursor.give_back(b"\n" * blank + b"".join(lines))
        raise NotWarc(fault)
    return Header(http.parse_headers(lines[1:], "utf-8"), b"".join(lines), position)
