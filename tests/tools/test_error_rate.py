"""The edit distance is Levenshtein's, checked against the textbook table."""

from corpusmill.tools.error_rate import character_error_rate, edit_distance
from hypothesis import given
from hypothesis import strategies as st


def by_table(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        above, row = row, [i]
        for j, b in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


@given(st.text("abcä", max_size=20), st.text("abcä", max_size=20))
def test_the_distance_is_that_of_the_textbook(first, second):
    assert edit_distance(first, second) == by_table(first, second)


def test_long_texts_are_no_trouble():
    text = " ".join(map(str, range(2000)))
    assert edit_distance(text, text[7:] + "end") == 10


def test_the_rate_is_over_all_texts_together():
    assert character_error_rate([("ab", "abcd"), ("x" * 6, "x" * 6)]) == 0.2
