"""The walk through a page: where blocks begin and end, what they stand in, white space, references,
formulas.
"""

import html as standard

import numpy as np
import pytest
from corpusmill.stages.extract.main_content import blocks_of
from corpusmill.stages.extract.page.entities import decode_reference
from corpusmill.stages.extract.page.names import FAR, REGIONS
from corpusmill.stages.extract.page.page import (
    BEGIN,
    CELL,
    CHARACTERS,
    END,
    HEADING,
    LINK_CHARACTERS,
    LINKS,
    LIST_DEPTH,
    LIST_ITEM,
    ORDINAL,
    PREFORMATTED,
    ROW,
    STRONG_CHARACTERS,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def texts(html):
    page = blocks_of(html)
    return [page.text[block[BEGIN] : block[END]].decode() for block in page.blocks]


def column(html, number):
    return blocks_of(html).blocks[:, number].tolist()


def levels(html):
    """The levels of the last block: region -> levels up."""
    page = blocks_of(html)
    return {
        name: int(level)
        for name, level in zip(REGIONS, page.levels[-1], strict=True)
        if level < FAR
    }


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>one<p>two", ["one", "two"]),
        ("<p>one <b>two</b><i>three</i>\n four</p>", ["one twothree four"]),
        ("one<div>two</div>three", ["one", "two", "three"]),
        ("<li>a<li>b<ul><li>c</ul>d", ["a", "b", "c", "d"]),
        ("<table><tr><td>a<td>b<tr><td>c</table>d", ["a", "b", "c", "d"]),
        ("<dl><dt>a<dd>b<dt>c</dl>", ["a", "b", "c"]),
        ("a<br>b<br><br>c", ["a\nb", "c"]),
        ("<h1>a<h2>b</h2>c", ["a", "b", "c"]),
        ("a<hr>b", ["a", "b"]),
        ("<p>a<!-- <p>no --> b<!>c<?php no ?>d</p>", ["a bcd"]),
        ("<script>if (a < b) '<p>no'</script>a<style>no</style>b<template>no</template>", ["ab"]),
        ("<textarea>no</textarea><select><option>no</select><iframe><p>no</iframe>a", ["a"]),
        ("<svg><title>no</title><path/><text>no</text></svg>a", ["a"]),
        ("a < b & c <3", ["a < b & c <3"]),
        ("<custom-tag>a</custom-tag><p>b", ["a", "b"]),
        ("</p>a</div></td>b", ["ab"]),
        ("<P CLASS=x>a</P\n>b", ["a", "b"]),
        ("<p title='a>b'>c", ["c"]),
        ("<p title=a>b>c", ["b>c"]),
        ("a<p", ["a"]),
        ("<button>a</button><label>b</label>c", ["a", "bc"]),
        ("<p>the <label>size</label> was<input> so", ["the size was so"]),
    ],
)
def test_blocks_begin_and_end_where_lines_break(html, expected):
    assert texts(html) == expected


def test_an_end_tag_does_not_reach_out_of_a_table_cell():
    assert levels("<div class=post><table><tr><td></div><p>a")["post"] == 4
    assert "post" not in levels("<div class=post><table><tr><td></td></tr></table></div><p>a")


def test_an_inline_end_tag_does_not_close_blocks():
    assert levels("<span><div class=post></span>a") == {"post": 0}


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a \t\n  b&nbsp;&#160; c\u3000d</p>", "a b c d"),
        ("<p>soft\u00adhy&shy;phen zero\u200bwidth \ufeffmark", "softhyphen zerowidth mark"),
        (
            "<p>&lt;p&gt; &eacute;&#233;&#xE9; &copy2 &#x80; &unknown; &amp;lt;",
            "<p> ééé ©2 € &unknown; &lt;",
        ),
        ("<p>a\0b\x07c", "abc"),
    ],
)
def test_white_space_references_and_controls(html, expected):
    assert texts(html) == [expected]


def test_code_keeps_its_lines_and_spaces():
    html = (
        "<pre class=x>\n<code><span>def</span> f():\r\n\treturn 1\n\n\n    # "
        "<b>end</b></code>\n</pre>a  b"
    )
    assert texts(html) == ["def f():\n\treturn 1\n\n\n    # end", "a b"]
    assert column(html, PREFORMATTED) == [1, 0]


