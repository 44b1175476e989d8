"""The links of a page's main content: which count, and what their addresses become."""

import numpy as np
import pytest
from corpusmill.stages.extract.linked_text import MOST, written
from corpusmill.stages.extract.links import LONGEST, Written, resolved
from corpusmill.stages.extract.main_content import blocks_of
from corpusmill.stages.extract.page.page import BEGIN, END
from corpusmill.stages.extract.stage import Extract

from tests.stages.extract.test_extract import of_rows, outcome_of
from tests.stages.readers.warc_bytes import PROSE, answer

URL = "https://e.org/a/page?x=1#top"


def links_of(html, only=None):
    """The addresses in the blocks whose text is among `only`; in all blocks if that is None."""
    page = blocks_of(html)
    texts = [page.text[block[BEGIN] : block[END]].decode() for block in page.blocks]
    chosen = np.array([only is None or text in only for text in texts], bool)
    return written(page.data, page.links, page.blocks, chosen)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>see <a href=/one>one</a> and <a href='/two'>two</a>", ["/one", "/two"]),
        ('<p><a href="/one">one</a> <a href="/one">again</a>', ["/one"]),
        ("<p><a name=here>no address</a> <a href>empty</a> <a href=''>empty</a>", []),
        ("<p><a href=/picture><img src=a.png></a> text", []),
        ("<p><a href=/gone style='display:none'>hidden</a> shown", []),
        ("<p><a href=/one>one <a href=/two>two</a> three", ["/one", "/two"]),
        ("<a href=/card><h2>Title</h2><p>Text</p></a>", ["/card"]),
        ("<h2>Title<a class=headerlink href=#title>#</a></h2><p><a href=/b>b</a>", ["/b"]),
        ("<p>x<sup><a href=/note>1</a></sup> <a href=/b>b</a>", ["/note", "/b"]),
        ("<p><a href=/a" + "x" * LONGEST + ">long</a>", []),
        ("<p><script>'<a href=/no>x</a>'</script><!-- <a href=/no>x</a> -->none", []),
        ("<p>cut <a href=/cut", []),
    ],
)
def test_a_link_is_one_with_text_that_a_reader_sees(html, expected):
    assert links_of(html) == expected


def test_only_links_of_chosen_blocks_count():
    html = "<nav><a href=/menu>Menu</a></nav><p>Text <a href=/in>in</a></p><p><a href=/x>x</a></p>"
    assert links_of(html, {"Text in"}) == ["/in"]
    assert links_of(html, {"Menu", "x"}) == ["/menu", "/x"]
    assert links_of(html, set()) == []


def test_links_of_code_and_of_a_heading_that_is_written_again_stay_in_their_places():
    html = "<pre>x = <a href=/open>open</a>(1)</pre><h1><a href=/h>Head</a></h1><p>a"
    assert links_of(html, {"x = open(1)"}) == ["/open"]
    assert links_of(html, {"Head"}) == ["/h"]


def test_so_many_links_of_a_page_are_looked_at():
    html = "<p>" + " ".join(f"<a href=/{number}>x</a>" for number in range(MOST + 50))
    assert len(links_of(html)) == MOST


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("b", "https://e.org/a/b"),
        ("/b#part", "https://e.org/b"),
        ("../c/./d", "https://e.org/c/d"),
        ("/../c", "https://e.org/c"),
        ("//other.org/x", "https://other.org/x"),
        ("?x=2", "https://e.org/a/page?x=2"),
        ("http://F.org/a/../b", "http://F.org/b"),
        ("HTTPS:/f.org/x", "https://f.org/x"),
        ("/search?a=1&amp;b=2", "https://e.org/search?a=1&b=2"),
        ("/i.php?a=X&action=e&section=3", "https://e.org/i.php?a=X&action=e&section=3"),
        (
            "/?a=1&region=us&copy=2&notify=1&amp=3",
            "https://e.org/?a=1&region=us&copy=2&notify=1&amp=3",
        ),
        ("/?a&notit;&amp;b&copy2&nosuch;c", "https://e.org/?a&notit;&b&copy2&nosuch;c"),
        ("/&#97;&#x62&#99&copy;&para/&amp", "https://e.org/abc\u00a9\u00b6/&"),
        ("https://user:word@f.org/a@b", "https://f.org/a@b"),
        ("//a@b@f.org?c=@d", "https://f.org?c=@d"),
        ("http://me@f.org", "http://f.org"),
        ("http://me@f.org/a/../b c", "http://f.org/b%20c"),
        ("http://me@/x", None),
        ("https://f.org/@me", "https://f.org/@me"),
        (" /a b\n", "https://e.org/a%20b"),
        ("/\u00e9t\u00e9", "https://e.org/\u00e9t\u00e9"),
        *((none, None) for none in ["#", "#top", "page?x=1", "", "mailto:a@e.org", "http://"]),
        *((none, None) for none in ["javascript:go()", "tel:1", "data:,x", "//[bad", "http:///"]),
    ],
)
def test_an_address_is_what_a_browser_would_open(address, link):
    assert resolved(Written([address]), URL, 9) == ([link] if link else [])


def test_a_base_moves_relative_addresses():
    assert resolved(Written(["b", "/c"], "/docs/v1/"), URL, 9) == [
        "https://e.org/docs/v1/b",
        "https://e.org/c",
    ]
    assert resolved(Written(["b"], "https://cdn.org/x/"), None, 9) == ["https://cdn.org/x/b"]
    assert resolved(Written(["b"], "mailto:x"), URL, 9) == ["https://e.org/a/b"]


@pytest.mark.parametrize("url", [None, "", "file.html", "ftp://e.org/x"])
def test_without_a_page_s_address_only_whole_addresses_are_links(url):
    assert resolved(Written(["b", "/c", "//d.org/", "https://e.org/x"]), url, 9) == [
        "https://e.org/x"
    ]


def test_links_keep_their_order_are_told_apart_without_fragment_and_end_at_the_limit():
    addresses = ["/b#1", "mailto:x", "/a", "/b#2", "/c", "/d"]
    assert resolved(Written(addresses), URL, 3) == [
        "https://e.org/b",
        "https://e.org/a",
        "https://e.org/c",
    ]


PAGE = (
    f"<base href='/docs/'><nav><a href=/menu>Menu</a></nav><main><p>{PROSE}</p>"
    f"<p>{PROSE} <a href=next#x>See the next part</a> of this.</p></main>"
    "<footer><a href=/imprint>Imprint</a></footer>"
).encode()


@pytest.mark.parametrize("extractor", ["main_content", "union"])
def test_a_document_holds_the_links_of_its_main_content(tmp_path, extractor):
    settings = Extract(extractor=extractor)
    (row,) = outcome_of(tmp_path, answer(PAGE), settings=settings).kept.to_pylist()
    assert row["links"] == ["http://example.org/docs/next"]


def test_links_are_unknown_without_a_page_and_for_other_extractors(tmp_path):
    assert of_rows({"text": PROSE}).kept["links"].to_pylist() == [None]
    for settings in (Extract(extractor="resiliparse"), Extract(max_links=0)):
        (row,) = outcome_of(tmp_path, answer(PAGE), settings=settings).kept.to_pylist()
        assert row["links"] is None
