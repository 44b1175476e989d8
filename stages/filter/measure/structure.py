"""The kernel that finds the structure of a text: fenced code, tables, display formulas, headings
and list items, written as light Markdown (`stages.extract.rendering`).

The other kernels see a *view* of the text (`view`), without these marks.

A mark counts only where its neighbours agree, since `#` also begins a comment of a program, and `|`
stands in titles. A fence needs its closing fence. A table is a paragraph (a run of lines without a
blank one between them) of which at least half the lines, and at least two, have cells.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.line_kinds import (
    BLANK,
    BRACKET,
    CELLS,
    CODE,
    CONTINUED,
    DISPLAY,
    ENVIRONMENT,
    FENCE,
    FORMULA,
    HEADING,
    ITEM,
    KIND,
    MARK,
    NUMBERED,
    PLAIN,
    RULE,
    STARRED,
    TABBED,
    TABLE,
    TEX,
    UNDERLINE,
    closes_bracket,
    closes_environment,
    environment_of,
    fence_size,
    is_deep_heading,
    is_displayed,
    is_indented,
    kind_of,
)
from corpusmill.stages.filter.measure.view import (
    HAS_TAB,
    IN_VIEW,
    SPACE,
    Structure,
    has_prose,
    write_view,
)
from corpusmill.stages.filter.measure.wide_bytes import bytes_within, trailing_zeros
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int32]

ZERO, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
TAB, FEED, BAR = (ord(sign) for sign in "\t\n|")
LONGEST_ENVIRONMENT = 200  # lines; so a search that fails costs little
LONGEST_FENCE = 8  # longer ones count as so long, so that few searches fail


@njit
def find_structure(
    data: Bytes,
    begins: NDArray[np.int64],
    sizes: NDArray[np.int64],
    apart: bool,
    found: Structure,
    counts: NDArray[np.int64],
) -> None:
    """Put the views of the texts in their places, which `lay_out` filled.

    apart: whether code, tables and formulas leave the view. found: is filled. counts: by text, the
    words and lines that were set apart, zero.
    """
    n = n_view = 0
    for text in range(sizes.size):
        begin, end = begins[text], begins[text] + sizes[text]
        found.text_lines[text] = n
        first = n
        n, is_marked = _find_lines(data, begin, end, found.ends, found.kinds, n)
        if is_marked:
            _join(data, begin, found.ends, found.kinds, first, n)
            tables = apart and has_prose(data, begin, found, first, n)
            write, n_view = write_view(
                data, begin, apart, tables, found, first, n, n_view, counts[:, text]
            )
            found.sizes[text] = write - begin
            for at in range(write, end):
                data[np.uint64(at)] = SPACE
        else:
            for line in range(first, n):
                found.flags[n_view + line - first] = (found.kinds[line] & TABBED != 0) * HAS_TAB
                found.kinds[line] |= IN_VIEW
            n_view += n - first
            found.sizes[text] = sizes[text]
    found.text_lines[sizes.size] = n


@njit
def _find_lines(
    data: Bytes, begin: int, end: int, ends: Integers, kinds: Bytes, n: int
) -> tuple[int, bool]:
    """List the lines of a text with their kinds, as far as each line alone tells. Returns the new
    number of lines, and whether any of them has a mark.
    """
    line, bars, tabs, is_marked = begin, ZERO, ZERO, False
    for at in range(begin, end, 64):
        feeds = bytes_within(data, at, FEED, 1)
        bar, tab = bytes_within(data, at, BAR, 1), bytes_within(data, at, TAB, 1)
        while feeds != ZERO:
            shift = trailing_zeros(feeds)
            feeds &= feeds - ONE
            upto = (TWO << shift) - ONE
            bars |= bar & upto
            tabs |= tab & upto
            ends[n] = at + np.int64(shift)
            kinds[n] = kind_of(data, line, np.int64(ends[n]), bars != ZERO, tabs != ZERO)
            is_marked |= kinds[n] & KIND > BLANK
            line = np.int64(ends[n]) + 1
            n += 1
            bar &= ~upto
            tab &= ~upto
            bars = tabs = ZERO
        bars |= bar
        tabs |= tab
    ends[n] = end
    kinds[n] = kind_of(data, line, end, bars != ZERO, tabs != ZERO)
    return n + 1, is_marked | (kinds[n] & KIND > BLANK)


@njit
def _join(data: Bytes, begin: int, ends: Integers, kinds: Bytes, first: int, last: int) -> None:
    """Settle the kinds that depend on other lines: fenced code, formulas and tables of several
    lines, and headings.

    Every search for a closing line that fails is remembered, so time is linear. Behind a fence that
    nothing closes, and in an environment of prose, every line is spared. So is the line above and
    below a formula.
    """
    unclosed_fence, unclosed_wave, unclosed_display, unclosed_bracket = 99, 99, False, False
    line = spared = first  # lines before `spared` are spared
    while line < last:
        step = line
        kind, line_begin = kinds[line] & KIND, _begin(begin, ends, first, line)
        close = -1
        if kind == FENCE:
            size, sign = fence_size(data, line_begin, np.int64(ends[line]))
            size = min(size, LONGEST_FENCE)
            if size < (unclosed_fence if sign == 96 else unclosed_wave):
                close = _closing_fence(data, ends, kinds, line, last, size, sign)
                if close < 0 and sign == 96:
                    unclosed_fence = size
                elif close < 0:
                    unclosed_wave = size
            _set(kinds, line, line + 1, MARK)
            if close > 0:
                _set(kinds, line + 1, close, CODE)
                _set(kinds, close, close + 1, MARK)
            else:
                spared = last
        elif kind == DISPLAY and not unclosed_display:
            close = _next_of(kinds, line + 1, last, DISPLAY)
            unclosed_display = close < 0
            _set(kinds, line, close + 1, FORMULA)
        elif kind == BRACKET and not unclosed_bracket:
            close = line
            while close < last and not closes_bracket(
                data, _begin(begin, ends, first, close), np.int64(ends[close])
            ):
                close += 1
            close = close if close < last else -1
            unclosed_bracket = close < 0
            _set(kinds, line, close + 1, FORMULA)
        elif kind == ENVIRONMENT:
            name, size = environment_of(data, line_begin, np.int64(ends[line]))
            stop, is_closed = _end_of_environment(data, ends, kinds, line, last, name, size)
            spared = max(spared, stop)
            if is_closed and is_displayed(data, name, size):
                close = stop - 1
                _set(kinds, line, stop, FORMULA)
        if close >= line and kind != FENCE:
            # A line right above or below a formula is a piece of its sentence: `so that`.
            spared = max(spared, close + 2)
            if line > first and kinds[line - 1] & KIND == PLAIN:
                kinds[line - 1] = CONTINUED | kinds[line - 1] & TABBED
        if close >= line:
            line = close + 1
        elif kind in (BLANK, FENCE):
            line += 1
        else:
            line = _join_paragraph(data, begin, ends, kinds, first, line, last)
        for each in range(step, min(line, spared)):
            if kinds[each] & KIND == PLAIN:
                kinds[each] = CONTINUED | kinds[each] & TABBED


@njit
def _begin(begin: int, ends: Integers, first: int, line: int) -> int:
    """Where a line begins. `first` is the text's first line, `begin` its first byte."""
    return np.int64(ends[line - 1]) + 1 if line > first else begin


