"""Simple rules of a page's own style sheets hide text."""

import time

import pytest
from corpusmill.stages.extract.main_content import blocks_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.extract.pages import text_of

TEXT = "The river had risen during the night and the fields were under water."


def shows(rules: str, attributes: str = "class=a", media: str = "") -> bool:
    html = f"<style {media}>{rules}</style><p>{TEXT}<p {attributes}>hidden<p>{TEXT}"
    return "hidden" in text_of(html)


@pytest.mark.parametrize(
    ("rules", "attributes"),
    [
        (".a{display:none}", "class=a"),
        (".a{display:none}", "class='b a'"),
        ("#b { display : none !important }", "id=b"),
        (".x,.a , .y{visibility:hidden}", "class=a"),
        (".A{DISPLAY:NONE}", "class=A"),
        (".a{position:absolute;left:-9999px}", "class=a"),
        (".a{color:red;display:none", "class=a"),
        (".b{color:red}.c{}\n.a\n{\n display:none;\n}", "class=a"),
        ('@import "x.css"; .a{display:none}', "class=a"),
        ('@charset "utf-8";@font-face{src:url(a)}.a{display:none}', "class=a"),
        ("<!-- .a{display:none} -->", "class=a"),
        ("@media print{.b{color:red}}.a{display:none}", "class=a"),
        ("p.a{display:none}", "class=a"),
        ("div.a, P.a{display:none}", "class=a"),
        ("p#b{display:none}", "id=b"),
    ],
)
def test_a_class_or_id_that_a_rule_hides_is_hidden(rules, attributes):
    assert not shows(rules, attributes)


@pytest.mark.parametrize(
    "rules",
    [
        ".b{display:none}",
        ".ab{display:none}",
        "#a{display:none}",
        ".a{color:red}",
        ".a.b{display:none}",
        "div.a{display:none}",
        "x-y.a{display:none}",
        "p.a.b{display:none}",
        "div p.a{display:none}",
        ".b .a{display:none}",
        ".a:hover{display:none}",
        "@media print{.a{display:none}}",
        "@media (max-width: 600px){.b{color:red}.a{display:none}}",
        "/* .a{display:none} */ .b{color:red}",
        '.b::before{content:"}.a{display:none}"}',
        ".b{color:red /* } .a{display:none */}",
    ],
)
def test_other_rules_hide_nothing(rules):
    assert shows(rules)


@pytest.mark.parametrize(
    "rules",
    [
        ".a{display:none}.a.on{display:block}",
        ".a{display:none} .open > .a{display:flex}",
        ".a{display:none}@media (min-width: 768px){.a{display:block}}",
        ".a{visibility:hidden}.js .a{visibility:visible}",
        "p.a{display:none}.on .a{display:block}",
        "p.a{display:none}@media (min-width: 768px){p.a{display:block}}",
    ],
)
def test_a_name_that_any_rule_shows_is_shown(rules):
    assert shows(rules)


@pytest.mark.parametrize(
    ("media", "shown"),
    [
        ("", False),
        ("media=all", False),
        ("media=screen", False),
        ("media=print", True),
        ("media='screen and (max-width: 600px)'", True),
        ("media='(min-width: 600px)'", True),
    ],
)
def test_a_style_sheet_for_other_media_hides_nothing(media, shown):
    assert shows(".a{display:none}", media=media) == shown


def test_names_beyond_the_room_for_them_hide_nothing():
    rules = "".join(f".n{number}{{display:none}}" for number in range(2000))
    assert not shows(rules, "class=n1")
    assert not shows(rules, "class=n1999")
    assert shows(rules.replace("n", "m") + rules, "class=n1")


@pytest.mark.parametrize("piece", [".a{", "{", "}", "/*", "'", '"', "@media{", ".a,", ";", "\\"])
def test_time_is_linear_in_a_hostile_style_sheet(piece):
    blocks_of("<style>.a{</style>x")
    started = time.process_time()
    blocks_of(f"<style>{piece * 400_000}</style><p>x")
    assert time.process_time() - started < 1


@given(st.lists(st.tuples(st.sampled_from(["none", "block"]), st.integers(0, 2500)), max_size=4))
@settings(max_examples=20, deadline=None)
def test_a_name_that_the_last_rule_shows_is_shown_among_any_number_of_names(others):
    rules = "".join(
        f".n{group}-{number}{{display:{display}}}"
        for group, (display, count) in enumerate(others)
        for number in range(count)
    )
    assert shows(f".a{{display:none}}{rules}.a{{display:block}}")
