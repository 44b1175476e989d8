"""The kernel that finds digits, at signs and separators in other forms than ASCII's.

Digits: full-width ones, and those that Arabic, Persian, Urdu, the scripts of India, Thai, Lao,
Tibetan, Burmese and Khmer texts write. Their blocks have the same order as ASCII (Unicode, chapter
22.3).
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]

HYPHEN, BLANK, AT, ZERO = ord("-"), ord(" "), ord("@"), ord("0")
NOTHING, NONE = 0, -1

# Where the digit 0 of a script stands, of those that take two and three bytes in UTF-8.
_ZEROS = (
    "\u0660\u06f0\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6\u0c66\u0ce6\u0d66\u0e50\u0ed0\u0f20"
    "\u1040\u17e0\uff10"
)
ZEROS_OF_TWO = np.array([ord(zero) for zero in _ZEROS if zero < "\u0800"])
ZEROS_OF_THREE = np.array([ord(zero) for zero in _ZEROS if zero >= "\u0800"])


@njit
def find_forms(
    data: Bytes, first: int, last: int, leads: Integers, begins: Integers, signs: Integers
) -> int:
    """List the signs of data[first:last] that have another form in ASCII, and return how many.

    leads: places behind `first` of all bytes from 0xC2 on. begins: filled with the places of the
    signs, signs: with their ASCII forms (NOTHING for a soft hyphen). Both are as long as leads.
    """
    count = 0
    for lead in leads:
        sign = _ascii_form(data, first, first + lead, last)
        if sign != NONE:
            begins[count], signs[count] = first + lead, sign
            count += 1
    return count


@njit
def _ascii_form(data: Bytes, first: int, at: int, last: int) -> int:
    """The ASCII form of the sign at a place; NONE if it has no other. Dashes and blanks count
    between digits and capitals only.
    """
    digit = _digit(data, at, last)
    if digit != NONE:
        return digit
    lead = data[at]
    if lead == 0xEF and at + 2 < last and data[at + 1] == 0xBC:
        third = data[at + 2]
        return AT if third == 0xA0 else HYPHEN if third == 0x8D else NONE
    sign, size = NONE, 1
    if lead == 0xC2 and at + 1 < last:
        size = 2
        if data[at + 1] == 0xA0:
            sign = BLANK
        elif data[at + 1] == 0xAD:
            sign = NOTHING
    elif lead == 0xE2 and at + 2 < last:
        size, third = 3, data[at + 2]
        if data[at + 1] == 0x80:
            if 0x90 <= third <= 0x93:  # hyphens, and dashes up to the width of a digit
                sign = HYPHEN
            elif third in (0x89, 0xAF):  # thin blanks
                sign = BLANK
        elif data[at + 1] == 0x88 and third == 0x92:  # the minus sign
            sign = HYPHEN
    if sign != NONE and not (
        at > first and _ends_digit(data, first, at) and _begins_digit(data, at + size, last)
    ):
        sign = NONE
    return sign


@njit
def _digit(data: Bytes, at: int, last: int) -> int:
    """The ASCII form of the digit of another script that begins at a place; NONE if none does."""
    lead = data[at]
    if lead in (0xD9, 0xDB) and at + 1 < last:
        letter = (np.int64(lead & 0x1F) << 6) | np.int64(data[at + 1] & 0x3F)
        zeros = ZEROS_OF_TWO
    elif lead in (0xE0, 0xE1, 0xEF) and at + 2 < last:
        letter = (
            (np.int64(lead & 0x0F) << 12)
            | (np.int64(data[at + 1] & 0x3F) << 6)
            | np.int64(data[at + 2] & 0x3F)
        )
        zeros = ZEROS_OF_THREE
    else:
        return NONE
    for zero in zeros:
        if zero <= letter < zero + 10:
            return ZERO + letter - zero
    return NONE


@njit
def _ends_digit(data: Bytes, first: int, at: int) -> bool:
    """Whether a digit or a capital ends before a place."""
    before = data[at - 1]
    if before < 0x80:
        return 48 <= before <= 57 or 65 <= before <= 90
    return (at - 2 >= first and data[at - 2] >= 0xC0 and _digit(data, at - 2, at) != NONE) or (
        at - 3 >= first and data[at - 3] >= 0xE0 and _digit(data, at - 3, at) != NONE
    )


@njit
def _begins_digit(data: Bytes, at: int, last: int) -> bool:
    """Whether a digit or a capital begins at a place."""
    if at >= last:
        return False
    return 48 <= data[at] <= 57 or 65 <= data[at] <= 90 or _digit(data, at, last) != NONE
