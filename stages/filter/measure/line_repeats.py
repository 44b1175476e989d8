"""Repeated lines and paragraphs: items that occurred before in the same text.

Two lines are the same if their parts have the same hashes and their lengths are the same. A
paragraph's key is made of the keys of its lines.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import inlined, uncounted
from corpusmill.stages.filter.measure.line_counts import (
    KEPT_REPEATED_CHARACTERS,
    REPEATED_LINE_CHARACTERS,
    REPEATED_LINES,
    REPEATED_PARAGRAPH_CHARACTERS,
    REPEATED_PARAGRAPHS,
)
from corpusmill.stages.filter.measure.marks import LINE_BEGIN, LINE_CONTINUATIONS, LINE_END
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]
Row: TypeAlias = NDArray[np.int64]

OFFSET_BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio (Knuth 6.4)


class Items(NamedTuple):
    """Items that may repeat, by number: their keys, and their lengths in characters."""

    keys: Keys
    lengths: NDArray[np.int64]


class Found(NamedTuple):
    """All lines of a text, the lines that the edits keep, and the paragraphs. slots: room for a
    hash table.
    """

    lines: Items
    kept: Items
    paragraphs: Items
    slots: Integers


@uncounted
def find_items(
    lines: Integers, hashes: Keys, first: int, last: int, found: Found
) -> tuple[int, int]:
    """List the lines and the paragraphs of a text. Empty lines end paragraphs.

    lines: of `marks.mark_bytes`. hashes: of `parts.hash_lines`. Returns the numbers of lines and
    paragraphs.
    """
    n = n_paragraphs = 0
    paragraph, paragraph_length = OFFSET_BASIS, 0
    for line in range(first, last):
        size = np.int64(lines[LINE_END, line] - lines[LINE_BEGIN, line])
        if size > 0:
            key, length = hashes[line], size - lines[LINE_CONTINUATIONS, line]
            found.lines.keys[n], found.lines.lengths[n] = key, length
            n += 1
            paragraph_length += length + (paragraph != OFFSET_BASIS)
            paragraph = (paragraph ^ key) * PRIME
        if paragraph != OFFSET_BASIS and (size == 0 or line == last - 1):
            found.paragraphs.keys[n_paragraphs] = paragraph
            found.paragraphs.lengths[n_paragraphs] = paragraph_length
            n_paragraphs += 1
            paragraph, paragraph_length = OFFSET_BASIS, 0
    return n, n_paragraphs


@inlined
def count_repeats(found: Found, n_lines: int, n_paragraphs: int, n_kept: int, row: Row) -> None:
    row[REPEATED_LINES], row[REPEATED_LINE_CHARACTERS] = _repeats(found.lines, n_lines, found.slots)
    row[REPEATED_PARAGRAPHS], row[REPEATED_PARAGRAPH_CHARACTERS] = _repeats(
        found.paragraphs, n_paragraphs, found.slots
    )
    row[KEPT_REPEATED_CHARACTERS] = _repeats(found.kept, n_kept, found.slots)[1]


@uncounted
def _repeats(items: Items, count: int, slots: Integers) -> tuple[int, int]:
    """How many of the items occurred before, and the sum of their lengths."""
    keys, bits = items.keys, 1
    while 1 << bits < 2 * count:
        bits += 1
    slots[: 1 << bits] = -1
    mask, shift = np.int64((1 << bits) - 1), np.uint64(64 - bits)
    repeated = characters = 0
    for index in range(count):
        slot = np.int64((keys[index] * GOLDEN) >> shift)
        while slots[slot] >= 0 and keys[slots[slot]] != keys[index]:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = index
        else:
            repeated += 1
            characters += items.lengths[index]
    return repeated, characters
