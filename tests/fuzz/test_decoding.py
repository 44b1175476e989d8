"""HTTP bodies and charsets: only declared errors, and never more bytes than the limit."""

import gzip
import zlib

import brotli
import zstandard
from corpusmill.stages.readers import charset, content_type
from corpusmill.stages.readers.http import (
    BodyError,
    BodyTooLarge,
    decode_body,
    parse_answer,
    parse_headers,
    parse_mime,
)
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.budget import fuzz
from tests.fuzz.damage import KEY_BYTES, damaged
from tests.stages.readers.warc_bytes import answer, page

LIMIT = 100_000
PACKED = [
    gzip.compress(page()),
    zlib.compress(page()),
    brotli.compress(page()),
    zstandard.compress(page()),
    gzip.compress(bytes(10**6)),
    brotli.compress(bytes(10**6)),
]
PACKED += [zstandard.compress(bytes(10**7)), b"5\r\nhello\r\n0\r\n\r\n", page()]
CODINGS = st.sampled_from(
    [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "chunked",
        "identity",
        "",
        "rot13",
        "gzip, br",
        ",",
        "x-gzip;q=1",
    ]
)


@fuzz(150)
@given(damaged(st.sampled_from(PACKED) | st.binary(max_size=200)), CODINGS, CODINGS)
def test_a_body_is_decoded_within_the_limit_or_refused(body, transfer, content):
    try:
        decoded = decode_body(
            body, {"transfer-encoding": transfer, "content-encoding": content}, LIMIT
        )
    except (BodyError, BodyTooLarge):
        return
    assert len(decoded) <= LIMIT


@fuzz(100)
@given(damaged(st.just(answer(page()))))
@example(b"HTTP/1.1 200 OK\r\nContent-T\xd9pe: text/html\r\n\r\n")
def test_an_answer_is_taken_apart_whatever_it_is(block):
    found = parse_answer(block)
    assert len(found.body) <= len(block)
    assert all(name == name.lower() for name in found.headers)


@fuzz(60)
@given(
    st.lists(st.sampled_from(KEY_BYTES) | st.binary(max_size=30), max_size=8), st.text(max_size=40)
)
def test_headers_and_types_never_fail(lines, value):
    assert isinstance(parse_headers(lines), dict)
    assert len(parse_mime(value)) == 2


@fuzz(150)
@given(
    damaged(
        st.sampled_from(
            [
                page(),
                page().decode().encode("utf-16"),
                "日本語".encode("shift_jis") * 30,
                "Привет".encode("koi8-r") * 30,
            ]
        )
        | st.binary(max_size=300)
    ),
    st.none()
    | st.sampled_from(
        [
            "utf-8",
            "utf-16",
            "idna",
            "base64",
            "rot13",
            "utf-7",
            "gb18030",
            "no such",
            "unicode_escape",
            "ï»¿",
        ]
    )
    | st.text(max_size=10),
)
def test_every_page_has_characters_whatever_its_charset_claims_to_be(payload, declared):
    text, codec = charset.decoded(payload, declared)
    assert "\0" not in text
    text.encode()  # no lone surrogates
    assert codec
    assert content_type.sniffed_mime(payload)