@njit
def _set(kinds: Bytes, first: int, last: int, kind: int) -> None:
    for line in range(first, last):
        kinds[line] = kind


@njit
def _next_of(kinds: Bytes, line: int, last: int, kind: int) -> int:
    """The next line of a kind, or -1."""
    while line < last and kinds[line] & KIND != kind:
        line += 1
    return line if line < last else -1


@njit
def _closing_fence(
    data: Bytes, ends: Integers, kinds: Bytes, line: int, last: int, size: int, sign: int
) -> int:
    """The line of the fence that closes the one in `line`: of the same sign, at least as long, and
    nothing behind it. -1 if there is none.
    """
    for close in range(line + 1, last):
        if kinds[close] & KIND == FENCE:
            begin, end = np.int64(ends[close - 1]) + 1, np.int64(ends[close])
            other, of = fence_size(data, begin, end)
            while end > begin and data[end - 1] <= SPACE:
                end -= 1
            if of == sign and other >= size and data[end - 1] == sign:
                return close
    return -1


@njit
def _end_of_environment(
    data: Bytes, ends: Integers, kinds: Bytes, line: int, last: int, name: int, size: int
) -> tuple[int, bool]:
    """The line behind an environment of LaTeX, and whether anything closes it. One that nothing
    closes within LONGEST_ENVIRONMENT lines ends at the next blank line.
    """
    blank, begin = -1, name
    for close in range(line, min(last, line + LONGEST_ENVIRONMENT)):
        if closes_environment(data, begin, np.int64(ends[close]), name, size):
            return close + 1, True
        if blank < 0 and kinds[close] & KIND == BLANK:
            blank = close
        begin = np.int64(ends[close]) + 1
    return blank if blank >= 0 else min(last, line + LONGEST_ENVIRONMENT), False


@njit
def _join_paragraph(
    data: Bytes, begin: int, ends: Integers, kinds: Bytes, first: int, line: int, last: int
) -> int:
    """Settle the lines of a paragraph: tables, headings, and what belongs to a list item. Returns
    the line behind it.
    """
    stop, rows = line + 1, np.int64(_is_row(kinds[line]))
    while stop < last and not _ends_paragraph(kinds[stop] & KIND):
        rows += _is_row(kinds[stop])
        stop += 1
    if rows >= 2 and 2 * rows >= stop - line:
        for row in range(line, stop):
            kinds[row] = MARK if kinds[row] & KIND == RULE else TABLE
        return stop
    in_item = False
    for each in range(line, stop):
        kind, tabbed = kinds[each] & KIND, kinds[each] & TABBED
        line_begin = _begin(begin, ends, first, each)
        if kind in (ITEM, NUMBERED, STARRED):
            in_item = True
        elif kind == HEADING:
            in_item = False
            is_alone = each == line and (each + 1 == last or kinds[each + 1] & KIND != HEADING)
            if not (is_alone or is_deep_heading(data, line_begin)):
                kinds[each] = CONTINUED | tabbed
        elif kind in (FORMULA, TEX):
            pass
        elif kind == ENVIRONMENT:
            kinds[each] = TEX | tabbed
        elif kind == UNDERLINE and each > line:  # the line above it is a heading
            kinds[each] = CONTINUED
            if kinds[each - 1] & KIND == PLAIN:
                kinds[each - 1] = CONTINUED | kinds[each - 1] & TABBED
        elif rows >= 2 or (in_item and is_indented(data, line_begin)):
            kinds[each] = CONTINUED | tabbed
        else:
            kinds[each] = PLAIN | tabbed
    return stop


@njit
def _is_row(kind: int) -> bool:
    return kind & KIND == CELLS or kind & KIND == RULE


@njit
def _ends_paragraph(kind: int) -> bool:
    return kind in (BLANK, FENCE, DISPLAY, BRACKET, ENVIRONMENT)
