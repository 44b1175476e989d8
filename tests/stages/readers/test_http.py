"""HTTP answers as crawlers store them: encodings are undone where the bytes have them, and only
there.
"""

import gzip
import time
import zlib

import brotli
import pytest
import zstandard
from corpusmill.stages.readers import content_type
from corpusmill.stages.readers.http import (
    BodyError,
    BodyTooLarge,
    decode_body,
    parse_answer,
    parse_mime,
)

from tests.stages.readers.warc_bytes import answer, page, put, record, rows_of

BODY = page()
LIMIT = 1 << 20
RAW_DEFLATE = zlib.compressobj(wbits=-15)
ENCODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),
    "deflate": zlib.compress(BODY),
    "br": brotli.compress(BODY),
    "zstd": zstandard.compress(BODY[:100]) + zstandard.compress(BODY[100:]),
}


@pytest.mark.parametrize("coding", ENCODED)
def test_a_content_encoding_is_undone(coding):
    assert decode_body(ENCODED[coding], {"content-encoding": coding}, LIMIT) == BODY


def test_deflate_without_its_zlib_frame_is_undone():
    raw = RAW_DEFLATE.compress(BODY) + RAW_DEFLATE.flush()
    assert decode_body(raw, {"content-encoding": "deflate"}, LIMIT) == BODY


@pytest.mark.parametrize("coding", [*ENCODED, "identity"])
def test_a_body_that_the_crawler_decoded_already_is_taken_as_it_stands(coding):
    assert decode_body(BODY, {"content-encoding": coding}, LIMIT) == BODY


def test_chunks_are_joined_and_then_decoded():
    packed = gzip.compress(BODY)
    chunked = (
        b"".join(
            b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in (packed[:50], packed[50:])
        )
        + b"0\r\n\r\n"
    )
    assert (
        decode_body(chunked, {"transfer-encoding": "chunked", "content-encoding": "gzip"}, LIMIT)
        == BODY
    )


def test_a_body_without_chunk_sizes_is_taken_as_it_stands():
    assert decode_body(BODY, {"transfer-encoding": "chunked"}, LIMIT) == BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_compressed_body_that_breaks_off_is_an_error(coding):
    with pytest.raises(BodyError, match=r"breaks off|does not decode"):
        decode_body(ENCODED[coding][:-20], {"content-encoding": coding}, LIMIT)


def test_chunks_that_break_off_are_an_error():
    with pytest.raises(BodyError, match="breaks off"):
        decode_body(b"5\r\nhello\r\nff\r\nshort", {"transfer-encoding": "chunked"}, LIMIT)


def test_an_unknown_content_encoding_is_an_error():
    with pytest.raises(BodyError, match="'rot13' is not known"):
        decode_body(b"uggc" * 9, {"content-encoding": "rot13"}, LIMIT)


@pytest.mark.parametrize(
    "pack", [gzip.compress, zlib.compress, brotli.compress, zstandard.compress]
)
def test_a_small_body_that_unpacks_to_more_than_allowed_is_stopped(pack):
    coding = {
        gzip.compress: "gzip",
        zlib.compress: "deflate",
        brotli.compress: "br",
        zstandard.compress: "zstd",
    }[pack]
    with pytest.raises(BodyTooLarge):
        decode_body(pack(bytes(4 << 20)), {"content-encoding": coding}, LIMIT)


def test_a_brotli_page_comes_out_of_a_warc_file(tmp_path):
    (row,) = rows_of(
        put(tmp_path, "crawl.warc", record(0, answer(ENCODED["br"], Content_Encoding="br")))
    )
    assert row["payload"] == BODY


def test_a_broken_body_is_a_row_that_says_so(tmp_path):
    (row,) = rows_of(
        put(
            tmp_path,
            "crawl.warc",
            record(0, answer(ENCODED["gzip"][:-20], Content_Encoding="gzip")),
        )
    )
    assert row["error"] == "error_read.body"
    assert (row["status"], row["mime"]) == (200, "text/html")


def test_line_ends_without_carriage_return_are_understood():
    found = parse_answer(b"HTTP/1.0 301 Moved\nLocation: x\nContent-Type:\n text/html\n\nbody")
    assert (found.status, found.body) == (301, b"body")
    assert found.headers == {"location": "x", "content-type": " text/html"}


@pytest.mark.parametrize(
    ("value", "mime", "charset"),
    [
        ("Text/HTML; Charset=UTF-8", "text/html", "utf-8"),
        ("text/html;charset='iso-8859-1'", "text/html", "iso-8859-1"),
        ("text/html", "text/html", None),
        ("; charset=utf-8", None, "utf-8"),
        (None, None, None),
    ],
)
def test_a_content_type_is_taken_apart(value, mime, charset):
    assert parse_mime(value) == (mime, charset)


@pytest.mark.parametrize(
    "member", [gzip.compress(b"", mtime=0), zstandard.ZstdCompressor().compress(b"")]
)
def test_a_body_of_a_million_empty_members_is_refused_at_once(member):
    coding = "gzip" if member[:2] == b"\x1f\x8b" else "zstd"
    started = time.perf_counter()
    with pytest.raises(BodyError, match="more than 10000 members"):
        decode_body(member * 1_000_000, {"content-encoding": coding}, 1 << 20)
    assert time.perf_counter() - started < 5


def test_an_encoding_that_is_none_leaves_a_plain_page_as_it_is():
    for value in ("text/html", "iso-8859-1", "gzip;q=1"):
        assert decode_body(b"<html>plain", {"content-encoding": value}, 1 << 20) == b"<html>plain"


def test_comments_before_a_page_cost_no_more_than_their_length():
    started = time.perf_counter()
    assert content_type.sniffed_mime(b"<!---->" * 5000 + b"<html>") in ("text/html", "text/plain")
    assert content_type.sniffed_mime(b"<!-- -->\n" * 60 + b"<center>") != ""
    assert content_type.sniffed_mime(b"<!-- a -->\n" * 3 + b"<html>") == "text/html"
    assert time.perf_counter() - started < 1
