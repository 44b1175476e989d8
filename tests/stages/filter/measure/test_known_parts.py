"""The table of parts that were cut before: what is kept comes back, and nothing else does."""

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.known_parts import (
    KNOWN_BITS,
    LONGEST_KNOWN,
    is_known,
    keep,
    nothing_known,
    recall,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TOKENS = st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=7).filter(
    lambda tokens: sum(map(len, tokens)) <= LONGEST_KNOWN
)
KNOWN = nothing_known()


@njit
def recalled(known, slot, begin, cuts, kinds, n, row):
    return recall(known, slot, begin, cuts, kinds, n, row)


@njit
def knows(known, slot, data, begin, size):
    return is_known(known, slot, data, begin, size)


@settings(deadline=None)
@given(TOKENS, TOKENS, st.integers(0, (1 << KNOWN_BITS) - 1), st.integers(0, 255))
def test_a_part_comes_back_as_it_was_cut(tokens, others, slot, ellipses):
    part, begin = b"".join(tokens), 3
    data = np.frombuffer(b"xyz" + part + bytes(16), np.uint8)
    count = len(tokens)
    cuts = np.zeros(16, np.int32)
    cuts[:count] = begin + np.cumsum([len(token) for token in tokens])
    kinds = np.zeros(16, np.int32)
    kinds[:count] = [len(token) << 4 | number % 16 for number, token in enumerate(tokens)]
    about = np.uint64(ellipses)
    keep(KNOWN, np.uint64(slot), np.uint64(5), data, begin, cuts, kinds, 0, count, about)
    assert knows(KNOWN, np.uint64(slot), data, begin, len(part))
    again_cuts, again_kinds = np.zeros(16, np.int32), np.zeros(16, np.int32)
    row = np.zeros(2, np.int64)
    slot = np.uint64(slot)
    assert recalled(KNOWN, slot, begin, again_cuts, again_kinds, 0, row) == count
    assert again_cuts[:count].tolist() == cuts[:count].tolist()
    assert again_kinds[:count].tolist() == kinds[:count].tolist()
    assert row.tolist() == [ellipses, 0]
    other = b"".join(others)
    room = np.frombuffer(other + bytes(16), np.uint8)
    assert knows(KNOWN, slot, room, 0, len(other)) == (other == part)


def test_entries_are_lines_of_the_cache():
    assert KNOWN.shape == (1 << KNOWN_BITS, 8)
    assert KNOWN.ctypes.data % 64 == 0
