"""The title of a page, and the block that shows it."""

import time

import numpy as np
import pytest
from corpusmill.stages.extract import html as extractors
from corpusmill.stages.extract.headline import NOWHERE, headline_of, with_headline
from corpusmill.stages.extract.main_content import blocks_of
from corpusmill.stages.extract.page.page import BEGIN, END

from tests.stages.readers.warc_bytes import PROSE


def found(html):
    """The title, and the text of the block that shows it."""
    page = blocks_of(html)
    title, block = headline_of(html, page.text, page.blocks, page.levels)
    shown = (
        None
        if block == NOWHERE
        else page.text[page.blocks[block, BEGIN] : page.blocks[block, END]].decode()
    )
    return title, shown


@pytest.mark.parametrize(
    ("html", "title", "shown"),
    [
        (
            "<title>The river rises | Valley News</title><header><h1>Valley News</h1></header>"
            "<main><h1>The river rises</h1><p>x",
            *("The river rises", "The river rises"),
        ),
        (
            "<title>Stuffing into old bread | How Does She</title><h1>How Does She</h1>"
            "<h1>Stuffing into old bread</h1>",
            *("Stuffing into old bread", "Stuffing into old bread"),
        ),
        (
            "<meta property='og:title' content='The river &amp; the mill'><meta "
            "property=og:site_name content='Valley News'><title>Valley News</title>"
            "<h1>Valley News</h1><h2>The river & the mill</h2>",
            *("The river & the mill", "The river & the mill"),
        ),
        (
            "<meta content='The river rises' property='og:title'><title>x</title><div "
            "class=headline>The river rises</div>",
            *("The river rises", "The river rises"),
        ),
        (
            '<script type="application/ld+json">{"@type": "X", "headline": "The \\"old\\" '
            'mill"}</script><title>News</title><h1>The “old” mill</h1>',
            *("The “old” mill", "The “old” mill"),
        ),
        (
            "<title>Why I like old trains | Bob's blog</title><h1>Bob's blog</h1>"
            "<h2>Why I like old trains</h2><p>x",
            *("Why I like old trains",) * 2,
        ),
        (
            "<meta property=og:title content='Why I like trains'><title>Bob's blog</title>"
            "<h1>Bob's blog</h1><h2>Why I like trains</h2><p>x",
            *("Why I like trains",) * 2,
        ),
        (
            "<title>News | The river rises again</title><h1>News</h1>"
            "<h2>The river rises again</h2>",
            *("The river rises again",) * 2,
        ),
        (
            "<title>News - The old mill</title><h1>3.1 Mills - The old mill</h1><p>x"
            "<h2>The old mill</h2><p>y",
            *("3.1 Mills - The old mill",) * 2,
        ),
        ("<title>Valley News | The river rises</title><p>x", "The river rises", None),
        ("<title>The river rises | Valley News</title><p>x", "The river rises", None),
        (
            "<title>Valley News: The river rises today</title>",
            "Valley News: The river rises today",
            None,
        ),
        ("<h1>A heading that nothing confirms</h1><p>x", *("A heading that nothing confirms",) * 2),
        ("<h1>One of two headings</h1><h1>The other one of two</h1>", None, None),
        ("<p>x", None, None),
        ("<title>  </title>", None, None),
    ],
)
def test_headlines(html, title, shown):
    assert found(html) == (title, shown)


def with_kept(kept, block, words=None):
    chosen = np.array(kept, bool)
    sizes = np.array(words or [10] * len(kept), float)
    return with_headline(chosen, sizes, block).astype(int).tolist()


def test_the_headline_above_the_main_content_is_kept_and_crumbs_before_it_go():
    assert with_kept([0, 0, 1, 1], 1) == [0, 1, 1, 1]
    assert with_kept([1, 0, 0, 1], 1, [3, 5, 9, 90]) == [0, 1, 0, 1]


def test_a_headline_that_does_not_stand_above_the_main_content_changes_nothing():
    assert with_kept([1, 1, 0], 2) == [1, 1, 0]
    assert with_kept([0, 0, 0], 1) == [0, 0, 0]
    assert with_kept([1, 1], NOWHERE) == [1, 1]
    assert with_kept([1, 0, 1], 1, [400, 5, 100]) == [1, 0, 1]
    assert with_kept([0, 1, *[0] * 50, 1], 0)[0] == 1
    assert with_kept([0, 0, *[0] * 50, 1], 0)[0] == 0


PAGE = (
    "<html><head><title>The river rises | Valley News</title></head><body><div class=crumb><a "
    f"href=/>Home</a></div><div class=headline>The river rises</div><p>{PROSE}</p><p>{PROSE}</p>"
)


@pytest.mark.parametrize("extractor", ["main_content", "justext", "resiliparse"])
def test_every_extractor_gives_the_title(extractor):
    assert extractors.read(PAGE, extractor, lambda _text: "en").title == "The river rises"


def test_the_text_begins_with_the_headline():
    text = extractors.main_text(PAGE, "main_content", lambda _text: "en")
    assert text.startswith("# The river rises\n\nThe river had")


BANNER = "<html><title>The river rises</title><body><h1>The river rises</h1>"


def test_a_headline_that_is_shown_twice_is_said_once():
    html = f"{BANNER}<p>3 May<div><h2>The River rises</h2><p>{PROSE}<p>{PROSE}</div>"
    text = extractors.main_text(html, "main_content", lambda _text: "en")
    assert text.lower().count("the river rises") == 1


def test_a_later_section_may_have_the_name_of_the_page():
    html = f"{BANNER}<p>{PROSE}<h2>The river rises</h2><p>{PROSE}<p>{PROSE}</div>"
    text = extractors.main_text(html, "main_content", lambda _text: "en")
    assert text.count("The river rises") == 2


def test_crumbs_between_headline_and_text_go():
    crumbs = "<ol class=breadcrumb><li>Valley<li>Weather news<li>The river rises</ol>"
    html = f"{BANNER}{crumbs}<article><p>{PROSE}<p>{PROSE}</article>"
    text = extractors.main_text(html, "main_content", lambda _text: "en")
    assert "Weather news" not in text
    assert text.count("The river rises") == 1


def test_names_of_a_hostile_page_take_little_time():
    started = time.process_time()
    assert found("<meta " * 100_000)[0] is None
    assert found('<meta property="og:title" ' * 20_000)[0] is None
    assert found('"headline"' + " " * 300_000)[0] is None
    assert time.process_time() - started < 2
