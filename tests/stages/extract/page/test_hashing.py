"""Words as hashes, and tables of them, against Python's dictionary."""

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.extract.page.hashing import (
    FNV_OFFSET,
    FNV_PRIME,
    hash_table,
    look_up,
    mix,
    word_hash,
)
from hypothesis import given, settings
from hypothesis import strategies as st

WORDS = st.text(min_size=1, max_size=12)


@njit
def hashed(data):
    code = FNV_OFFSET
    for byte in data:
        code = mix(code, byte)
    return code


@settings(deadline=None)
@given(WORDS)
def test_kernels_hash_as_python_does(word):
    assert int(hashed(np.frombuffer(word.encode(), np.uint8))) == word_hash(word)


def test_the_hash_is_the_published_one():
    """FNV-1a, 64 bits: the test vector of `foobar` in the authors' draft."""
    assert word_hash("foobar") == 0x85944171F73967E8
    assert (int(FNV_OFFSET), int(FNV_PRIME)) == (14695981039346656037, 1099511628211)


@settings(deadline=None)
@given(st.dictionaries(WORDS, st.integers(0, 2**31 - 1), max_size=40), st.lists(WORDS, max_size=20))
def test_a_table_holds_what_the_dictionary_holds(values, others):
    table = hash_table(values)
    assert 2 * len(values) <= table.keys.size
    for word in (*values, *others):
        assert look_up(table, np.uint64(word_hash(word))) == values.get(word, -1)
