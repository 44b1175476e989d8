"""The kernel that finds digits and separators of numbers in other forms than ASCII's."""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]

HYPHEN, BLANK, NOTHING, NONE = ord("-"), ord(" "), 0, -1


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
    lead = data[at]
    if lead == 0xEF and at + 2 < last and data[at + 1] == 0xBC:
        third = data[at + 2]
        is_form = 0x90 <= third <= 0x99 or third == 0x8D  # full-width digits, and hyphen
        return np.int64(third) - 0x60 if is_form else NONE
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
def _ends_digit(data: Bytes, first: int, at: int) -> bool:
    """Whether a digit or a capital ends before a place."""
    before = data[at - 1]
    if before < 0x80:
        return 48 <= before <= 57 or 65 <= before <= 90
    wide = at - 3 >= first and data[at - 3] == 0xEF and data[at - 2] == 0xBC
    return wide and 0x90 <= before <= 0x99


@njit
def _begins_digit(data: Bytes, at: int, last: int) -> bool:
    """Whether a digit or a capital begins at a place."""
    if at >= last:
        return False
    if data[at] == 0xEF:
        return at + 2 < last and data[at + 1] == 0xBC
    return 48 <= data[at] <= 57 or 65 <= data[at] <= 90
