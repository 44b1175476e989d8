"""What of a text is compared: pairs that must stay apart, pairs that must stay alike."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.dedup.signatures.normalization import (
    Normalization,
    tables,
    without_numbers,
)
from corpusmill.stages.dedup.signatures.shared_parts import only_figures_differ
from corpusmill.stages.dedup.signatures.shingles import Shingles, jaccard, shingle_sets
from datatrove.utils.text import simplify_text
from hypothesis import example, given, settings
from hypothesis import strategies as st

APART = [
    ("What is 12 + 7 ?", "What is 12 - 7 ?"),
    ("What is -12 + 7 ?", "What is 12 + 7 ?"),
    ("What is 1.2 + 7 ?", "What is 12 + 7 ?"),
    ("Solve x = 3.5 for y.", "Solve x > 3.5 for y."),
    ("Solve x != 35 for y.", "Solve x = 35 for y."),
    ("The price is $1,000.50 today.", "The price is 100050 today."),
    ("costs $100 today", "costs €100 today"),
    ("السعر ٣٫٥ اليوم", "السعر ٣٥ اليوم"),
    ("نسبة ٣٥٪ اليوم", "نسبة ٣٥ اليوم"),
    ("if (a < b) return a;", "if (a > b) return a;"),
    ("i++", "i--"),
    ("return a - b", "return a / b"),
    ("f(a - b)", "f(a, b)"),
    ("a && b", "a || b"),
    ("!flag", "flag"),
    ("x := 3", "x = 3"),
    ("a = b", "a == b"),
    ("*p = 1", "p = 1"),
    ("rm -rf x", "rm rf x"),
    ("2**3", "2*3"),
    ("x^2 + y^2 = 25", "x^3 + y^2 = 25"),
    ("10^2", "10^-2"),
    ("x² + 1", "x³ + 1"),
    ("x-y", "xy"),
    ("(1+2)*3", "1+(2*3)"),
    ("[1, 2)", "(1, 2]"),
    ("5! is big", "5 is big"),
    ("f'(x) = 2x", "f(x) = 2x"),
    ("x ≤ 3", "x ≥ 3"),
    ("x → y", "x ← y"),
    ("¬p ∧ q", "p ∧ q"),
    (r"\frac{1}{2}", r"\frac{12}{}"),
    (r"\alpha + \beta", r"\alpha - \beta"),
    ("on 2020-01-02", "on 2020-02-01"),
    ("version 1.2.3 of it", "version 1.23 of it"),
    ("at 12:30", "at 1230"),
    ("the value is 3,5", "the value is 35"),
    ("1/2 cup", "12 cup"),
    ("½ cup", "¼ cup"),
    ("5%", "5"),
    ("minus −40 degrees", "minus 40 degrees"),
    ("18 °C", "18 °F"),
    ("C", "C++"),
    ("C", "C#"),
    ("Rh+ blood", "Rh- blood"),
    ("Qh5+", "Qh5#"),
    ("1-0", "0-1"),
    ("A♠ K♥", "A♥ K♠"),
    ("☑ done", "☐ done"),
    ("温度－５度", "温度５度"),
    ("１＋２", "１－２"),
    ("Mill | 3 | 5\nSouth | 7 | 8", "Mill | 3 | 7\nSouth | 5 | 8"),
]
ALIKE = [
    ("The quick, brown fox -- JUMPS over!", "the Quick brown fox jumps “over”"),
    ("# Title\ntext", "Title\ntext"),
    ("- item one\n- item two", "* item one\n• item two"),
    ("> quoted words", "quoted words"),
    ("well-known", "well‐known"),
    ("an aside — here — stands", "an aside - here - stands"),
    ("1,000 people", "1'000 people"),
    ("1,000 people", "1000 people"),
    ("**bold** word", "bold word"),
    ("word\n-----\nword", "word word"),
    ("don't", "don’t"),
    ("Hello!", "hello"),
    ("e-mail", "email"),
]


def sets_of(texts: list[str], normalization: Normalization = "meaning") -> Shingles:
    column = without_numbers(pa.chunked_array([pa.array(texts, pa.string())]), normalization)
    return shingle_sets(*joined(column), 5, None, normalization, with_words=True)


def words_of(texts: list[str], normalization: Normalization = "meaning") -> list[list[int]]:
    found = sets_of(texts, normalization)
    assert found.words is not None
    assert found.word_offsets is not None
    return [found.words[start:end].tolist() for start, end in pairwise(found.word_offsets.tolist())]


def figures_of(texts: list[str]) -> np.ndarray:
    figures = sets_of(texts).figures
    assert figures is not None
    return figures


def are_alike(left: str, right: str) -> bool:
    """Whether one of the pair would be removed."""
    found = sets_of([left, right])
    sizes = found.offsets[1], found.offsets[2] - found.offsets[1]
    similar = jaccard(found.hashes[: sizes[0]], found.hashes[sizes[0] :]) >= 0.8
    return bool(similar and not only_figures_differ(*sizes, *figures_of([left, right])))


@pytest.mark.parametrize(("left", "right"), APART)
def test_what_differs_in_a_sign_or_a_digit_stays_apart(left, right):
    assert not are_alike(left, right)


@pytest.mark.parametrize(("left", "right"), ALIKE)
def test_what_differs_in_punctuation_or_layout_stays_alike(left, right):
    assert are_alike(left, right)


LONG = (
    "The committee met in the long room beside the river and spoke for many hours about the plan "
    "for the new bridge, while the rain fell on the roofs of the town and the people waited "
    "outside for news. In the end it wrote down {} and nobody had expected it to be so."
)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *[("x²", "x³"), ("x₁", "x₂"), ("x2", "x3"), ("10⁵", "10⁶"), ("½", "¼"), ("1½", "1¼")],
        *[("5 mg", "5 g"), ("5mg", "5g"), ("5 km", "5 m"), ("5 dollars", "5 euros")],
        *[("5 °C", "5 °F"), ("5°C", "5°F"), ("5 a.m.", "5 p.m."), ("$5", "€5"), ("5%", "5‰")],
        *[("H₂O", "H₂O₂"), ("H2O", "H2O2"), ("Na⁺", "Na⁻"), ("vitamin B6", "vitamin B12")],
        *[("−5", "5"), ("≤ 5", "≥ 5"), ("5–10", "5–12"), ("v1.2.3", "v1.2.4"), ("①", "②")],
        *[("2020-01-02", "2020-02-01"), ("chapter Ⅳ", "chapter Ⅴ"), ("room 5a", "room 5b")],
        *[("α", "β"), ("type A", "type B"), ("a ∈ S", "a ∉ S")],
    ],
)
def test_one_number_unit_or_variable_keeps_a_page_of_words_apart(left, right):
    assert not are_alike(LONG.format(left), LONG.format(right))


@pytest.mark.parametrize(
    ("left", "right"), [("(5) mills", "5 mills"), ("the mill", "a mill"), ("mills.", "the mills!")]
)
def test_brackets_articles_and_punctuation_do_not(left, right):
    assert are_alike(LONG.format(left), LONG.format(right))


@pytest.mark.parametrize("other", ["13", "-12", "1.2"])
def test_in_a_short_text_even_the_last_number_decides(other):
    text = "the sum of all the numbers that stand in the table of the mill, if the first is "
    assert not are_alike(text + "12", text + other)


def test_in_a_long_text_a_counter_may_differ():
    text = " ".join(f"word{number}" for number in range(200))
    assert are_alike(f"{text} seen 12 times", f"{text} seen 13 times")


@given(st.text(alphabet="ab1.,:'-+*#>!/()=| \né漢－７", max_size=40))
@example("--1.--")
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_rule_and_white_space_at_its_ends_does_not_count(text):
    one, spaced = sets_of([text]), sets_of([f"\n{text}  "])
    assert one.hashes.tolist() == spaced.hashes.tolist()
    assert figures_of([text]).tolist() == figures_of([f"\n{text}  "]).tolist()


def test_words_come_in_the_order_of_the_text():
    (one, two, other), empty, (last,) = words_of(["one two one", "", "two"])
    assert one == other != two == last
    assert empty == []


@given(st.text(alphabet="aBéÉñ12.,-!“”—+$¿ \n٣", max_size=40))
@example("It cost 1,200.50 in Côte d'Ivoire — “really”?")
@settings(max_examples=200, deadline=None)
def test_the_rule_datatrove_makes_the_words_of_datatrove(text):
    (ours,) = words_of([text], "datatrove")
    # Its words, hashed one by one, under a rule that changes nothing in them.
    theirs = words_of(simplify_text(text).split(), "datatrove")
    assert theirs == [[word] for word in ours]


def test_the_rules_have_tables_of_their_own():
    kinds = [int(tables(name)[0][ord("+")]) for name in get_args(Normalization)]
    assert len(set(kinds)) == 3
