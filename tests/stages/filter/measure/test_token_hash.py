"""The hash of a token: in a kernel as in Python, whatever its length and what lies behind it."""

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.token_hash import BASIS, hash_of, hash_on, word_until
from hypothesis import given, settings
from hypothesis import strategies as st

ROOM = b"behind the token"
BYTES = st.binary(min_size=1, max_size=40)


@njit
def word_at(data, at, end):
    return word_until(data, at, end)


@settings(deadline=None)
@given(BYTES, st.binary(max_size=10))
def test_a_kernel_hashes_as_python_does(token, before):
    data = np.frombuffer(before + token + ROOM, np.uint8)
    begin, end = len(before), len(before) + len(token)
    assert int(hash_on(data, begin, end, BASIS)) == hash_of(token)


@settings(deadline=None)
@given(BYTES, BYTES)
def test_two_tokens_of_one_hash_are_the_same(one, other):
    """Only tokens without a zero byte at the end are compared. The hash reads missing bytes as
    zeros, and no token of a text ends in a zero byte.
    """
    same = one.rstrip(b"\0") == other.rstrip(b"\0")
    if len(one.rstrip(b"\0")) == len(one) and len(other.rstrip(b"\0")) == len(other):
        assert (hash_of(one) == hash_of(other)) == same


@settings(deadline=None)
@given(BYTES)
def test_bytes_behind_the_end_are_zero(token):
    data = np.frombuffer(token + ROOM, np.uint8)
    assert int(word_at(data, 0, len(token))) == int.from_bytes(token[:8], "little")
