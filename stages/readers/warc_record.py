"""One WARC record: whether it is a document, what its block holds, and its bytes by its place."""

from typing import IO

from corpusmill.stages.readers import http
from corpusmill.stages.readers.charset import decoded
from corpusmill.stages.readers.compression import opened, packed_whole
from corpusmill.stages.readers.cursor import Cursor
from corpusmill.stages.readers.record import TOO_LARGE, Place, Record
from corpusmill.stages.readers.streams import Inflated, Plain, magic_of
from corpusmill.stages.readers.warc_header import (
    Header,
    NotWarc,
    go_on,
    go_to_record,
    next_header,
)

TEXT_RESOURCES = ("text/html", "application/xhtml+xml", "text/plain")
TYPES = (
    "warcinfo",
    "response",
    "resource",
    "request",
    "metadata",
    "revisit",
    "conversion",
    "continuation",
)
_READ = 1 << 20


def stream_at(file: IO[bytes], offset: int, magic: bytes | None) -> Inflated | Plain:
    """The file from `offset` on, decompressed if it is compressed."""
    if packed_whole(magic):
        return opened(file, "the file")
    return Inflated(file, offset, magic) if magic else Plain(file, offset)


def place_in(stream: Inflated | Plain, position: int, before: Place | None) -> Place:
    """The place of a record that begins at `position` of the stream. before: of the last record.

    Its offset is that of its gzip member. `row` counts if several records share a member.
    """
    if isinstance(stream, Plain):
        return Place(offset=position)
    offset = stream.member_of(position).offset
    if before is not None and before.offset == offset:
        return Place(offset=offset, row=(before.row or 0) + 1)
    return Place(offset=offset)


def is_document(header: Header) -> bool:
    """Whether a record is an HTTP answer, a text, or a resource of text."""
    if header.kind == "resource":
        if header.target.startswith("metadata:"):
            return False  # a crawler's own log (wget stores its arguments and messages so)
        return http.parse_mime(header.get("Content-Type"))[0] in TEXT_RESOURCES
    return header.kind in ("response", "conversion")


def filled(row: Record, header: Header, block: bytes, limit: int) -> Record:
    """The row of a whole record: status, MIME type and decoded body, or the text of a
    `conversion` record.
    """
    row.mime, row.charset = http.parse_mime(header.get("Content-Type"))
    if header.kind == "conversion":
        row.text = decoded(block, row.charset)[0]
        return row
    # Archives that were converted from ARC give their answers the page's MIME type.
    is_answer = header.kind == "response" and block[:5].upper() == b"HTTP/"
    if row.mime != "application/http" and not is_answer:
        row.payload = block
        return row
    return filled_by_answer(row, block, header.get("WARC-Identified-Payload-Type"), limit)


def filled_by_answer(row: Record, block: bytes, otherwise: str | None, limit: int) -> Record:
    """The row of an HTTP answer. otherwise: the Content-Type if its own headers give none."""
    answer = http.parse_answer(block)
    row.status = answer.status
    row.mime, row.charset = http.parse_mime(answer.headers.get("content-type") or otherwise)
    if answer.status is None:
        return row.failed("error_read.http", f"the answer has no HTTP status line ({block[:32]!r})")
    try:
        row.payload = http.decode_body(answer.body, answer.headers, limit)
    except http.BodyError as error:
        return row.failed("error_read.body", str(error))
    except http.BodyTooLarge as error:
        return row.failed(TOO_LARGE, str(error))
    return row


def record_at(file: IO[bytes], offset: int, row: int | None) -> bytes:
    """One record as it stands in the file: WARC header and block, decompressed, in the
    crawler's encodings.

    row: which record of the gzip member, if it holds several. Of a damaged record, as much as
    can be read (at most 1 MB).
    """
    file.seek(offset)
    cursor = Cursor(stream_at(file, offset, magic_of(file.read(8))))
    go_to_record(cursor)  # a member may begin inside the record before
    try:
        header = _next_after(cursor, b"")
        for _ in range(row or 0):
            block = cursor.take((header.length if header else None) or 0)
            header = _next_after(cursor, block)
    except NotWarc:  # a damaged record: show what there is
        header = None
    if header is None:
        file.seek(offset)
        return stream_at(file, offset, magic_of(file.read(8))).read(_READ)
    length = header.length
    return header.raw + cursor.take(_READ if length is None else length)


def _next_after(cursor: Cursor, block: bytes) -> Header | None:
    """The next header after a block, found as the reader finds it after something that is none.

    Raises NotWarc.
    """
    try:
        return next_header(cursor)
    except NotWarc:
        go_on(cursor, block)
        return next_header(cursor)
