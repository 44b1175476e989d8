"""An HTTP answer as a crawler stored it: status, headers, and the body without its encodings.

Crawlers differ. Common Crawl stores the body decoded and renames the headers. Others keep
`Content-Encoding: gzip` over a body that is decoded already, or take out chunk sizes and keep
their header. So an encoding is undone only if the bytes look like it. Source: RFC 9110 section
8.4, RFC 9112 section 7.1.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zstandard
from corpusmill.stages.readers.streams import DECODERS, GZIP_MAGIC, ZSTD_MAGIC

_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})(?:\s|$)", re.IGNORECASE)
# The end of the headers: an empty line, or a tag where the empty line is missing.
_HEADERS_END = re.compile(rb"\r{0,2}\n(?:\r{0,2}\n|(?=<[!a-zA-Z?]))")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_SEPARATOR = re.compile(r"\s*[,;]\s*")
_LOOKS_LIKE_TEXT = re.compile(rb"\s*[<{\[]")
_NOT_NUL = re.compile(rb"[^\0]")
# Compressed bytes for a decoder at a time. zstandard decodes all of them, at worst to 32 MB.
_STEP = 1024
_MOST_MEMBERS = 10_000  # of one body; real ones have one, block-compressed ones some hundreds


class BodyError(Exception):
    """The body is not what its headers say. `str` says how."""


class BodyTooLarge(Exception):
    """The decoded body is longer than allowed."""


@dataclass(frozen=True)
class Answer:
    """status: None if the block does not begin with a status line. headers: names in lower
    case; of equal names the first counts.
    """

    status: int | None
    headers: dict[str, str]
    body: bytes


def parse_answer(block: bytes) -> Answer:
    """Split the block of a `response` record. A block without a status line is all body."""
    status = _STATUS_LINE.match(block)
    if status is None:
        return Answer(None, {}, block)
    end = _HEADERS_END.search(block)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    return Answer(int(status[1]), parse_headers(head.split(b"\n")[1:]), body)


def parse_headers(lines: list[bytes], encoding: str = "latin-1") -> dict[str, str]:
    """`Name: value` lines. A line without a colon is skipped. A folded line continues the one
    before.
    """
    headers: dict[str, list[bytes]] = {}
    values: list[bytes] | None = None  # of the field that a folded line continues
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if values is not None:
                values.append(line.strip())
            continue
        name, colon, value = line.partition(b":")
        key = name.strip().decode(encoding, "replace").lower() if colon else ""
        values = None
        if key and key not in headers:
            values = headers[key] = [value.strip()]
    return {name: b" ".join(parts).decode(encoding, "replace") for name, parts in headers.items()}


def parse_mime(value: str | None) -> tuple[str | None, str | None]:
    """MIME type and charset of a Content-Type value, in lower case. None where it does not say."""
    if not value:
        return None, None
    mime, *parameters = [part.strip().lower() for part in value.split(";")]
    charset = next(
        (part.partition("=")[2].strip(" \"'") for part in parameters if part.startswith("charset")),
        "",
    )
    return mime.split(",")[0].strip() or None, charset or None


def decode_body(body: bytes, headers: dict[str, str], limit: int) -> bytes:
    """The body without its transfer and content encodings. Raises BodyError or BodyTooLarge
    (more than `limit` bytes).
    """
    for coding in reversed(_SEPARATOR.split(headers.get("transfer-encoding", "").lower())):
        body = unchunked(body) if coding == "chunked" else _decoded(body, coding, limit)
    for coding in reversed(_SEPARATOR.split(headers.get("content-encoding", "").lower())):
        if coding.startswith("q="):  # a weight, which belongs in a request
            continue
        body = _decoded(body, coding, limit)
    if len(body) > limit:
        raise BodyTooLarge(f"{len(body)} bytes > {limit}")
    return body


def unchunked(body: bytes) -> bytes:
    """The body of a chunked transfer, or the body itself if it does not begin with a chunk
    size.

    Raises BodyError if it breaks off.
    """
    parts: list[bytes] = []
    at = 0
    while True:
        size_line = _CHUNK_SIZE.match(body, at)
        if size_line is None:
            if not parts:
                return body
            raise BodyError(f"the chunked body breaks off after {at} bytes")
        size, at = int(size_line[1], 16), size_line.end()
        if size == 0:
            return b"".join(parts)
        if at + size > len(body):
            raise BodyError(
                f"the chunked body breaks off: a chunk of {size} bytes has {len(body) - at}"
            )
        parts.append(body[at : at + size])
        at += size
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0


def _decoded(body: bytes, coding: str, limit: int) -> bytes:
    if coding in ("", "identity", "none", "utf-8", "aws-chunked") or not body:
        return body
    if coding in ("gzip", "x-gzip"):
        return (
            _joined(body, DECODERS[GZIP_MAGIC], zlib.error, limit)
            if body.startswith(GZIP_MAGIC[:2])
            else body
        )
    if coding == "deflate":
        if _LOOKS_LIKE_TEXT.match(body):
            return body
        zlib_framed = body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
        window = 15 if zlib_framed else -15  # some servers send deflate data without its zlib frame
        return _joined(body, lambda: zlib.decompressobj(window), zlib.error, limit, most=1)
    if coding == "br":
        return _unbrotlied(body, limit)
    if coding == "zstd":
        return (
            _joined(body, DECODERS[ZSTD_MAGIC], zstandard.ZstdError, limit)
            if body.startswith(ZSTD_MAGIC)
            else body
        )
    if _LOOKS_LIKE_TEXT.match(body):
        return body
    raise BodyError(f"the content encoding {coding!r} is not known")


def _joined(
    body: bytes,
    decoder_of: Callable[[], Any],
    failure: type[Exception],
    limit: int,
    most: int | None = None,
) -> bytes:
    """The content of a body's compressed members (the first `most` of them), one after the
    other.

    Zero bytes behind the last one are padding. Rubbish after a whole gzip member is ignored, as
    browsers do. The time is linear in the body's length.
    """
    view, left = memoryview(body), limit
    parts: list[bytes] = []
    at = members = 0
    while members != most and _NOT_NUL.search(body, at):
        members += 1
        if members > _MOST_MEMBERS:
            raise BodyError(f"the compressed body has more than {_MOST_MEMBERS} members")
        decoder = decoder_of()
        while not decoder.eof:
            piece = view[at : at + _STEP]
            if not piece:
                raise BodyError("the compressed body breaks off")
            try:
                parts.append(decoder.decompress(piece))
            except failure as error:
                if members > 1 and failure is zlib.error:
                    return b"".join(parts)
                raise BodyError(f"the compressed body does not decode ({error})") from error
            left -= len(parts[-1])
            if left < 0:
                raise BodyTooLarge(f"more than {limit} bytes when decoded")
            at += len(piece) - len(decoder.unused_data)
    return b"".join(parts)


def _unbrotlied(body: bytes, limit: int) -> bytes:
    import brotli

    decoder = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    try:
        waiting = body
        while not decoder.is_finished():
            parts.append(decoder.process(waiting, output_buffer_limit=1 << 20))
            size += len(parts[-1])
            if size > limit:
                raise BodyTooLarge(f"more than {limit} bytes when decoded")
            waiting = b""
            if not parts[-1] and decoder.can_accept_more_data():
                raise BodyError("the compressed body breaks off")
    except brotli.error as error:
        # Brotli has no magic number. Such a body was already decoded by the crawler.
        if _LOOKS_LIKE_TEXT.match(body):
            return body
        raise BodyError(f"the compressed body does not decode ({error})") from error
    return b"".join(parts)
