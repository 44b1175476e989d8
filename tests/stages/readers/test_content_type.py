"""Content that is not what its Content-Type says."""

import time

import pytest
from corpusmill.stages.extract.stage import Extract
from corpusmill.stages.readers.content_type import mime_of

from tests.stages.readers.warc_bytes import PROSE, answer, page, put, record, table_of

FRAGMENT = f"<div class='a'><p>{PROSE}</p>\n<p>{PROSE}</p></div>".encode()
WORDS = f"A letter\n\n{PROSE}\n{PROSE}\n".encode()
BINARY = bytes(range(256)) * 20
DATA = {
    "application/json": [
        b'{"a": [1, 2, {"b": "<p>markup</p>"}]}',
        b'\n[{"title": "x"}]\n',
        b"[" * 5000 + b"]" * 5000,
    ],
    "application/xml": [
        b'<?xml version="1.0"?>\n<rss version="2.0"><channel><item>x</item></channel></rss>',
        b'<!-- made --><feed xmlns="http://www.w3.org/2005/Atom"><entry>x</entry></feed>',
        b"\xef\xbb\xbf<?xml version='1.0'?><urlset><url><loc>x</loc></url></urlset>",
        b"<rdf:RDF xmlns:rdf='x'><item>x</item></rdf:RDF>",
        b"<svg xmlns='x'><text>x</text></svg>",
    ],
    "text/javascript": [
        b"(function(){var a = 1;\nreturn a;})();",
        b"/* jQuery */\n!function(e,t){e.x=t}(window,1);",
        b"'use strict';\nvar a = require('a');\nmodule.exports = a;",
        b"var links = ['a', 'b'];\nfunction go() { links.pop(); }",
        b'jsonp123([{"a": 1}]);',
        b"import x from './x.js';\nexport default x;",
        b"// a library\nwindow.onload = function () { start(); };",
    ],
    "text/css": [
        b"body { margin: 0; padding: 0 }\n.a > b:hover { color: red; }",
        b"@charset 'utf-8';\n@import url(a.css);",
        b"/* reset */\nhtml, body{margin:0}\n@media print{a{color:#000}}",
    ],
    "application/pdf": [b"%PDF-1.4\n" + BINARY],
    "image/png": [b"\x89PNG\r\n\x1a\n" + BINARY],
    "image/jpeg": [b"\xff\xd8\xff\xe0" + BINARY],
    "image/webp": [b"RIFF\x10\0\0\0WEBPVP8 " + BINARY],
    "video/mp4": [b"\0\0\0\x18ftypmp42" + BINARY],
    "application/zip": [b"PK\x03\x04" + BINARY],
    "application/gzip": [b"\x1f\x8b\x08" + BINARY],
    "application/octet-stream": [BINARY],
}
CASES = [pytest.param(body, mime) for mime, bodies in DATA.items() for body in bodies]
UNKNOWN = (None, "application/octet-stream", "binary/octet-stream", "unknown/unknown", "text")


@pytest.mark.parametrize(("body", "mime"), CASES)
@pytest.mark.parametrize("declared", ["text/html", "application/xhtml+xml", *UNKNOWN])
def test_data_that_is_sent_as_a_page_is_data(body, mime, declared):
    assert mime_of(body, declared) == mime


@pytest.mark.parametrize(
    "body",
    [
        page(),
        b"\n<!-- c -->\n" + page(),
        b"\xef\xbb\xbf<!DOCTYPE html>\n" + page(),
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">' + page(),
        page().upper(),
        page().decode().encode("utf-16"),
        page().decode().encode("utf-16-le"),
    ],
)
@pytest.mark.parametrize(
    "declared",
    ["text/html", "text/plain", "application/json", "text/css", "image/jpeg", "text/xml", *UNKNOWN],
)
def test_a_page_is_a_page_whatever_it_is_sent_as(body, declared):
    assert mime_of(body, declared) in ("text/html", "application/xhtml+xml")


@pytest.mark.parametrize("declared", ["text/plain", "text/html", *UNKNOWN])
def test_a_part_of_a_page_is_a_page(declared):
    assert mime_of(FRAGMENT, declared) == "text/html"


@pytest.mark.parametrize("declared", ["text/plain", "text/html", *UNKNOWN])
@pytest.mark.parametrize(
    "body",
    [
        WORDS,
        b"From: <anna@example.org>\nTo: <http://example.org/>\n\n" + WORDS,
        b"if a < b and c > d:\n    pass\n",
        b"{not json}\nReally.\n",
        b"[1] A note.\n[2] Another.\n",
        b"function is a word\nand var is another.\n",
        b"Dear all: {this} is prose;\nIt ends here.\n",
    ],
)
def test_plain_text_is_plain_text(body, declared):
    assert mime_of(body, declared) == "text/plain"


def test_a_text_about_markup_remains_a_text():
    for text in (
        b"The <p> element is a paragraph.\n<b>Bold</b> text is not often needed.\n",
        b"<b> is the tag for bold text, and <i> is that for italics.\nUse them with care.\n",
        b"Write <html> first, then </html>.\n",
    ):
        assert mime_of(text, "text/plain") == "text/plain"


def test_one_line_without_markup_remains_what_it_is_declared_as():
    assert mime_of(b"just words", "text/html") == "text/html"
    assert mime_of(b"a &amp; b\nc", "text/html") == "text/html"


def test_other_types_are_believed():
    assert mime_of(b"a,b\n1,2\n", "text/csv") == "text/csv"
    assert mime_of(b"<a/>", "application/xml") == "application/xml"


def extracted(tmp_path, body, declared):
    block = answer(body, Content_Type=declared)
    table = table_of(put(tmp_path, "a.warc", record(0, block)))
    return Extract(languages=(), language_threshold=0).apply(table)


def test_a_page_sent_as_text_comes_out_without_tags(tmp_path):
    (text,) = extracted(tmp_path, page(), "text/plain; charset=utf-8").kept["text"].to_pylist()
    assert PROSE.strip() in text
    assert "<" not in text


def test_a_text_sent_as_a_page_keeps_its_lines(tmp_path):
    (text,) = extracted(tmp_path, WORDS, "text/html").kept["text"].to_pylist()
    assert text == WORDS.decode().strip("\n")


def test_data_sent_as_a_page_is_dropped_and_the_reason_says_what_it_is(tmp_path):
    (row,) = extracted(tmp_path, DATA["application/json"][0], "text/html").excluded.to_pylist()
    assert (row["reason"], row["detail"]) == (
        "http.mime",
        "mime=application/json (its header says text/html)",
    )


@pytest.mark.parametrize(
    "unit",
    [
        b"<!-- ",
        b"/* ",
        b"/**/",
        b"// \n",
        b"{",
        b"[",
        b"a",
        b"a ",
        b".a, ",
        b"<",
        b"<zz",
        b"</",
        b"&a",
        b"\n",
        b"a(",
        b"!",
        b"<?xml ",
        b"\xef\xbb\xbf",
        b"import a\n",
    ],
)
@pytest.mark.parametrize("declared", ["text/html", "text/plain", None])
def test_time_grows_with_the_length(unit, declared):
    def seconds(size):
        started = time.process_time()
        mime_of(unit * (size // len(unit)), declared)
        return time.process_time() - started

    assert seconds(8_000_000) < 16 * seconds(1_000_000) + 0.5
