"""Final answers: what is found in a text, and what counts as equal."""

import pytest
from corpusmill.evaluation.answers import final_answer, is_right, last_boxed, number_of

GSM8K = (r"#### (-?[\$0-9.,]*[0-9])", r"(-?\$?[0-9][0-9.,]*)")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("He has 3 + 4 = 7.\n#### 7", "7"),
        ("#### 1\nso #### 1,200", "1,200"),
        ("so it is 3, no, $4.50.", "$4.50."),
        ("I do not know", None),
    ],
)
def test_the_last_match_of_the_first_pattern_counts(text, answer):
    assert final_answer(text, GSM8K) == answer


def test_braces_of_a_box_are_matched():
    assert last_boxed(r"first \boxed{1}, then \boxed{\frac{1}{\sqrt{2}}} done") == (
        r"\frac{1}{\sqrt{2}}"
    )
    assert last_boxed(r"\boxed{never closed") is None
    assert final_answer(r"\boxed{x}", ["boxed"]) == "x"


@pytest.mark.parametrize("text", ["1234", "1,234", "$1,234.00", " 1234. ", "1234%"])
def test_spellings_of_a_number_are_one_number(text):
    assert is_right(text, ["1234"], "number")


@pytest.mark.parametrize("text", ["12345", "", "abc", "1e999999999", "NaN", "12 34"])
def test_another_number_or_none_is_wrong(text):
    assert not is_right(text, ["1234"], "number")
    assert number_of("nan") is None


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (r"\dfrac{1}{2}", r"\frac12", True),
        (r"\frac{1}{2}", "0.5", True),
        (r"-\frac{3}{4}", "-0.75", True),
        (r"\text{Monday}", "Monday", True),
        ("x = 5", "5", True),
        (r"90^\circ", "90", True),
        ("1,000", "1000", True),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})", True),
        ("(1,2)", "(1,3)", False),
        (r"\frac{1}{3}", "0.33", False),
    ],
)
def test_latex_is_compared_without_what_has_no_meaning(one, other, equal):
    assert is_right(one, [other], "math") is equal


def test_words_are_compared_without_articles_and_case():
    assert is_right("The Onion.", ["an onion"], "text")
    assert is_right("Onion, a bulb", ["onion"], "begins")
    assert not is_right("On", ["onion"], "begins")
    assert not is_right(None, ["onion"], "text")
