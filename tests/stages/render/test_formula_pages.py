"""Pages with formulas: their text is the source, their picture is the formula."""

import hashlib
import io
import json
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from corpusmill.stages.render.grid import typeset
from corpusmill.stages.render.look import Paper
from corpusmill.stages.render.stage import Render, pages
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

PLAIN: dict[str, Any] = {"max_noise": 0, "max_blur": 0, "max_rotation": 0, "min_jpeg_quality": None}
PAPER = {"width": 224, "height": 224, "max_font_size": 16, "max_columns": 1} | PLAIN
PROSE = "The quick brown fox jumps over the lazy dog. "
INLINE = r"Let $x^2 + \frac{a}{b} = \sqrt{c}$ be the sum, and $n$ the count of all things. "
DISPLAY = "We have\n\n$$\n\\sum_{i=1}^n i = \\frac{n (n + 1)}{2}\n$$\n\nfor all of these numbers. "


@pytest.fixture(scope="module")
def drawn():
    return Render(paper=Paper(**PAPER), max_pages=None, min_characters=1)


@pytest.fixture(scope="module")
def source(drawn):
    return drawn.model_copy(update={"formulas": "source"})


def made(text, render, name="a"):
    return list(pages(name, text, render, render.faces()))


def picture(page):
    return np.asarray(Image.open(io.BytesIO(page.image)), dtype=int)


def without_blanks(text):
    return "".join(text.split())


@pytest.mark.parametrize("text", [INLINE, DISPLAY, INLINE * 20 + DISPLAY * 5])
def test_the_text_is_the_source_and_the_picture_is_not(drawn, source, text):
    ours, plain = made(text, drawn), made(text, source)
    for found in (ours, plain):
        assert without_blanks("".join(page.text for page in found)) == without_blanks(text)
    assert "$" in ours[0].text
    assert "$" not in ours[0].letters.text
    assert "$" in plain[0].letters.text
    assert ours[0].image != plain[0].image


def test_pages_without_formulas_have_the_bytes_that_they_had(drawn, source):
    text = PROSE * 30 + "It costs $5 and $10.\n\n```\necho $x $y\n```\n"
    assert made(text, drawn) == made(text, source)


def test_a_displayed_formula_stands_in_the_middle_of_a_line_of_its_own(drawn):
    for name in "abcdefgh":
        page = made("$$x = y$$", drawn, name)[0]
        assert page.text == "$$x = y$$"
        assert page.letters.text == "x=y"
        assert page.letters.x[1] == pytest.approx(112, abs=8)
    (page,) = made(PROSE + "\n$$a = b$$.\nAnd so on.", drawn)
    assert page.text.split("\n") == [PROSE.strip(), "$$a = b$$.", "And so on."]


def test_an_inline_formula_stands_on_the_line(drawn):
    for name in "abcdefgh":
        page = made("x $x$ x $x$ x", drawn, name)[0]
        assert page.letters.text == "xxxxx"
        assert np.ptp(page.letters.y) <= 4
        assert all(before < after for before, after in pairwise(page.letters.x))


def test_letters_of_formulas_lie_on_ink(drawn):
    turned = drawn.model_copy(update={"paper": drawn.paper.model_copy(update={"max_rotation": 9})})
    on_ink = []
    for page in made((INLINE + DISPLAY) * 12, turned):
        levels = picture(page)
        ground = np.bincount(levels.ravel()).argmax()
        on_ink += [
            np.abs(levels[max(0, y - 3) : y + 4, max(0, x - 2) : x + 3] - ground).max() > 40
            for x, y in zip(page.letters.x, page.letters.y, strict=True)
        ]
    assert len(on_ink) > 500
    assert np.mean(on_ink) > 0.98


@pytest.mark.parametrize(
    "formula",
    [
        "+".join("abcdefghijklmnopqrstuvwxyz" * 3),
        r"\begin{array}{l} " + r" \\ ".join("x" * 40) + r" \end{array}",
        r"\unknown + 1",
        r"x \label{eq}",
        "{}",
        r"\,",
        r"\quad",
        r"\rlap{x}",
        r"\hspace{-1}x",
        r"\begin{pmatrix}\quad\end{pmatrix}",
        r"\phantom{E = mc^2}",
        r"\left\uparrow \; \right|",
        r"\begin{array}{} a \end{array}",
    ],
)
def test_what_does_not_fit_or_is_unknown_is_drawn_as_source(drawn, formula):
    for text in (f"See ${formula}$ here.", f"See\n$${formula}$$\nhere."):
        found = made(text, drawn)
        letters = "".join(page.letters.text for page in found)
        assert letters == without_blanks(text)
        assert without_blanks("".join(page.text for page in found)) == without_blanks(text)


def test_wide_formulas_shrink_a_little(drawn):
    widths = [
        np.ptp(page.letters.x)
        for count in range(4, 16)
        for page in made(f"$${'+'.join('x' * count)}$$", drawn)
        if "$" not in page.letters.text
    ]
    assert len(widths) >= 6
    assert max(widths) < 224


def test_formulas_in_code_and_tables_are_source(drawn):
    text = "```\nprint $x^2$\n```\n| $x^2$ | b |\n| c | d |\n"
    assert all("$x^2$" in without_blanks(page.letters.text) for page in made(text, drawn))


def test_pages_do_not_hang_on_what_was_drawn_before(drawn):
    texts = [INLINE * 4, r"Now $x \le ☃$ here.", "Now\n$$x \\leq ☃$$\nhere.", DISPLAY]
    typeset.cache_clear()
    forwards = [made(text, drawn) for text in texts]
    typeset.cache_clear()
    backwards = [made(text, drawn) for text in reversed(texts)]
    assert forwards == backwards[::-1]
    code = (
        "import hashlib, json, sys\n"
        "from corpusmill.stages.render.stage import Render, pages\n"
        "settings, text = json.load(sys.stdin)\n"
        "render = Render.model_validate(settings)\n"
        "images = b''.join(page.image for page in pages('a', text, render, render.faces()))\n"
        "print(hashlib.sha256(images).hexdigest())"
    )
    told = json.dumps([drawn.model_dump(mode="json"), texts[2] + INLINE])
    done = subprocess.run(
        [sys.executable, "-c", code], input=told, capture_output=True, text=True, check=True
    )
    here = b"".join(page.image for page in made(texts[2] + INLINE, drawn))
    assert done.stdout.strip() == hashlib.sha256(here).hexdigest()


PARTS = [
    "word ",
    "an ",
    "$x^2$ ",
    "$5 ",
    r"$$\frac{a}{b}$$",
    r"\[x=1\]",
    "\n\n",
    "\n",
    ", ",
    "f($x$) ",
]
PARTS += ["${}$", r"$\quad$ ", r"$$\rlap{x}$$", r"\(\hspace{-1}x\)", r"$\left( \; \right)$"]
PARTS += [r"\begin{align}a&=b\\c&=d\end{align}", r"$\unknown$ ", "$a+b$,$c$", "`$y$` ", "$", "\\"]


@settings(max_examples=60, deadline=None)
@given(text=st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
def test_pages_hold_all_of_the_text_in_order(drawn, text):
    found = made(text, drawn)
    assert without_blanks("".join(page.text for page in found)) == without_blanks(text)
    for page in found:
        assert without_blanks(page.text) == without_blanks(text[page.start : page.end])
    for before, after in pairwise(found):
        assert before.end == after.start
