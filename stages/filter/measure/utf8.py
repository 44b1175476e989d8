"""Reading characters out of UTF-8."""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]


@njit
def decode(text: Bytes, position: int) -> tuple[Any, int]:
    """The code point at `position` of valid UTF-8, and how many bytes it takes."""
    first = np.int64(text[position])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | np.int64(text[position + 1]) & 0x3F, 2
    second = np.int64(text[position + 1]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | np.int64(text[position + 2]) & 0x3F, 3
    third, fourth = np.int64(text[position + 2]) & 0x3F, np.int64(text[position + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4
