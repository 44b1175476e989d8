"""Formulas as glyphs: what is drawn, where it stands, and what is refused."""

import logging
import os
import subprocess
import sys

import pytest
from corpusmill.stages.render.grid import typeset
from corpusmill.stages.render.mathtext import STYLES, Formula
from hypothesis import given, settings
from hypothesis import strategies as st


def formula_of(source, style="cm", display=True) -> Formula:
    formula = typeset(source, style, display)
    assert formula is not None
    return formula


def read(source, style="cm", display=True):
    """The letters of a formula, from left to right."""
    formula = formula_of(source, style, display)
    glyphs = sorted(formula.glyphs, key=lambda glyph: glyph.x)
    return "".join(glyph.meaning for glyph in glyphs if glyph.letter != " ")


def height(source, display=True):
    formula = formula_of(source, "cm", display)
    return formula.ascent + formula.descent


@pytest.mark.parametrize("style", STYLES)
def test_letters_have_their_meaning_in_every_font(style):
    assert read(r"(a+b)\mathbf{c}\mathrm{d}\{1<2\}", style) == "(a+b)cd{1<2}"


def test_a_script_is_raised_and_small():
    base, script = formula_of("x^2", "cm", False).glyphs
    assert script.y > base.y + 0.2
    assert script.size < 0.8 * base.size


def test_a_displayed_fraction_is_larger():
    assert height(r"\frac{a}{b}") > 1.2 * height(r"\frac{a}{b}", display=False)


def test_the_cells_of_a_matrix_stand_in_rows_and_columns():
    formula = formula_of(r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "cm", True)
    place = {glyph.meaning: (glyph.x, glyph.y) for glyph in formula.glyphs}
    assert place["a"][1] == pytest.approx(place["b"][1], abs=0.02)
    assert place["a"][1] > place["c"][1] + 0.8
    assert place["b"][0] > place["a"][0] + 0.8
    assert min(place.values())[0] >= 0
    assert formula.ascent + formula.descent > 1.8


def test_equations_are_aligned():
    source = r"\begin{align} a &= b \\ a + a + a &= c \end{align}"
    signs = [glyph.x for glyph in formula_of(source).glyphs if glyph.meaning == "="]
    assert signs[0] == pytest.approx(signs[1])


def test_cases_in_a_formula():
    source = r"f(x) = \begin{cases} 1 & \text{if } x > 0 \\ 0 & \text{else} \end{cases}"
    assert sorted(read(source)) == sorted("f(x)={1ifx>00else")


def test_fences_and_scripts_around_an_array():
    source = r"\left[ \begin{array}{l} a \\ b \\ c \end{array} \right]^T"
    assert sorted(read(source)) == sorted("[abc]T")
    formula = formula_of(source)
    highest = max(formula.glyphs, key=lambda glyph: glyph.y)
    assert highest.meaning in "Ta"


REFUSED = [r"\R", r"\defeq", r"\begin{tikzcd} a \end{tikzcd}", r"\xymatrix{a}", r"x^a^b", "漢"]
REFUSED += [
    r"\begin{align} a \label{x} \end{align}",
    r"\begin{cases} a",
    r"\text{漢字}",
    r"\bigl|x",
]
REFUSED += [r"\begin{cases} \end{cases}", r"{\begin{cases} a \end{cases}}"]
REFUSED += ["(" * 5 + "{" * 30 + "x" + "}" * 30]
# Without ink or without area.
REFUSED += ["{}", r"\,", r"\!", r"\quad", r"\rlap{x}", r"\hspace{0}", r"x\hspace{-3}", r"\text{ }"]
REFUSED += [r"\phantom{E = mc^2}", r"a + \phantom{b}", r"\left. \right."]
REFUSED += [
    r"x + \left\uparrow \; \right|",
    r"\begin{array}{} a \end{array}",
    rf"\hspace{{{'9' * 320}}}x",
]
REFUSED += [rf"\begin{{{name}}}\quad\end{{{name}}}" for name in ("matrix", "align")]


@pytest.mark.parametrize("source", REFUSED)
def test_what_mathtext_cannot_draw_is_refused_in_silence(source, caplog, capfd):
    with caplog.at_level(logging.DEBUG, "matplotlib.mathtext"):
        assert typeset(source, "stix", True) is None
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr().err == ""


PARTS = [*"xy12+=(){}^_&', ", r"\frac", r"\sqrt", r"\alpha", r"\sum", r"\left(", r"\right)"]
PARTS += [r"\!", r"\quad", r"\hspace{-1}", r"\rlap{x}", r"\phantom{x}", "☃"]
PARTS += [r"\\", r"\begin{cases}", r"\end{cases}", r"\begin{array}{l}", r"\end{array}", r"\text{a}"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
def test_any_source_is_drawn_or_refused(source):
    formula = typeset(source, "cm", True)
    if formula is not None:
        assert formula.width > 0
        assert formula.ascent + formula.descent > 0
        assert all(glyph.size > 0 for glyph in formula.glyphs)


@pytest.mark.parametrize(
    ("first", "second"),
    [(("☃", False), ("☃", True)), ((r"x \le ☃", True), (r"x \leq ☃", True))],
)
def test_a_refusal_is_one_again_however_it_is_spelled(first, second):
    assert typeset(first[0], "cm", first[1]) is None
    assert typeset(second[0], "cm", second[1]) is None


@pytest.mark.parametrize(
    "quiet",
    [
        "logging.getLogger('matplotlib').setLevel(logging.ERROR)",
        "logging.getLogger('matplotlib.mathtext').disabled = True",
        "logging.getLogger('matplotlib.mathtext').addFilter(lambda record: False)",
        "logging.disable()",
    ],
)
def test_whoever_silences_logs_draws_no_other_glyphs(quiet):
    code = (
        f"import logging; {quiet}; from corpusmill.stages.render.grid import typeset\n"
        "print(typeset('☃', 'cm', False)); print(typeset('x', 'cm', False) is not None)"
    )
    assert run(code).split() == ["None", "True"]


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=True,
    )
    return done.stdout + done.stderr


def test_matplotlib_is_imported_at_the_first_formula():
    code = (
        "import sys; from corpusmill.stages.render import grid, stage\n"
        "print('matplotlib' in sys.modules)\n"
        "grid.typeset('x', 'cm', False); print('matplotlib' in sys.modules)"
    )
    assert run(code).split() == ["False", "True"]


def test_no_folder_for_matplotlib_and_settings_of_the_user_change_nothing(tmp_path):
    (tmp_path / "matplotlibrc").write_text("mathtext.default: bf\nmathtext.fallback: None\n")
    (tmp_path / "file").write_text("")
    code = (
        "from corpusmill.stages.render.grid import typeset\n"
        r"print(hash(typeset(r'x + \text{a} \not\subset \aleph', 'cm', False)))"
    )
    seed = {"PYTHONHASHSEED": "0"}
    expected = run(code, **seed)
    assert expected.strip("-\n").isdigit()
    assert run(code, MPLCONFIGDIR=str(tmp_path / "file" / "no"), **seed) == expected
    assert run(code, MATPLOTLIBRC=str(tmp_path / "matplotlibrc"), **seed) == expected
