"""Code, lists, tables and headings come out whole."""

import numpy as np
import pytest
from corpusmill.stages.extract import main_content
from corpusmill.stages.extract.page.block_text import LAST_CHARACTER, WORDS
from corpusmill.stages.extract.page.whole import make_whole


def whole(html: str, taken: set[str], scores: float = 0.5) -> list[str]:
    """The texts of the blocks that are taken in the end. taken: those at first."""
    page = main_content.blocks_of(html)
    features = main_content.features_of(page, "en")
    texts = [page.text[block[0] : block[1]].decode() for block in page.blocks]
    chosen = np.array([text in taken for text in texts])
    make_whole(
        page.blocks,
        page.elements,
        features[:, WORDS].astype(np.float64),
        features[:, LAST_CHARACTER],
        np.full(len(texts), scores, np.float32),
        chosen,
    )
    return [text for text, is_chosen in zip(texts, chosen, strict=True) if is_chosen]


@pytest.mark.parametrize(
    ("html", "taken", "kept"),
    [
        ("<p>a<pre>x = 1</pre><p>b", {"a", "b"}, True),
        ("<p>a<pre>x = 1</pre><p>b", {"a"}, False),
        ("<p>a<pre>x = 1</pre><p>b", {"b"}, False),
        ("<p>like this:<pre>x = 1</pre><p>b", {"like this:"}, True),
        ("<p>a<pre>x = 1</pre><p>1<p>2<p>3<p>b", {"a", "b"}, False),
        ("<p>a<pre>x = 1</pre><pre>y = 2</pre>", {"y = 2"}, True),
        ("<p>a<pre>x = 1</pre><p>b<p>c<p>d<p>e<pre>y = 2</pre>", {"a", "y = 2"}, True),
        ("<p>a<pre>x = 1</pre><pre>and a lot of other code</pre>", {"a"}, False),
        ("<p>a<p>b<pre>x = 1</pre><p>c<pre>y = 2</pre>", {"a", "y = 2"}, False),
    ],
)
def test_code_is_taken_between_taken_blocks_and_behind_a_colon(html, taken, kept):
    assert ("x = 1" in whole(html, taken)) == kept


TABLE = "<p>before<table><tr><td>a<td>b<tr><td>c<td>d<tr><td>e<td>f</table><p>after"


def test_a_table_is_taken_whole_if_most_of_it_is():
    assert whole(TABLE, {"a", "b", "c", "d"}) == list("abcdef")


def test_a_table_is_left_if_little_of_it_is_taken():
    assert whole(TABLE, {"a"}, scores=0.05) == []


def test_a_table_in_the_text_is_taken_if_it_is_not_unlikely():
    both = {"before", "after"}
    assert whole(TABLE, both) == ["before", *"abcdef", "after"]
    assert whole(TABLE, both, scores=0.05) == ["before", "after"]


def test_a_layout_table_is_left_alone():
    long = "word " * 80
    html = f"<table><tr><td>menu<td>{long}<tr><td>a<td>b</table>"
    assert whole(html, {long.strip()}) == [long.strip()]


def test_a_table_with_a_caption_is_data():
    html = "<p>before<p>one<p>two<p>three" + TABLE.replace(
        "<table>", "<table><caption>Sizes</caption>"
    )
    assert whole(html, {"a", "b", "c", "d"}) == ["Sizes", *"abcdef"]


def test_a_cell_of_many_lines_makes_no_table_of_data():
    html = "<table><tr><td>name<td>1<p>2<p>3<p>4<tr><td>a<td>b</table>"
    assert whole(html, {"1", "2", "3", "4"}) == ["1", "2", "3", "4"]


def test_lists_in_a_list_are_taken_with_it():
    html = "<ul><li>one thing and another<ol><li>x<li>y</ol><li>two things</ul>"
    assert whole(html, {"one thing and another"}) == [
        "one thing and another",
        "x",
        "y",
        "two things",
    ]


def test_a_list_is_taken_whole_unless_it_is_of_links():
    items = "".join(f"<li>{{}}item {number}{{}}</li>" for number in range(4))
    html = "<ul>" + items.replace("{}", "") + "</ul>"
    assert len(whole(html, {"item 0", "item 1"})) == 4
    assert len(whole(html, {"item 0"})) == 1
    links = "<ul>" + items.replace("{}item", "<a href=x>item").replace("{}", "</a>") + "</ul>"
    assert len(whole(links, {"item 0", "item 1"})) == 2


def test_a_heading_is_taken_with_the_block_below_it():
    html = "<h2>Section</h2><h3>Part</h3><p>text</p><h2>Related</h2><p>other</p>"
    assert whole(html, {"text"}) == ["Section", "Part", "text"]
    assert whole(html, {"text"}, scores=0.1) == ["text"]


def test_a_term_is_taken_with_its_meaning():
    html = "<dl><dt>size</dt><dd>how many</dd><dt>kind</dt><dd>which</dd></dl>"
    assert whole(html, {"how many"}, scores=0.01) == ["size", "how many"]
