"""Counts of fenced code. They tell a program from what machines write: base64, minified scripts,
dumps of bytes, logs.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

SPACE, COLON = ord(" "), ord(":")
CODE_LINES, CODE_PARTS, CODE_CHARACTERS, CODE_DIGITS, TIMED_CODE_LINES = range(5)


@njit
def count_code(data: Bytes, begin: int, end: int, counts: NDArray[np.int64]) -> None:
    """Add a line of code to the counts: CODE_LINES and so on. White space is not counted, nor are
    lines that have nothing else.
    """
    parts, was_space, timed = 0, True, False
    for at in range(begin, end):
        byte = data[at]
        if byte <= SPACE:
            was_space = True
            continue
        parts += was_space
        was_space = False
        counts[CODE_CHARACTERS] += byte & 0xC0 != 0x80
        counts[CODE_DIGITS] += _is_digit(byte)
        if byte == COLON and not timed:
            timed = begin <= at - 2 and at + 5 < end and _is_time(data, at)
    counts[CODE_PARTS] += parts
    counts[CODE_LINES] += parts > 0
    counts[TIMED_CODE_LINES] += timed


@njit
def _is_time(data: Bytes, colon: int) -> bool:
    """Whether a time of day, such as `12:30:59`, has its first colon here."""
    return (
        data[colon + 3] == COLON
        and _is_digit(data[colon - 2])
        and _is_digit(data[colon - 1])
        and _is_digit(data[colon + 1])
        and _is_digit(data[colon + 2])
        and _is_digit(data[colon + 4])
        and _is_digit(data[colon + 5])
    )


@njit
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57
