"""Where a cut may begin and end: between whole lines, words or characters. A table of kinds of
characters decides.

`stages.substring.find` makes the table from the settings. Every function reads UTF-8 from `text`.
`start` and `stop` are the document's ends, and no function reads beyond them.
"""

from typing import Any, Final

import numpy as np
from corpusmill.stages.columns.compiled import njit

# Kinds of characters.
JOINED: Final = 0  # no cut begins or ends beside such a character alone
SEPARATOR: Final = 1  # a cut may begin or end on both sides of it
# Like SEPARATOR, but its neighbours may touch without it (scripts without spaces).
FREE: Final = 2
BOUNDARY_TABLE_SIZE: Final = 0x40000  # planes 0 to 3; higher characters are as the last one
NEWLINE: Final = 10


@njit(nogil=True)
def trimmed(
    text: Any, start: int, stop: int, begin: int, end: int, boundaries: Any, separators: int
) -> tuple[int, int]:
    """The part of `begin:end` between its outermost boundaries.

    The cut must not join the texts on its two sides. If it would, the separators at its beginning
    stay too. If a line ends only at the cut's end, the separators there stay instead. If the cut
    has no separators, a free character stays.
    """
    while begin < end and not _is_boundary(text, start, stop, begin, boundaries, separators):
        begin = _next(text, begin, stop)
    while end > begin and not _is_boundary(text, start, stop, end, boundaries, separators):
        end = _previous(text, end, start)
    left, before = _run_before(text, start, begin, stop, boundaries, separators)
    right, after = _run_after(text, end, stop, boundaries, separators)
    if begin == end or before == start or after == stop or left + right >= separators:
        return begin, end
    head, tail = begin, end
    head_has_line = tail_has_line = False
    while head < end and _kind(text, head, stop, boundaries) == SEPARATOR:
        head_has_line |= text[head] == NEWLINE
        head = _next(text, head, stop)
    while tail > head and _kind_before(text, start, tail, stop, boundaries) == SEPARATOR:
        tail = _previous(text, tail, start)
        tail_has_line |= text[tail] == NEWLINE
    if head > begin and (head_has_line or not tail_has_line):
        return head, end
    if (
        tail == end
        and _kind_before(text, start, begin, stop, boundaries) == JOINED
        and _kind(text, end, stop, boundaries) == JOINED
    ):
        return _next(text, begin, stop), end
    return begin, tail


@njit(nogil=True)
def _is_boundary(
    text: Any, start: int, stop: int, position: int, boundaries: Any, separators: int
) -> bool:
    """Whether a cut may begin or end here: beside a free character, beside so many separators in a
    row, or at an end of the text.
    """
    found, after = _run_after(text, position, stop, boundaries, separators)
    if after == stop or found == separators or _kind(text, after, stop, boundaries) == FREE:
        return True
    found, before = _run_before(text, start, position, stop, boundaries, separators)
    return (
        before == start
        or found == separators
        or _kind_before(text, start, before, stop, boundaries) == FREE
    )


@njit(nogil=True)
def _run_after(text: Any, position: int, stop: int, boundaries: Any, most: int) -> tuple[int, int]:
    """How many separators in a row begin here (at most `most`), and the place behind them."""
    found = 0
    while position < stop and found < most and _kind(text, position, stop, boundaries) == SEPARATOR:
        position = _next(text, position, stop)
        found += 1
    return found, position


@njit(nogil=True)
def _run_before(
    text: Any, start: int, position: int, stop: int, boundaries: Any, most: int
) -> tuple[int, int]:
    """How many separators in a row end here (at most `most`), and the place of the first."""
    found = 0
    while (
        position > start
        and found < most
        and _kind_before(text, start, position, stop, boundaries) == SEPARATOR
    ):
        position = _previous(text, position, start)
        found += 1
    return found, position


@njit(nogil=True)
def count_words(text: Any, begin: int, end: int, stop: int, words: Any) -> int:
    """Count words: runs of joined characters, and each free character by itself."""
    count = 0
    within = False
    position = begin
    while position < end:
        kind = _kind(text, position, stop, words)
        count += kind == FREE or (kind == JOINED and not within)
        within = kind == JOINED
        position = _next(text, position, stop)
    return count


@njit(nogil=True)
def count_characters(text: Any, begin: int, end: int) -> int:
    count = 0
    for position in range(begin, end):
        count += text[position] & 0xC0 != 0x80
    return count


@njit(nogil=True)
def _kind_before(text: Any, start: int, position: int, stop: int, boundaries: Any) -> int:
    return _kind(text, _previous(text, position, start), stop, boundaries)


@njit(nogil=True)
def _kind(text: Any, position: int, stop: int, boundaries: Any) -> int:
    """The kind of the character that begins at `position`."""
    code = np.int64(text[position])
    if code >= 0x80:
        width = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
        code &= 0x7F >> width
        for following in range(position + 1, min(position + width, stop)):
            code = code << 6 | (text[following] & 0x3F)
    return boundaries[min(code, BOUNDARY_TABLE_SIZE - 1)]


@njit(nogil=True)
def _next(text: Any, position: int, stop: int) -> int:
    position += 1
    while position < stop and text[position] & 0xC0 == 0x80:
        position += 1
    return position


@njit(nogil=True)
def _previous(text: Any, position: int, start: int) -> int:
    position -= 1
    while position > start and text[position] & 0xC0 == 0x80:
        position -= 1
    return position
