"""One WARC record: whether it is a document, what its block holds, and its bytes if only its
place is known.
"""

import re
from typing import IO, Any

from corpusmill.stages.readers import http
from corpusmill.stages.readers.record import TOO_LARGE, Record
from corpusmill.stages.readers.streams import Inflated, Plain, magic_of

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
HEADER_END = re.compile(rb"\r?\n\r?\n")
MAX_HEADER = 1 << 20
_READ = 1 << 20


def stream_at(file: IO[bytes], offset: int, magic: bytes | None) -> Inflated | Plain:
    """The file from `offset` on, decompressed if it is compressed."""
    return Inflated(file, offset, magic) if magic else Plain(file, offset)


def is_document(record: Any) -> bool:
    """Whether fastwarc's `record` is an HTTP answer, a text, or a resource of text."""
    from fastwarc.warc import WarcRecordType

    if record.record_type == WarcRecordType.resource:
        if (record.headers.get("WARC-Target-URI") or "").strip("<> ").startswith("metadata:"):
            return False  # a crawler's own log (wget stores its arguments and messages so)
        return http.parse_mime(record.headers.get("Content-Type"))[0] in TEXT_RESOURCES
    return record.record_type in (WarcRecordType.response, WarcRecordType.conversion)


def filled(row: Record, record: Any, block: bytes, limit: int) -> Record:
    """The row of a whole record: status, MIME type and decoded body, or the text of a
    `conversion` record.
    """
    from fastwarc.warc import WarcRecordType

    content_type = record.headers.get("Content-Type")
    row.mime, row.charset = http.parse_mime(content_type)
    if record.record_type == WarcRecordType.conversion:
        row.text = block.decode("utf-8", "replace")
        return row
    # Archives that were converted from ARC give their answers the page's MIME type.
    is_answer = record.record_type == WarcRecordType.response and block.startswith(b"HTTP/")
    if row.mime != "application/http" and not is_answer:
        row.payload = block
        return row
    return filled_by_answer(row, block, record.headers.get("WARC-Identified-Payload-Type"), limit)


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
    from fastwarc.warc import ArchiveIterator

    file.seek(offset)
    magic = magic_of(file.read(8))
    stream = stream_at(file, offset, magic)
    start, claimed = stream.tell(), 0
    try:
        records = ArchiveIterator(
            stream, parse_http=False, stream_detect=False, max_header_len=MAX_HEADER
        )
        for _, record in zip(range((row or 0) + 1), records, strict=False):
            start, claimed = record.stream_pos, record.content_length
    except OSError:  # a damaged record: show what there is
        claimed = _READ
    stream = stream_at(file, offset, magic)
    skipped = stream.tell()
    while skipped < start and (piece := stream.read(min(_READ, start - skipped))):
        skipped += len(piece)
    data = b""
    while (
        (end := HEADER_END.search(data)) is None
        and len(data) < MAX_HEADER
        and (piece := stream.read(_READ))
    ):
        data += piece
    wanted = (end.end() if end else 0) + claimed
    while len(data) < wanted and (piece := stream.read(wanted - len(data))):
        data += piece
    return data[:wanted]