def test_lines_of_code_that_are_elements_are_lines():
    assert texts("<pre><div>a</div><div>  b</div>c<br>d</pre>") == ["a\n  b\nc\nd"]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a <script type='math/tex'>x < y & z</script> b", "a $x < y & z$ b"),
        ("<p>a <script type='math/tex; mode=display'>\nx\n</script>", "a $$x$$"),
        (
            "<p>a <math><mi>x</mi><annotation encoding='application/x-tex'>x &lt; "
            "y</annotation></math> b",
            "a $x < y$ b",
        ),
        ("<p>a <math display=block alttext='x^2'><mi>x</mi><mn>2</mn></math> b", "a $$x^2$$ b"),
        ("<p>a <math><mi>x</mi><mo>+</mo><mn>1</mn></math> b", "a x+1 b"),
        ("<p>a <img class='latex' alt='x_1'> b <img alt='a photo'>", "a $x_1$ b"),
        ("<p>a <img src='/latex.php?x' alt='$x_1$'>", "a $x_1$"),
        (
            "<p>a <math alttext='x'></math><img class='mwe-math-fallback-image-inline' alt='x'> b",
            "a $x$ b",
        ),
        (
            "<p><span class=katex><span "
            "class=katex-mathml><math><semantics><mi>c</mi><annotation "
            "encoding='application/x-tex'>c"
            "</annotation></semantics></math></span><span class=katex-html "
            "aria-hidden=true>c</span></span> b",
            "$c$ b",
        ),
        ("<p>a <span class=MathJax>x</span><script type=math/tex>x</script>", "a $x$"),
        ("<p>a <math><mi>x</mi><annotation-xml>no</annotation-xml></math>", "a x"),
    ],
)
def test_a_formula_is_written_once_as_tex(html, expected):
    assert texts(html) == [expected]


def test_a_class_of_the_page_that_mentions_mathjax_hides_nothing():
    assert texts("<blockquote class='abstract mathjax'>An abstract</blockquote>") == ["An abstract"]


def test_characters_are_counted_in_links_and_in_strong_text():
    html = "<p>ab <a href=x>cé f</a> <b>g</b><a name=y></a></p>"
    assert [
        column(html, number) for number in (CHARACTERS, LINK_CHARACTERS, LINKS, STRONG_CHARACTERS)
    ] == [
        [6],
        [3],
        [1],
        [1],
    ]


def test_a_link_ends_with_the_next_link_and_with_its_block():
    assert column("<a href=x>ab<a href=y>c</a>d<p>e", LINK_CHARACTERS) == [3, 0]
    assert column("<p><a href=x>ab</p>c", LINK_CHARACTERS) == [2, 0]


def test_lists_have_depths_and_ordinals():
    page = blocks_of("<ol><li>a<li>b<ul><li>c</ul></ol>d")
    assert page.blocks[:, LIST_DEPTH].tolist() == [1, 1, 2, 0]
    assert [int(page.elements[item, ORDINAL]) for item in page.blocks[:3, LIST_ITEM]] == [1, 2, 0]


def test_rows_and_cells_are_told_apart():
    html = "<table><tr><td>a<td>b<tr><td>c</table>d"
    rows, cells = column(html, ROW), column(html, CELL)
    assert rows[0] == rows[1] != rows[2]
    assert (rows[3], cells[3]) == (0, 0)
    assert len(set(cells)) == 4


def test_headings_have_their_level():
    assert column("<h1>a</h1><h3><span>b</span></h3>c", HEADING) == [1, 3, 0]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<nav>a", {"navigation": 0}),
        ("<div id=siteHeader><div><p>a", {"header": 2}),
        ("<div role=navigation>a", {"navigation": 0}),
        ("<body class='sidebar'>a", {}),
        ("<div class='entry-content'><p>a", {"content": 1, "post": 1}),
        (f"<div style='display: none'>{'word ' * 200}", {"not_shown": 0}),
        (f"<div hidden>{'word ' * 200}", {"not_shown": 0}),
        ("<div class=posting>a", {}),
        ("<div class=post></div>a", {}),
    ],
)
def test_a_block_knows_how_many_levels_up_its_regions_begin(html, expected):
    assert levels(html) == expected


def decoded_by_the_kernel(text):
    data, buffer, result, place = (
        np.frombuffer(text.encode(), np.uint8),
        np.zeros(8, np.uint8),
        b"",
        0,
    )
    while place < data.size:
        taken, written = (
            decode_reference(data, place, data.size, buffer) if data[place] == ord("&") else (0, 0)
        )
        result += buffer[:written].tobytes() if taken else data[place : place + 1].tobytes()
        place += max(taken, 1)
    return result.decode()


REFERENCES = st.sampled_from(
    [
        "&",
        "&amp;",
        "&lt",
        "&copy",
        "&notin;",
        "&not",
        "&#65;",
        "&#x1F600;",
        "&#xZ",
        "&nGt;",
        "it",
        ";",
        "é",
        "&zz;",
    ]
)


@settings(deadline=None)
@given(st.lists(REFERENCES, max_size=12).map("".join))
def test_references_are_decoded_as_the_standard_library_does(text):
    assert decoded_by_the_kernel(text) == standard.unescape(text)
