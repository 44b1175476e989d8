"""The kernel that spares verse, unfenced code and tables with tabs from the line edits.

Their lines end where the author ended them, so a short one is no furniture. A stanza is a paragraph
of at least two lines, of which three quarters have at most 60 characters. Neighbouring stanzas are
verse if they have four lines together, and half of the lines are short and have three words. (Menus
have one or two words a line.) A paragraph of which a quarter of the lines is indented is code. One
of which half the lines hold a tab is a table.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.line_kinds import is_indented
from corpusmill.stages.filter.measure.marks import (
    LINE_BEGIN,
    LINE_CONTINUATIONS,
    LINE_END,
    LINE_PART,
)
from corpusmill.stages.filter.measure.view import HAS_TAB, SPARED, VERSE
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]

VERSE_LINE = 60  # characters
FEWEST_LINES, FEWEST_WORDS = 4, 3


@njit
def spare_verse(data: Bytes, lines: Integers, text_lines: Integers, flags: Bytes) -> None:
    """Set SPARED in `flags` for the lines of verse, unfenced code and tables with tabs, and VERSE
    for those of verse.

    data, lines, text_lines: of `marks.mark_bytes`. flags: of `structure.find_structure`.
    """
    for text in range(text_lines.size - 1):
        line, last = text_lines[text], text_lines[text + 1]
        if last - line < 2:
            continue
        region = -1  # where the stanzas begin that are neighbours
        n_lines = n_long_enough = 0
        while line < last:
            stop, short, words, indented, tabs = _paragraph(data, lines, flags, line, last)
            size = stop - line
            if size >= 2 and (4 * indented >= size or 2 * tabs >= size):
                _set(flags, line, stop, SPARED)
            if size >= 2 and 4 * short >= 3 * size:
                if region < 0:
                    region, n_lines, n_long_enough = line, 0, 0
                n_lines += size
                n_long_enough += words
            elif size > 0:
                if n_lines >= FEWEST_LINES and 2 * n_long_enough >= n_lines:
                    _set(flags, region, line, SPARED | VERSE)
                region = -1
                n_lines = n_long_enough = 0
            line = max(stop, line + 1)
        if n_lines >= FEWEST_LINES and 2 * n_long_enough >= n_lines:
            _set(flags, region, last, SPARED | VERSE)


@njit
def _paragraph(
    data: Bytes, lines: Integers, flags: Bytes, line: int, last: int
) -> tuple[int, int, int, int, int]:
    """Where the paragraph that begins at a line stops. And how many of its lines are short, are
    short with words enough, are indented, hold a tab.

    An empty one stops where it begins. A line that is spared already (a heading, an item) is a
    paragraph of its own.
    """
    short = words = indented = tabs = 0
    stop = line
    while stop < last and lines[LINE_PART, stop] < lines[LINE_PART, stop + 1]:
        if flags[stop] & SPARED != 0:
            stop += stop == line
            break
        begin, end = np.int64(lines[LINE_BEGIN, stop]), np.int64(lines[LINE_END, stop])
        is_short = end - begin - lines[LINE_CONTINUATIONS, stop] <= VERSE_LINE
        short += is_short
        words += is_short and lines[LINE_PART, stop + 1] - lines[LINE_PART, stop] >= FEWEST_WORDS
        indented += is_indented(data, begin)
        tabs += flags[stop] & HAS_TAB != 0
        stop += 1
    return stop, short, words, indented, tabs


@njit
def _set(flags: Bytes, first: int, last: int, bits: int) -> None:
    for line in range(first, last):
        flags[line] |= bits
