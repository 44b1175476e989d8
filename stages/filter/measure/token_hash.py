"""The hash of a token or a part: a multiplication and a shift for every eight bytes."""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.wide_bytes import load_word
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)


def hash_of(data: bytes) -> int:
    """The hash of these bytes, as the kernels compute it."""
    value = int(BASIS)
    for begin in range(0, len(data), 8):
        word = int.from_bytes(data[begin : begin + 8], "little")
        value = ((value ^ word) * int(PRIME)) & 0xFFFFFFFFFFFFFFFF
        value ^= value >> int(HALF)
    return value


@njit(inline="always")
def word_until(data: Bytes, at: int, end: int) -> Any:
    """The eight bytes from `at` on as one little-endian integer; those from `end` on are 0."""
    return load_word(data, at) & ~np.uint64(0) >> np.uint64(64 - 8 * min(end - at, 8))


@njit
def hash_on(data: Bytes, begin: int, end: int, value: int) -> int:
    """Continue a hash over the bytes from `begin` to `end`. A hash begins with BASIS."""
    for at in range(begin, end, 8):
        value = (value ^ word_until(data, at, end)) * PRIME
        value ^= value >> HALF
    return value
