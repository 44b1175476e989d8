"""Names, attributes, comments and raw content, against Python's own HTML parser and exact
examples.
"""

from html.parser import HTMLParser

import numpy as np
import pytest
from corpusmill.stages.extract.page.attribute_values import facts_of, mark_words, whole_number
from corpusmill.stages.extract.page.facts import FACTS
from corpusmill.stages.extract.page.hashing import word_hash
from corpusmill.stages.extract.page.names import ATTRIBUTES, REGIONS, tag_number
from corpusmill.stages.extract.page.page import LANGUAGE_BEGIN, LANGUAGE_END, new_page
from corpusmill.stages.extract.page.tags import (
    after_comment,
    name_hash,
    raw_end,
    read_attributes,
    tag_name_end,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def as_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def attributes_of(text: str) -> tuple[int, dict[str, str]]:
    """The place behind a start tag whose attributes are `text`, and the values of its known
    attributes.
    """
    page = new_page(text.encode())
    place, present = read_attributes(page, 0)
    values = {}
    for number, name in enumerate(ATTRIBUTES):
        if present >> number & 1:
            begin, end = page.spans[number]
            values[name] = page.data[begin:end].tobytes().decode()
    return place, values


class Parser(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.attributes = {}

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            self.attributes.setdefault(name, value or "")


VALUES = st.text(alphabet="ab -_/é", max_size=6)
ATTRIBUTE = st.tuples(
    st.sampled_from([*ATTRIBUTES, "href", "CLASS", "data-x"]), VALUES, st.sampled_from("\"'")
).map(lambda each: f"{each[0]}={each[2]}{each[1]}{each[2]}")


@settings(deadline=None)
@given(st.lists(ATTRIBUTE | st.sampled_from(["hidden", "id", "class=bare"]), max_size=6))
def test_attributes_are_those_of_pythons_parser(attributes):
    text = " ".join(attributes) + ">"
    parser = Parser()
    parser.feed(f"<p {text}")
    place, values = attributes_of(text)
    assert place == len(text.encode())
    assert values == {k: v for k, v in parser.attributes.items() if k in ATTRIBUTES}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("/>", {}),
        ("id = 'x' >", {"id": "x"}),
        ("id=a id=b>", {"id": "a"}),
        ("class=a/b>", {"class": "a/b"}),
        ("id='a>b'>", {"id": "a>b"}),
        ("alt=>", {"alt": ""}),
    ],
)
def test_attributes(text, values):
    assert attributes_of(text) == (len(text), values)


def test_a_tag_without_an_end_lies_beyond_the_page():
    assert attributes_of("id=a")[0] == 5


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<!-- a > b -->c", "c"),
        ("<!-->c", "c"),
        ("<!--a--!>c", "c"),
        ("<!doctype html>c", "c"),
        ("<?php a ?>c", "c"),
        ("<!-- a", ""),
    ],
)
def test_after_comment(text, rest):
    data = as_bytes(text)
    assert text.encode()[after_comment(data, 2) :].decode() == rest


@settings(deadline=None)
@given(st.text(alphabet="aB-7", min_size=1, max_size=12), st.sampled_from(" >/\n"))
def test_a_name_ends_at_space_slash_or_greater_and_hashes_in_lower_case(name, end):
    data = as_bytes(name + end + "x")
    assert tag_name_end(data, 0) == len(name)
    assert int(name_hash(data, 0, len(name))) == word_hash(name.lower())


@pytest.mark.parametrize(
    ("text", "content", "rest"),
    [
        ("a</script>b", "a", "b"),
        ("a</b></SCRIPT x>b", "a</b>", "b"),
        ("a</scripts>", "a</scripts>", ""),
        ("a", "a", ""),
    ],
)
def test_raw_content_ends_at_its_own_end_tag(text, content, rest):
    end, after = raw_end(as_bytes(text), 0, tag_number("script"))
    assert (text[:end], text[after:]) == (content, rest)


