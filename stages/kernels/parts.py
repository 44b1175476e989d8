"""The kernel that hashes parts and lines, and lists the parts that are to be cut into tokens.

A part is what stands between white space; `stages.kernels.marks` found where parts begin and end and what they are made of. So most
parts, plain words and words with a mark behind them, cost a few dozen instructions and no branch that a processor could guess wrong.

Definitions: `stages.filter.statistics`.
"""

# numba tells 64-bit integers from Python's and needs to; to a reader they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

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
END = 2**31 - 1
LINE_BEGIN, LINE_END, LINE_PART, LINE_LONGEST, LINE_CONTINUATIONS = range(5)


@njit(cache=True)
def find_parts(
    data: Bytes,
    bits: Keys,
    sieve: NDArray[np.bool_],
    parts: Integers,
    lines: Integers,
    text_lines: Integers,
    hashes: Keys,
    hard: Integers,
    line_hashes: Keys,
    text_hard: Integers,
    longest_parts: NDArray[np.int64],
) -> None:
    """data, bits, lines, text_lines: of `marks.mark_bytes`; parts: its edges, two a part. sieve: `english.exception_sieve`.

    hashes: of each part's bytes, without a mark behind it. hard, text_hard: the parts that are to be cut, with END behind the last, and the first of each text.
    lines: in row LINE_LONGEST the characters of the longest part. line_hashes: over its parts and its bytes' number.
    longest_parts: by text, in characters.
    """
    n_hard = 0
    for text in range(text_lines.size - 1):
        text_hard[text] = n_hard
        longest = 0
        for line in range(text_lines[text], text_lines[text + 1]):
            line_hash, longest_in_line = BASIS, 0
            first, last = lines[LINE_PART, line], lines[LINE_PART, line + 1]
            for index in range(first, last):
                part = np.uint64(index)
                begin, end = np.int64(parts[part, 0]), np.int64(parts[part, 1])
                block, shift, size = np.uint64(end) >> SIX, np.uint64(end) & LAST, end - begin
                marked = bits[MARKED, block] >> shift & ONE
                value = _hash(data, begin, size - np.int64(marked))
                hashes[part] = value
                hard[np.uint64(n_hard)] = index
                n_hard += np.int64((bits[HARD, block] >> shift | np.uint64(sieve[value >> np.uint64(51)])) & ONE)
                longest_in_line = max(longest_in_line, size)
                line_hash = (line_hash ^ value + np.uint64(data[np.uint64(end - 1)])) * PRIME
            if lines[LINE_CONTINUATIONS, line] > 0:
                longest_in_line = _longest(parts, first, last, bits)
            lines[LINE_LONGEST, line] = longest_in_line
            longest = max(longest, longest_in_line)
            line_hashes[line] = (line_hash ^ np.uint64(lines[LINE_END, line] - lines[LINE_BEGIN, line])) * PRIME
        longest_parts[text] = longest
    text_hard[text_lines.size - 1] = n_hard
    hard[n_hard] = END


@njit(cache=True, inline="always")
def _hash(data: Bytes, begin: int, size: int) -> int:
    """As english.hash_of, but 0 bytes hash as one. The second word is always hashed and taken by a mask: words of nine letters and more come too unexpectedly for
    a branch."""
    value = (BASIS ^ (load_word(data, begin) & EVERY >> np.uint64(64 - 8 * max(min(size, 8), 1)))) * PRIME
    value ^= value >> HALF
    rest = max(min(size - 8, 8), 1)
    second = (value ^ (load_word(data, begin + 8) & EVERY >> np.uint64(64 - 8 * rest))) * PRIME
    second ^= second >> HALF
    value ^= (value ^ second) & np.uint64((8 - size) >> 63)
    if size > 16:
        for at in range(begin + 16, begin + size, 8):
            count = min(begin + size - at, 8)
            value = (value ^ (load_word(data, at) & EVERY >> np.uint64(64 - 8 * count))) * PRIME
            value ^= value >> HALF
    return value


@njit(cache=True)
def _longest(parts: Integers, first: int, last: int, bits: Keys) -> int:
    """The characters of the longest of some parts."""
    longest = 0
    for part in range(first, last):
        begin, end = np.int64(parts[part, 0]), np.int64(parts[part, 1])
        size = end - begin
        for at in range(begin, end, 64):
            place, shift = np.uint64(at) >> SIX, np.uint64(at) & LAST
            window = bits[CONTINUATIONS, place] >> shift | bits[CONTINUATIONS, place + ONE] << ONE << (LAST - shift)
            size -= np.int64(ones(window & EVERY >> np.uint64(64 - min(end - at, 64))))
        longest = max(longest, size)
    return longest
