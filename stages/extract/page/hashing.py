"""Words as 64-bit numbers (FNV-1a over their bytes), and tables of words that kernels search.

A table has two arrays, keys and values, with open addressing. Their size is a power of two. A key
of 0 is an empty slot. The tables hold names of tags, attributes and entities, words of class
attributes, and stop words: a few thousand fixed words. 64 bits tell them apart, and `hash_table`
refuses two words with the same hash.

Source: Fowler, Noll and Vo, The FNV Non-Cryptographic Hash Algorithm (draft-eastlake-fnv).
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import inlined, merged
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.uint64]
Values: TypeAlias = NDArray[np.int64]

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)


class HashTable(NamedTuple):
    keys: Keys
    values: Values


def word_hash(word: str) -> int:
    """FNV-1a of the word's UTF-8 bytes, case unchanged. Kernels hash byte by byte with `mix`."""
    code = int(FNV_OFFSET)
    for byte in word.encode():
        code = ((code ^ byte) * int(FNV_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return code


def hash_table(values: Mapping[str, int]) -> HashTable:
    """A table of the words and their values, at most half full."""
    codes = {word_hash(word): value for word, value in values.items()}
    assert len(codes) == len(values), "two words have the same hash"
    return table_of_codes(codes)


def table_of_codes(values: Mapping[int, int]) -> HashTable:
    """A table of hashes and their values, at most half full."""
    size = 1 << max(3, (2 * len(values) - 1).bit_length())
    keys, places = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    for code, value in values.items():
        place = code & (size - 1)
        while keys[place]:
            place = (place + 1) & (size - 1)
        keys[place], places[place] = code, value
    return HashTable(keys, places)


@inlined
def mix(code: np.uint64, byte: np.uint8) -> np.uint64:
    """The hash `code` with one byte added."""
    return (code ^ np.uint64(byte)) * FNV_PRIME


@merged
def look_up(table: HashTable, code: np.uint64) -> int:
    """The value of a hash, or -1."""
    mask = table.keys.size - 1
    place = np.int64(code & np.uint64(mask))
    while table.keys[place] != 0:
        if table.keys[place] == code:
            return table.values[place]
        place = (place + 1) & mask
    return -1
