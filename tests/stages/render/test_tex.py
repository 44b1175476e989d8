"""LaTeX in mathtext's spelling: the same picture, or a refusal."""

import contextlib

import pytest
from corpusmill.stages.render.tex import UnknownError, dialect
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (r"\frac12", r"\frac{1}{2}"),
        (r"\frac{a}b", r"\frac{a}{b}"),
        (r"\mathbb R^n", r"\mathbb{R}^{n}"),
        (r"\sqrt 2 + \sqrt[3]x", r"\sqrt{2} + \sqrt[3]{x}"),
        (r"a \le b \iff c", r"a \leq b \Longleftrightarrow c"),
        (r"{a \over b}", r"{\frac{a}{b}}"),
        (r"{n \choose k}", r"{\binom{n}{k}}"),
        (r"{\rm Spec} A", r"{\mathrm{ Spec}} A"),
        (r"\mbox{if } x", r"\text{if } x"),
        (r"\overset{̂}{x}", r"\hat{x}"),
        (r"\sum_i i", r"{\sum}_{i} i"),
        (r"\sum\limits_i i", r"\sum_{i} i"),
        (r"\displaystyle \frac{a}{b}", r" \dfrac{a}{b}"),
        (r"a \not\in b", r"a \notin b"),
        (r"X_n^'", r"X_{n}^{\prime}"),
    ],
)
def test_spelling_in_a_line_of_text(source, written):
    assert dialect(source, False) == written


def test_fractions_and_limits_of_a_displayed_formula():
    assert dialect(r"\sum_i \frac{\frac{a}{b}}{c}", True) == r"\sum_{i} \dfrac{\frac{a}{b}}{c}"


REFUSED = [
    r"x \label{a}",
    r"x + \phantom{y}",
    r"x \tag{1}",
    "x % y",
    r"\text{a $b$}",
    "x $ y",
    r"\frac{a}",
    "{x",
    "x}",
]
REFUSED += ["^", "{" * 40 + "x" + "}" * 40, r"\not\alpha", "\\"]


@pytest.mark.parametrize("source", REFUSED)
def test_refused(source):
    with pytest.raises(UnknownError):
        assert dialect(source, False) is None


PARTS = [*"{}[]^_$%&'x1 \\", r"\frac", r"\left", r"\over", r"\text", r"\sqrt", r"\bigl", r"\sum"]


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_any_source_is_written_or_refused(source):
    for display in (False, True):
        with contextlib.suppress(UnknownError):
            assert isinstance(dialect(source, display), str)
