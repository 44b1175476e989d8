"""What stands in one line: single bytes, bullets, TeX, or nothing but white space."""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

BACKSLASH, DOLLAR, BRACKETS = ord("\\"), ord("$"), tuple(ord(sign) for sign in "()[]")
HYPHEN, SMALL = ord("-"), np.uint8(32)


@njit
def holds(data: Bytes, begin: int, end: int, byte: int) -> bool:
    for at in range(begin, end):  # noqa: SIM110 (numba knows no any() over a generator)
        if data[at] == byte:
            return True
    return False


@njit
def is_bullet(data: Bytes, begin: int, end: int) -> bool:
    if data[begin] == HYPHEN:
        return True
    # The sign • in UTF-8.
    return (
        end - begin > 2
        and data[begin] == 0xE2
        and data[begin + 1] == 0x80
        and data[begin + 2] == 0xA2
    )


@njit
def has_tex(data: Bytes, begin: int, end: int) -> bool:
    """Whether a TeX command, `\\(`, `\\[` or `$$` stands there."""
    for at in range(begin, end - 1):
        after = data[at + 1]
        if data[at] == BACKSLASH and (97 <= after | SMALL <= 122 or after in BRACKETS):
            return True
        if data[at] == DOLLAR and after == DOLLAR:
            return True
    return False


@njit
def has_text(data: Bytes, begin: int, skip_begin: int, skip_end: int, end: int) -> bool:
    """Whether anything but white space stands around the bytes that are cut out."""
    for index in range(begin, end):
        if not skip_begin <= index < skip_end and data[index] > 32:
            return True
    return False
