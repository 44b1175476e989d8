"""The view of a text: what the other kernels see of it. And the counts of what is set apart.

In the view the marks of light Markdown do not stand: `# `, `- `, `1. `, fences, ` | `, and the rule
below a table's head. If structure is set apart, code, tables and formulas do not stand in it
either; but tables do if hardly anything else does. A text without marks is its own view.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import NamedTuple, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.code_lines import count_code
from corpusmill.stages.filter.measure.line_kinds import (
    BLANK,
    CODE,
    FORMULA,
    HEADING,
    ITEM,
    KIND,
    MARK,
    NUMBERED,
    STARRED,
    TABBED,
    TABLE,
    mark_size,
)
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]

SPACE, FEED, BAR = (ord(sign) for sign in " \n|")
FEW_WORDS = 50  # of prose; with fewer, tables are the text

# Flags of a line of the view. SPARED: no edit touches it. BULLET: its mark was `- `. TITLE: it is a
# heading. LISTED: it is an item of a list. VERSE: `verse` sets it.
SPARED, BULLET, HAS_TAB, TITLE, LISTED, VERSE = (1 << bit for bit in range(6))
APART_WORDS, APART_LINES = range(2)
FIRST_OF_CODE = 2  # behind these come the counts of `code_lines`
IN_VIEW = 1 << 6


class Structure(NamedTuple):
    """The lines of a block of texts as they came, and the flags of the lines of their views.

    ends: by line, the byte behind it, counted as `lay_out` laid the texts out. kinds: by line; the
    bit IN_VIEW says whether it stands in the view. text_lines: the first line of each text, one
    more than there are texts. flags: by line of the view. sizes: by text, bytes of its view.
    """

    ends: Integers
    kinds: Bytes
    text_lines: Integers
    flags: Bytes
    sizes: NDArray[np.int64]


@njit
def has_prose(data: Bytes, begin: int, found: Structure, first: int, last: int) -> bool:
    """Whether at least FEW_WORDS words stand outside code, tables and formulas."""
    words, line_begin = 0, begin
    for line in range(first, last):
        kind = found.kinds[line] & KIND
        if kind not in (CODE, TABLE, FORMULA, MARK, BLANK):
            words += _words(data, line_begin, np.int64(found.ends[line]))
            if words >= FEW_WORDS:
                return True
        line_begin = np.int64(found.ends[line]) + 1
    return False


@njit
def write_view(
    data: Bytes,
    begin: int,
    apart: bool,
    tables: bool,
    found: Structure,
    first: int,
    last: int,
    n_view: int,
    counts: NDArray[np.int64],
) -> tuple[int, int]:
    """Write the view of a text over it. apart, tables: whether code and formulas, and whether
    tables leave it. Returns where it ends, and the new number of view lines.

    A blank line goes if the line before it went and a blank line is the last that stays. Line ends
    behind the last line that stays go too.
    """
    kinds, ends, flags = found.kinds, found.ends, found.flags
    write, line_begin, first_view, kept = begin, begin, n_view, begin
    was_blank, was_left_out = True, False
    for line in range(first, last):
        line_end, kind = np.int64(ends[line]), kinds[line] & KIND
        is_apart = (apart and kind in (CODE, FORMULA)) or (tables and kind == TABLE)
        goes = kind == MARK or is_apart or (kind == BLANK and was_left_out and was_blank)
        if goes:
            if is_apart:
                counts[APART_WORDS] += _words(data, line_begin, line_end)
                counts[APART_LINES] += 1
                if kind == CODE:
                    count_code(data, line_begin, line_end, counts[FIRST_OF_CODE:])
            was_left_out |= kind != BLANK
        else:
            flag = (kinds[line] & TABBED != 0) * HAS_TAB
            if kind > BLANK:
                flag |= SPARED | (kind == ITEM) * BULLET | (kind == HEADING) * TITLE
                flag |= (kind in (ITEM, NUMBERED, STARRED)) * LISTED
            read = line_begin + mark_size(data, line_begin, line_end, kind)
            write = (
                _copy_cells(data, read, line_end, write)
                if kind == TABLE
                else _copy(data, read, line_end, write)
            )
            kept = kept if kind == BLANK else write
            if line < last - 1:
                data[write] = FEED
                write += 1
            flags[n_view] = flag
            kinds[line] |= IN_VIEW
            n_view += 1
            was_blank, was_left_out = kind == BLANK, False
        line_begin = line_end + 1
    if was_left_out:  # the last line does not stand in the view
        line = last - 1
        while line >= first and (kinds[line] & IN_VIEW == 0 or kinds[line] & KIND == BLANK):
            n_view -= kinds[line] & IN_VIEW != 0
            kinds[line] &= KIND | TABBED
            line -= 1
        write = kept
    if n_view == first_view:  # an empty view has an empty line all the same
        flags[n_view] = 0
        n_view += 1
        write = begin
    return write, n_view


@njit
def _copy(data: Bytes, read: int, end: int, write: int) -> int:
    for at in range(end - read):
        data[np.uint64(write + at)] = data[np.uint64(read + at)]
    return write + end - read


@njit
def _copy_cells(data: Bytes, read: int, end: int, write: int) -> int:
    """Copy a row without its bars. The blank before a bar goes with it, at the begin of the row the
    blank behind it.
    """
    start, at = write, read
    while at < end:
        if (
            data[at] == BAR
            and (at == read or data[at - 1] <= SPACE)
            and (at + 1 == end or data[at + 1] <= SPACE)
        ):
            if write > start:
                write -= data[write - 1] <= SPACE
            elif at + 1 < end:
                at += 1
        else:
            data[write] = data[at]
            write += 1
        at += 1
    return write


@njit
def _words(data: Bytes, begin: int, end: int) -> int:
    """How many parts have a letter or a digit. Other characters than ASCII count as letters."""
    count, is_word = 0, False
    for at in range(begin, end):
        byte = data[at]
        if byte <= SPACE:
            count += is_word
            is_word = False
        else:
            is_word |= 48 <= byte <= 57 or 97 <= byte | 32 <= 122 or byte >= 128
    return count + is_word
