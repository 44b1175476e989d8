"""What a reader of the page does not see does not come out, unless it is the page."""

import itertools

import pytest
from corpusmill.stages.extract.page.page import MAX_DEPTH
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.extract.pages import text_of

LONG = "The river had risen during the night and the fields were under water. " * 15


@pytest.mark.parametrize(
    "attributes",
    [
        "style='display:none'",
        "style='color: red; DISPLAY : none !important'",
        "style='visibility: hidden; height: 0'",
        "style='visibility:collapse'",
        "style='position:absolute; left:-9999px'",
        "style='clip: rect(0 0 0 0)'",
        "hidden",
        "hidden=hidden",
        "hidden=''",
        "class='x sr-only'",
        "class=visually-hidden",
        "class=screen-reader-text",
        "style='left:-5000px; position: absolute'",
        "style='text-indent:-9999em'",
        "style='clip-path: inset(50%)'",
        "style='width:1px;height:1px;overflow:hidden'",
        "style='font-size: 0'",
        "style='font-size:0px; color:red'",
        "class=d-none",
        "class='card hidden'",
        "class='invisible'",
        "class='d-none d-print-block'",
    ],
)
@pytest.mark.parametrize("tag", ["div", "p", "span", "section", "custom-tag", "li"])
def test_hidden_elements_do_not_come_out(tag, attributes):
    assert text_of(f"<p>before</p><{tag} {attributes}>hidden <b>words</b></{tag}><p>after") == (
        "before\n\nafter"
    )


@pytest.mark.parametrize(
    "html",
    [
        "<span style='display:none'>x</span>",
        "<noscript>Please enable JavaScript.</noscript>",
        "<noscript><p>Please<div>enable JavaScript.</noscript>",
        "<noscript><img src=a alt=b></noscript>",
        "<i class=material-icons>arrow_forward</i>",
        "<b hidden>x<br>y</b>",
    ],
)
def test_hidden_text_inside_a_paragraph_does_not_break_it(html):
    assert text_of(f"<p>one {html}two</p>") == "one two"


def test_what_is_inside_a_template_closes_nothing_outside():
    assert text_of("<div>one<template><p>x</div></template><b>two</b></div>") == "one\n\ntwo"


def test_hidden_text_before_shown_text():
    assert text_of("<p><span hidden>no</span>yes <span hidden>no</span>again") == "yes again"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p hidden=until-found>found", "found"),
        ("<dialog>no</dialog><dialog open>yes</dialog>", "yes"),
        ("<h2 class=sr-only>Heading</h2>", "## Heading"),
        ("<div aria-hidden=true>seen</div>", "seen"),
        ("<details><summary>more</summary>closed</details>", "more\n\nclosed"),
        ("<div style='opacity:0'>fades in</div>", "fades in"),
        ("<input type=hidden value=x><meta itemprop=y content=z>a", "a"),
    ],
)
def test_what_a_reader_can_see_stays(html, text):
    assert text_of(html) == text


@pytest.mark.parametrize(
    "wrapper",
    [
        "<div style='display:none'>",
        "<div hidden>",
        "<noscript>",
        "<span style='visibility:hidden'>",
    ],
)
def test_a_page_that_is_hidden_as_a_whole_is_shown_but_not_what_is_hidden_inside_it(wrapper):
    html = f"<p>Menu</p>{wrapper}<p>{LONG}</p><p hidden>no</p><p>{LONG}</p>"
    assert text_of(html) == f"Menu\n\n{LONG.strip()}\n\n{LONG.strip()}"


def test_a_plea_alone_is_no_page():
    assert text_of("<noscript>You need to enable JavaScript to run this app.</noscript>") == ""


@pytest.mark.parametrize(
    "attributes",
    [
        "class='d-none d-md-block'",
        "class='hidden lg:flex'",
        "class=hidden-xs",
        "style='left:-20px'",
        "style='margin-left:-9999px;padding-left:9999px'",
        "style='font-size: 0.9em'",
        "style='height:0'",
        "style='opacity: 0.4'",
    ],
)
def test_what_is_hidden_on_some_screens_only_stays(attributes):
    assert text_of(f"<p>before<div {attributes}>shown</div>") == "before\n\nshown"


def test_an_element_without_font_size_may_hold_elements_with_one():
    html = "<div style='font-size:0'>\n<div style='font-size:14px'>shown</div></div>"
    assert text_of(html) == "shown"


@pytest.mark.parametrize("tag", ["div", "p", "span"])
def test_a_little_text_without_opacity_is_hidden(tag):
    html = f"<p>{LONG}<{tag} style='opacity:0'>a few words</{tag}><p>{LONG}"
    assert "a few words" not in text_of(html)


@pytest.mark.parametrize(
    "style",
    [
        "opacity:0;pointer-events:none",
        "position: fixed; opacity: 0; transition: opacity 1s",
        "opacity:0;z-index:-1;position:absolute",
        "opacity:0;z-index:-1000",
    ],
)
def test_much_text_without_opacity_that_no_pointer_reaches_is_hidden(style):
    html = f"<p>{LONG}<div style='{style}'><p>{LONG.replace('river', 'lake')}</div><p>{LONG}"
    assert "lake" not in text_of(html)


@pytest.mark.parametrize(
    "style", ["opacity:0", "opacity: 0; transform: translateY(20px)", "transition:all;opacity:0"]
)
def test_text_that_a_script_makes_appear_stays(style):
    html = f"<p>{LONG}<div style='{style}'><p>{LONG}</div>"
    assert text_of(html).count("The river had risen") == 2 * LONG.count("The river had risen")


@pytest.mark.parametrize(
    "panel",
    [
        "class=tab-pane style='display:none'",
        "role=tabpanel hidden",
        "class=tabItem_Ymn6 hidden",
        "class='sphinx-tabs-panel group-tab' hidden=true",
        "class=accordion-content aria-hidden=true style='display:none'",
        "class='faq-answer d-none'",
    ],
)
def test_panels_that_a_click_shows_stay(panel):
    html = f"<p>{LONG}<div {panel}><p>Wax the leather.<p class=hidden>not this</div>"
    assert text_of(html).endswith("Wax the leather.")


HIDING = ["div hidden", "b style='display:none'", "noscript", "template", "object"]
INSIDE = ["no", "<i>no</i>", "<p>no</p>", "<xmp>no</xmp>", "<p><b>no</b></p>"]


@given(
    st.integers(MAX_DEPTH - 4, MAX_DEPTH + 4),
    st.sampled_from([*itertools.product(HIDING, INSIDE), ("xmp hidden", "no")]),
)
@settings(max_examples=60, deadline=None)
def test_hidden_text_does_not_come_out_at_any_depth(depth, hidden):
    """And what follows it is shown. The stack of open tags has an end."""
    tag, inside = hidden
    html = f"{'<div>' * depth}before<{tag}>{inside}</{tag.split()[0]}><p>after</p>"
    assert text_of(f"{html}{'</div>' * depth}<p>end").split() == ["before", "after", "end"]
