"""A table of parts that were cut before. `cut` asks it first, since texts repeat their words.

An entry is one line of the processor's cache, 64 bytes: the part's key, its tokens, and the part
itself. Two parts may have the same key, so the part itself is compared too.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.token_hash import HALF, PRIME, word_until
from corpusmill.stages.filter.measure.token_kinds import add_counts
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

KNOWN_BITS, LONGEST_KNOWN, ONE = 17, 32, np.uint64(1)
FOUR, EIGHT, COUNT_PLACE, SIZE_PLACE, FLAG_BITS, BYTE_BITS = (
    np.uint64(number) for number in (4, 8, 28, 56, 15, 255)
)


def nothing_known() -> Keys:
    """An empty table."""
    room = np.zeros((8 << KNOWN_BITS) + 8, np.uint64)
    first = -room.ctypes.data // 8 % 8  # so that every entry is a line of the cache
    return room[first : first + (8 << KNOWN_BITS)].reshape(-1, 8)


@njit(inline="always")
def key_of(data: Bytes, edges: Integers, hashes: Keys, part: int) -> Any:
    """A hash of a whole part. (In `hashes` a mark at its end does not count.) Never 0, which is an
    empty entry.
    """
    begin, end = np.int64(edges[part << ONE]), np.int64(edges[part << ONE | ONE])
    return (
        hashes[part] ^ np.uint64((end - begin) << 8) ^ np.uint64(data[np.uint64(end - 1)])
    ) * PRIME | ONE


@njit
def keep(
    known: Keys,
    slot: int,
    key: int,
    data: Bytes,
    begin: int,
    cuts: Integers,
    kinds: Integers,
    first: int,
    last: int,
    about: int,
) -> None:
    """Keep a part of at most seven tokens and LONGEST_KNOWN bytes.

    An entry is eight words. The first is the key. The second has the bytes of each token, eight
    bits each, and above them the bytes of the part. The third has the characters of each token,
    eight bits each. The fourth has the flags of each token, four bits each, above them the number
    of tokens, and above that the part's counts. The last four are the part itself.
    """
    end = np.int64(cuts[last - 1])
    lengths, characters, flags = np.uint64(end - begin), np.uint64(0), np.uint64(last - first)
    for cut in range(first + 6, first - 1, -1):
        before = np.int64(cuts[cut - 1]) if cut > first else begin
        lengths = lengths << EIGHT | (np.uint64(cuts[cut] - before) if cut < last else np.uint64(0))
        characters = characters << EIGHT | (
            np.uint64(kinds[cut]) >> FOUR if cut < last else np.uint64(0)
        )
        flags = flags << FOUR | (np.uint64(kinds[cut]) & FLAG_BITS if cut < last else np.uint64(0))
    known[slot, 0], known[slot, 1], known[slot, 2], known[slot, 3] = (
        key,
        lengths,
        characters,
        flags | about << HALF,
    )
    for at in range(0, end - begin, 8):
        known[slot, 4 + (at >> 3)] = word_until(data, begin + at, end)


@njit(inline="always")
def is_known(known: Keys, slot: int, data: Bytes, begin: int, size: int) -> bool:
    """Whether the entry is of this part. The key alone is not enough: an author may choose parts
    that share a key.
    """
    if known[slot, 1] >> SIZE_PLACE != np.uint64(size):
        return False
    other = np.uint64(0)
    for at in range(0, size, 8):
        other |= known[slot, 4 + (at >> 3)] ^ word_until(data, begin + at, begin + size)
    return other == 0


@njit(inline="always")
def recall(
    known: Keys,
    slot: int,
    begin: int,
    cuts: Integers,
    kinds: Integers,
    n: int,
    row: NDArray[np.int64],
) -> int:
    """Cut a part as it was cut before. Returns the new number of cuts.

    Tokens are written four at a time, however many there are: a test for each would cost more.
    """
    lengths, characters, about = known[slot, 1], known[slot, 2], known[slot, 3]
    flags, count = about, np.int64(about >> COUNT_PLACE & FLAG_BITS)
    for first in range(n, n + count, 4):
        for index in range(4):
            begin += np.int64(lengths & BYTE_BITS)
            cuts[np.uint64(first + index)] = begin
            kinds[np.uint64(first + index)] = np.int64(
                (characters & BYTE_BITS) << FOUR | flags & FLAG_BITS
            )
            lengths >>= EIGHT
            characters >>= EIGHT
            flags >>= FOUR
    if about >> HALF != 0:
        add_counts(about >> HALF, row)
    return n + count
