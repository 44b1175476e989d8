"""The kernels that hash parts and lines, and list the parts that are to be cut into tokens.

A part is what stands between white space; `stages.kernels.marks` found where parts begin and end and what they are made of. So most
parts, plain words and words with a mark behind them, cost a few dozen instructions and no branch that a processor could guess wrong.

Definitions: `stages.filter.statistics`.
"""

# numba tells 64-bit integers from Python's and needs to; to a reader they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels import sealed
from stages.kernels.words import load_word, ones

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

# numba keeps compiled code until this file changes, so every value that is compiled in stands in this file.
sealed("words.py", "72f0a07d65e1")
BASIS, PRIME, HALF = np.uint64(0xCBF29CE484222325), np.uint64(0xD6E8FEB86659FD93), np.uint64(32)  # as english.hash_of
ONE, SIX, LAST, EVERY = np.uint64(1), np.uint64(6), np.uint64(63), ~np.uint64(0)
HARD, MARKED, CONTINUATIONS = 0, 1, 4  # as in stages.kernels.marks
LINE_BEGIN, LINE_END, LINE_PART, LINE_LONGEST, LINE_CONTINUATIONS = range(5)
NO_PART = 2**31 - 1


@njit(cache=True)
def hash_parts(
    data: Bytes, bits: Keys, edges: Integers, n_parts: int, sieve: NDArray[np.bool_], hashes: Keys, hard: Integers, long: Integers
) -> int:
    """data, bits, edges: of `marks.mark_bytes`. sieve: `english.exception_sieve`. long: room for parts.

    hashes: by part: of its bytes, without a mark behind it. hard: the parts that are to be cut, and NO_PART behind them; returns how many they are.

    No branch depends on a part. The second word is hashed whether it is there or not, and taken by a mask; parts of more than two words
    are listed and hashed once more at the end. (No exception is so long: the sieve does not mind.)
    """
    n_hard = n_long = 0
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
        hashes[part] = value
        hard[np.uint64(n_hard)] = index
        n_hard += np.int64((bits[HARD, block] >> shift | np.uint64(sieve[value >> np.uint64(51)])) & ONE)
        long[np.uint64(n_long)] = index
        n_long += size > 16
    hard[n_hard] = NO_PART
    for index in range(n_long):
        part = np.uint64(long[index])
        begin, end = np.int64(edges[part << ONE]), np.int64(edges[part << ONE | ONE])
        size = end - begin - np.int64(bits[MARKED, np.uint64(end) >> SIX] >> (np.uint64(end) & LAST) & ONE)
        value = BASIS
        for at in range(begin, begin + size, 8):
            value = (value ^ load_word(data, at) & _first_bytes(min(begin + size - at, 8))) * PRIME
            value ^= value >> HALF
        hashes[part] = value
    return n_hard


@njit(cache=True, inline="always")
def _first_bytes(count: int) -> Any:
    """A mask of the first 1 to 8 bytes of a word; of something for other counts."""
    return EVERY >> (np.uint64(-8 * count) & LAST)


@njit(cache=True)
def measure_lines(
    data: Bytes, bits: Keys, edges: Integers, hashes: Keys, text_lines: Integers, lines: Integers, line_hashes: Keys,
    longest_parts: NDArray[np.int64],
) -> None:  # fmt: skip
    """line_hashes: of each line's parts and of the number of its bytes. lines: in row LINE_LONGEST the characters of its longest part.
    longest_parts: by text, likewise."""
    for text in range(text_lines.size - 1):
        longest = 0
        for line in range(text_lines[text], text_lines[text + 1]):
            line_hash, longest_in_line = BASIS, 0
            first, last = lines[LINE_PART, line], lines[LINE_PART, line + 1]
            for index in range(first, last):
                part = np.uint64(index)
                begin, end = np.int64(edges[part << ONE]), np.int64(edges[part << ONE | ONE])
                line_hash = (line_hash ^ hashes[part] + np.uint64(data[np.uint64(end - 1)])) * PRIME
                longest_in_line = max(longest_in_line, end - begin)
            if lines[LINE_CONTINUATIONS, line] > 0:
                longest_in_line = _longest(bits, edges, first, last)
            lines[LINE_LONGEST, line] = longest_in_line
            longest = max(longest, longest_in_line)
            line_hashes[line] = (line_hash ^ np.uint64(lines[LINE_END, line] - lines[LINE_BEGIN, line])) * PRIME
        longest_parts[text] = longest


@njit(cache=True)
def _longest(bits: Keys, edges: Integers, first: int, last: int) -> int:
    """The characters of the longest of some parts."""
    longest = 0
    for part in range(first, last):
        begin, end = np.int64(edges[2 * part]), np.int64(edges[2 * part + 1])
        size = end - begin
        for at in range(begin, end, 64):
            place, shift = np.uint64(at) >> SIX, np.uint64(at) & LAST
            window = bits[CONTINUATIONS, place] >> shift | bits[CONTINUATIONS, place + ONE] << ONE << (LAST - shift)
            size -= np.int64(ones(window & EVERY >> np.uint64(64 - min(end - at, 64))))
        longest = max(longest, size)
    return longest
