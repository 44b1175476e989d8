"""What tokens are, against Python's own character classes."""

import numpy as np
import pytest
from corpusmill.stages.filter.measure.characters import character_table
from corpusmill.stages.filter.measure.token_kinds import (
    ALPHABETIC,
    ELLIPSES,
    ENDS,
    IS_MARK,
    IS_WORD,
    URL_CHARACTERS,
    add_counts,
    is_address,
    measure_part,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.filter.measure.plain_statistics import (
    PUNCTUATION,
    TERMINALS,
    category,
    is_letter,
)

TOKENS = st.lists(
    st.text(alphabet="aÉ漢7.…?!-_—(€²\u0301😀", min_size=1, max_size=5), min_size=1, max_size=6
)


def kinds_of(tokens):
    """The kinds of a part's tokens, and its counts."""
    data = np.frombuffer("".join(tokens).encode() + bytes(8), np.uint8)
    cuts = np.cumsum([len(token.encode()) for token in tokens]).astype(np.int32)
    kinds, row = np.zeros(len(tokens), np.int32), np.zeros(2, np.int64)
    packed = measure_part(data, character_table(), 0, cuts, kinds, 0, len(tokens), row)
    again = np.zeros(2, np.int64)
    add_counts(np.uint64(packed), again)
    assert again.tolist() == row.tolist()
    return kinds, row


@settings(deadline=None)
@given(TOKENS)
def test_kinds_and_counts_are_those_of_python(tokens):
    kinds, row = kinds_of(tokens)
    for kind, token in zip(kinds.tolist(), tokens, strict=True):
        all_marks = all(category(c)[0] == "P" for c in token)
        assert kind >> 4 == len(token)
        assert bool(kind & ALPHABETIC) == any(map(is_letter, token))
        assert bool(kind & IS_WORD) == any(c not in PUNCTUATION for c in token)
        assert bool(kind & ENDS) == (token in tuple(TERMINALS))
        assert bool(kind & IS_MARK) == all_marks
    part = "".join(tokens)
    assert row[ELLIPSES] == part.count("...") + part.count("…")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("http://a.org", True),
        ("https://a.org", True),
        ("http://", False),
        ("https://", True),
        ("Http://a.org", False),
        ("xhttp://a.org", False),
        ("http:/a.orgs", False),
    ],
)
def test_addresses(part, expected):
    data = np.frombuffer(part.encode() + bytes(8), np.uint8)
    assert is_address(data, 0, len(part)) == expected
    assert kinds_of([part])[1][URL_CHARACTERS] == (len(part) if expected else 0)