def facts(attributes, image=False):
    """The names of the facts, and the programming language that a class names."""
    page = new_page(f"{attributes}>".encode())
    _, present = read_attributes(page, 0)
    found = int(facts_of(page, present, tag_number("img" if image else "p")))
    begin, end = page.state[LANGUAGE_BEGIN], page.state[LANGUAGE_END]
    return {name for name, bit in FACTS.items() if found & bit}, page.data[begin:end].tobytes()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("style='color:red; display: NONE'", {"UNDISPLAYED", "DISPLAYS"}),
        ("style='display:none!important'", {"UNDISPLAYED", "DISPLAYS"}),
        ("style='Display :\tnone ; color: red'", {"UNDISPLAYED", "DISPLAYS"}),
        ("style='visibility:hidden'", {"UNDISPLAYED", "DISPLAYS"}),
        ("style='position:absolute;left:-9999px'", {"UNDISPLAYED"}),
        ("style='text-indent:-999em'", {"UNDISPLAYED"}),
        ("style='clip: rect(0, 0, 0, 0)'", {"UNDISPLAYED"}),
        ("style='left:-9px;margin-left:-999px'", set()),
        ("style='display:block'", {"DISPLAYS"}),
        ("style='opacity:0'", {"TRANSPARENT"}),
        ("style='opacity:0.5'", set()),
        ("style='opacity:0;transform:none'", {"TRANSPARENT", "MOVES"}),
        ("style='left:-2000px'", {"UNDISPLAYED"}),
        ("style='width:1px;height:0;overflow:hidden'", {"NARROW", "LOW", "CUT", "UNDISPLAYED"}),
        ("style='width:1px;height:0'", {"NARROW", "LOW"}),
        ("class=d-none", {"HIDDEN_CLASS", "UNDISPLAYED"}),
        ("class='d-none d-lg-block'", {"HIDDEN_CLASS", "SHOWN_CLASS"}),
        ("class='hidden 2xl:grid'", {"HIDDEN_CLASS", "SHOWN_CLASS"}),
        ("class=commtext", {"POST"}),
        ("title=display:none", set()),
        ("hidden", {"UNDISPLAYED"}),
        ("hidden=until-found", {"UNDISPLAYED", "FINDABLE"}),
        ("aria-hidden=true", {"UNSPOKEN"}),
        ("class='a SR-Only b'", {"OUT_OF_SIGHT"}),
        ("class='not-sr-only'", set()),
        ("class='x-latex'", set()),
        ("class='lineno'", {"NUMBERS"}),
        ("class='line-numbers-rows'", {"GUTTER"}),
        ("role=presentation", {"LAYOUT"}),
        ("style='white-space: pre-wrap'", {"WHITE_SPACE"}),
    ],
)
def test_facts(attributes, expected):
    assert facts(attributes)[0] == expected


def test_parts_of_a_class_say_that_an_image_is_a_formula():
    assert facts("class='x-latex'", image=True)[0] == {"MATH_IMAGE"}


@pytest.mark.parametrize(
    ("value", "language"),
    [
        ("language-python", b"python"),
        ("hljs lang-c++", b"c++"),
        ("highlight highlight-source-shell", b"shell"),
        ("brush: python; toolbar: false", b"python;"),
        ("brush:js", b"js"),
        ("sourceCode haskell", b"haskell"),
        ("highlight", b""),
        ("python", b""),
    ],
)
def test_a_class_names_the_language_of_code(value, language):
    assert facts(f"class='{value}'")[1] == language


@pytest.mark.parametrize(
    ("value", "number"),
    [("7", 7), (" -3", -3), ("+12x", 12), ("x", 5), ("", 5), ("9" * 30, 999999999)],
)
def test_whole_numbers(value, number):
    page = new_page(f"start='{value}'>".encode())
    read_attributes(page, 0)
    assert whole_number(page, ATTRIBUTES.index("start"), 5) == number


@pytest.mark.parametrize(
    ("value", "regions"),
    [
        ("sidebar", {"sidebar"}),
        ("post-body", {"post", "body"}),
        ("postBody", {"post", "body"}),
        ("NAV", {"navigation"}),
        ("xsidebar", set()),
        ("ad1", {"promotion"}),
    ],
)
def test_words_of_a_class_open_regions(value, regions):
    text = f"class='{value}'>"
    page = new_page(text.encode())
    read_attributes(page, 0)
    mark_words(page, ATTRIBUTES.index("class"), 0)
    opened = page.stack_levels[0] == 0
    assert {REGIONS[number] for number in np.flatnonzero(opened)} == regions
