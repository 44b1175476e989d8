"""The kernels that hash parts and lines, and list the parts that must be cut into tokens.

A part is text between white space. `marks` found where parts begin and end and what they are made
of. Most parts are plain words, or words with a mark behind them. They cost a few dozen instructions
here, without a branch that a processor would often guess wrong.

Definitions: `stages.filter.statistics`.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.marks import (
    CONTINUATIONS,
    HARD,
    LINE_BEGIN,
    LINE_END,
    LINE_PART,
    MARKED,
)
from corpusmill.stages.filter.measure.token_hash import BASIS, HALF, PRIME, hash_on
from corpusmill.stages.filter.measure.wide_bytes import load_word, ones
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

ONE, SIX, LAST, EVERY = np.uint64(1), np.uint64(6), np.uint64(63), ~np.uint64(0)
NO_PART = 2**31 - 1


@njit
def hash_parts(
    data: Bytes,
    bits: Keys,
    edges: Integers,
    n_parts: int,
    sieve: NDArray[np.bool_],
    hashes: Keys,
    sums: Keys,
    hard: Integers,
) -> int:
    """Hash every part, and list the hard ones. Returns how many are hard.

    data, bits, edges: of `marks.mark_bytes`. sieve: `english.exception_sieve`.

    These are filled. hashes: by part, `token_hash` of its bytes without the mark behind it. sums:
    of all parts before each, and last of all parts; `hash_lines` says how they add up. hard: the
    parts that must be cut, with NO_PART behind them.

    A part's second word of eight bytes is always hashed, and a mask decides whether it counts. A
    branch on the part's length would often be guessed wrong.
    """
    n_hard = 0
    total = np.uint64(0)
    for index in range(n_parts):
        part = np.uint64(index)
        begin, end = np.int64(edges[part << ONE]), np.int64(edges[part << ONE | ONE])
        block, shift = np.uint64(end) >> SIX, np.uint64(end) & LAST
        size = end - begin - np.int64(bits[MARKED, block] >> shift & ONE)
        value = (BASIS ^ load_word(data, begin) & _first_bytes(min(size, 8))) * PRIME
        value ^= value >> HALF
        second = (value ^ load_word(data, begin + 8) & _first_bytes(min(size - 8, 8))) * PRIME
        second ^= second >> HALF
        value ^= (value ^ second) & np.uint64((8 - size) >> 63)
        if size > 16:
            value = hash_on(data, begin + 16, begin + size, value)
        hashes[part] = value
        sums[part] = total
        total = total * PRIME + (
            value + np.uint64(data[np.uint64(end - 1)]) + np.uint64((end - begin) << 8)
        )
        hard[np.uint64(n_hard)] = index
        n_hard += np.int64(
            (bits[HARD, block] >> shift | np.uint64(sieve[value >> np.uint64(51)])) & ONE
        )
    hard[n_hard], sums[n_parts] = NO_PART, total
    return n_hard


@njit(inline="always")
def _first_bytes(count: int) -> Any:
    """A mask of the first 1 to 8 bytes of a word. Other counts give a mask without meaning."""
    return EVERY >> (np.uint64(-8 * count) & LAST)


@njit
def hash_lines(
    bits: Keys,
    edges: Integers,
    sums: Keys,
    text_lines: Integers,
    lines: Integers,
    line_hashes: Keys,
    longest: NDArray[np.int64],
) -> None:
    """Hash every line, and find the longest part of every text.

    line_hashes: of a line's parts and its number of bytes. longest: by text, in characters.

    The sum of parts a, b, c is a * P**2 + b * P + c, where P is PRIME (as Rabin and Karp's
    fingerprints). So a line's sum is the sum up to its end, minus the sum up to its beginning times
    P to the power of its number of parts. A part counts with its hash, its last byte and its
    length.
    """
    powers = np.empty(64, np.uint64)
    powers[0] = 1
    for exponent in range(1, 64):
        powers[exponent] = powers[exponent - 1] * PRIME
    for line in range(text_lines[-1]):
        first, last = np.int64(lines[LINE_PART, line]), np.int64(lines[LINE_PART, line + 1])
        before, left = sums[first], last - first
        while left > 63:
            before *= powers[63]
            left -= 63
        value = sums[last] - before * powers[left]
        line_hashes[line] = value * PRIME ^ np.uint64(
            lines[LINE_END, line] - lines[LINE_BEGIN, line]
        )
    for text in range(text_lines.size - 1):
        first, last = lines[LINE_PART, text_lines[text]], lines[LINE_PART, text_lines[text + 1]]
        longest[text] = longest_part(bits, edges, first, last)


@njit
def longest_part(bits: Keys, edges: Integers, first: int, last: int) -> int:
    """The length in characters of the longest of the parts from `first` to `last`."""
    longest = 0
    for part in range(first, last):
        begin, end = np.int64(edges[2 * part]), np.int64(edges[2 * part + 1])
        if end - begin > longest:  # it has at most as many characters as bytes
            characters = _characters(bits, begin, end)
            longest = characters if characters > longest else longest
    return longest


@njit
def _characters(bits: Keys, begin: int, end: int) -> int:
    """How many characters begin among these bytes."""
    count = end - begin
    for at in range(begin, end, 64):
        place, shift, left = np.uint64(at) >> SIX, np.uint64(at) & LAST, min(end - at, 64)
        window = bits[CONTINUATIONS, place] >> shift | bits[CONTINUATIONS, place + ONE] << ONE << (
            LAST - shift
        )
        count -= np.int64(ones(window & EVERY >> np.uint64(64 - left)))
    return count
