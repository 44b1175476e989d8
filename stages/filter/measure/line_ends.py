"""How a line ends: as C4, FineWeb and Gopher ask, and as a sentence ends in print."""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.characters import LINE_END, QUOTE, TABLE_SIZE
from corpusmill.stages.filter.measure.citations import CLOSING, OPENING, citation_at
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

COLON, DOUBLE, APOSTROPHE, DOT, COMMA = (ord(sign) for sign in ":\"'.,")
ENDS = tuple(ord(sign) for sign in ".?!\"'")  # C4's terminal punctuation
OPEN, WHOLE, CUT_OFF = range(3)  # how a line ends as a sentence
# Behind the end of a sentence, beside quotes: brackets, emphasis, marks of footnotes, and blanks.
BEHIND = tuple(ord(sign) for sign in ")]}*_¹²³⁰⁴⁵⁶⁷⁸⁹†‡ \xa0\u202f")
MOST_BEHIND = 8  # characters
WIDE_COLON, ELLIPSIS = ord("："), ord("…")


@njit
def ends_in_ellipsis(data: Bytes, begin: int, end: int) -> bool:
    if end - begin < 3:
        return False
    dots = data[end - 1] == DOT and data[end - 2] == DOT and data[end - 3] == DOT
    return dots or (data[end - 1] == 0xA6 and data[end - 2] == 0x80 and data[end - 3] == 0xE2)


@njit
def ends_well(data: Bytes, begin: int, end: int, marked: bool) -> bool:
    """Whether a line ends well by C4's rule: in terminal punctuation or a quote, and not in three
    full stops. Citation marks behind the end do not count.
    """
    if marked:
        end = _before_citations(data, begin, end)
    if end == begin:
        return False
    return data[end - 1] in ENDS and not (end - begin > 2 and ends_in_ellipsis(data, begin, end))


@njit
def ends_as_sentence(data: Bytes, begin: int, end: int) -> bool:
    """Whether a colon, a comma, a quote or an ellipsis stands at the end."""
    last = data[end - 1]
    if last in (COLON, COMMA, DOUBLE, APOSTROPHE):
        return True
    # The signs ’ ” … in UTF-8.
    return (
        end - begin > 2
        and data[end - 3] == 0xE2
        and data[end - 2] == 0x80
        and last in (0x99, 0x9D, 0xA6)
    )


@njit
def ends_line(data: Bytes, begin: int, end: int, classes: NDArray[np.uint16]) -> bool:
    """Whether the last character is terminal punctuation."""
    if begin >= end:
        return False
    code, _ = _last_character(data, begin, end)
    return code < TABLE_SIZE and classes[code] & LINE_END != 0


@njit
def sentence_end(data: Bytes, begin: int, end: int, classes: NDArray[np.uint16]) -> int:
    """How a line ends. WHOLE: in terminal punctuation or a colon, perhaps with quotes, brackets,
    emphasis or footnote marks behind. CUT_OFF: in an ellipsis, likewise. OPEN: otherwise.
    """
    end = _before_citations(data, begin, end)
    for _ in range(MOST_BEHIND):
        if end <= begin:
            return OPEN
        code, before = _last_character(data, begin, end)
        is_quote = code < TABLE_SIZE and code != COMMA and classes[code] & QUOTE != 0
        if not (is_quote or code in BEHIND):
            if code == ELLIPSIS or ends_in_ellipsis(data, begin, end):
                return CUT_OFF
            ends = code in (COLON, WIDE_COLON) or ends_line(data, begin, end, classes)
            return WHOLE if ends else OPEN
        end = before
    return OPEN


@njit
def _before_citations(data: Bytes, begin: int, end: int) -> int:
    """Where a line ends without the citation marks at its end."""
    at = end - 1
    while at > begin and data[end - 1] == CLOSING:
        while at > begin and data[at] != OPENING:
            at -= 1
        if data[at] != OPENING or citation_at(data, at, end) != end - at:
            break
        end = at
        at -= 1
    return end


@njit
def _last_character(data: Bytes, begin: int, end: int) -> tuple[int, int]:
    """The character that ends at `end`, and where it begins."""
    at = end - 1
    while at > begin and data[at] & 0xC0 == 0x80:
        at -= 1
    code = np.int64(data[at])
    if code >= 0x80:
        code &= 0x7F >> (end - at)
        for index in range(at + 1, end):
            code = code << 6 | np.int64(data[index]) & 0x3F
    return code, at
