"""Writing text: white space collapses, references are resolved, blocks end where they should."""

import html
import re

import pytest
from corpusmill.stages.extract.page.block_borders import end_block
from corpusmill.stages.extract.page.formulas import write_formula
from corpusmill.stages.extract.page.page import (
    BEGIN,
    BLOCKS,
    CHARACTERS,
    END,
    PRE_FROM,
    new_page,
)
from corpusmill.stages.extract.page.text import break_line, new_line_in_code, write_text
from hypothesis import given, settings
from hypothesis import strategies as st


class Written:
    """A page whose text is written by hand."""

    def __init__(self, data: str, preformatted: bool = False) -> None:
        self.page = new_page(data.encode())
        self.size = len(data.encode())
        self.page.state[PRE_FROM] = int(preformatted)

    def write(self, begin: int = 0, end: int | None = None) -> "Written":
        write_text(self.page, begin, self.size if end is None else end)
        return self

    def blocks(self) -> list[str]:
        end_block(self.page)
        rows = self.page.blocks[: self.page.state[BLOCKS]]
        return [self.page.text[row[BEGIN] : row[END]].tobytes().decode() for row in rows]


def collapsed(text: str) -> str:
    """The text between two tags in plain Python: white space becomes one space, and invisible
    characters go.
    """
    text = html.unescape(text)
    text = re.sub("[\xad\u200b\u200e\u200f\ufeff]", "", text)
    return re.sub(r"\s+", " ", text).strip()


REFERENCES = ["&amp;", "&eacute;", "&nbsp;", "&#233;", "&#x41;", "&x", "&lt;p&gt;"]
PIECES = st.sampled_from([*"aBé漢😀 \n\t\xa0\u2003\u3000\xad\u200b.&", *REFERENCES])


@settings(deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_text_is_written_as_python_would_collapse_it(text):
    expected = collapsed(text)
    written = Written(text).write()
    assert written.blocks() == ([expected] if expected else [])
    if expected:
        visible = sum(not c.isspace() for c in expected)
        assert written.page.blocks[0, CHARACTERS] == visible


def test_two_breaks_end_a_block_and_one_is_a_line_feed():
    written = Written("one two three")
    written.write(0, 3)
    break_line(written.page)
    written.write(3, 7)
    break_line(written.page)
    break_line(written.page)
    written.write(7, 13)
    assert written.blocks() == ["one\ntwo", "three"]


def test_preformatted_text_keeps_its_white_space():
    assert Written("\n a\r\n\tb  c\n", preformatted=True).write().blocks() == [" a\n\tb  c"]


def test_a_tag_in_code_begins_one_line_only():
    written = Written("ab", preformatted=True).write(0, 1)
    new_line_in_code(written.page)
    new_line_in_code(written.page)
    assert written.write(1, 2).blocks() == ["a\nb"]


@pytest.mark.parametrize(
    ("tex", "display", "text"),
    [
        (" x^2 ", False, "$x^2$"),
        ("x^2", True, "$$x^2$$"),
        ("$x$", False, "$x$"),
        (r"\(x\)", False, r"\(x\)"),
        ("a &lt; b", False, "$a < b$"),
    ],
)
def test_formulas(tex, display, text):
    written = Written(tex)
    write_formula(written.page, 0, written.size, display)
    assert written.blocks() == [text]


def test_an_empty_formula_is_nothing():
    written = Written("  ")
    write_formula(written.page, 0, 2, True)
    assert written.blocks() == []
