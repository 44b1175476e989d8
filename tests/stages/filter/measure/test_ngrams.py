"""Repeated runs of tokens, against counting every run in a dictionary."""

from collections import Counter

import numpy as np
from corpusmill.stages.filter.measure.ngrams import COUNTS, measure_ngrams
from hypothesis import example, given, settings
from hypothesis import strategies as st

SIZES = {"a": 1, "b": 2, "cc": 3, "d": 1}  # token -> its characters
TEXTS = st.lists(st.lists(st.sampled_from(sorted(SIZES)), max_size=60), min_size=1, max_size=3)


def measured(texts):
    """COUNTS x texts, as the kernel counts them."""
    names = {token: number * 0x9E3779B97F4A7C15 % 2**64 for number, token in enumerate(SIZES, 3)}
    tokens = np.array([names[token] for text in texts for token in text] + [0], np.uint64)
    starts = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    ends = [np.cumsum([0, *(SIZES[token] for token in text)]) for text in texts]
    counts = np.zeros((COUNTS, len(texts)), np.int64)
    measure_ngrams(tokens, np.concatenate(ends).astype(np.int32), starts, counts)
    return counts


def most_frequent(text, n):
    """Characters in the runs of n tokens that are most frequent, with the spaces between the
    tokens.
    """
    runs = Counter(tuple(text[at : at + n]) for at in range(len(text) - n + 1))
    if not runs:
        return 0
    run, times = runs.most_common(1)[0]
    return times * (sum(SIZES[token] for token in run) + n - 1)


def repeated(text, n):
    """Characters in runs of n tokens that occurred before, none counted twice."""
    seen, characters, at = set(), 0, 0
    while at + n <= len(text):
        run = tuple(text[at : at + n])
        if run in seen:
            characters += sum(SIZES[token] for token in run)
            at += n
        else:
            seen.add(run)
            at += 1
    return characters


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example([["a", "b"] * 200, [], ["a"]])
def test_repeated_runs_are_those_of_a_dictionary(texts):
    counts = measured(texts)
    for place, text in enumerate(texts):
        expected = [most_frequent(text, n) for n in (2, 3, 4)]
        expected += [repeated(text, n) for n in range(5, 11)]
        assert counts[:, place].tolist() == expected


def test_an_exact_example():
    assert measured([["a", "b", "a", "b", "a", "b"]])[:3, 0].tolist() == [3 * 4, 2 * 6, 2 * 9]
