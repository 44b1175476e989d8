"""The entries of URL block lists as hashes: a sorted list, and a bit map that is asked first.

A domain is hashed from its end. So one walk over a host gives the hashes of the host and of all
domains above it. The bit map stays in the caches. Only a hash that is in it is looked up in the
sorted list.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]

BASIS, PRIME, HALF = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
MAP_BITS = 26  # log2 of the bits of the bit map of domains or addresses: 8 MB
NEWLINE, HASH, STAR, DOT = (ord(sign) for sign in "\n#*.")


@njit
def hash_lines(data: Bytes, backwards: bool, hashes: Keys) -> int:
    """Hash each line of a list into `hashes` (one place per line is enough), in lower case.
    Comments and empty lines are left out. Returns the number of hashes.

    backwards: the lines are domains. They are hashed from the end, without `*.` before and full
    stops behind them.
    """
    n = begin = 0
    while begin < data.size:
        end = begin
        while end < data.size and data[end] != NEWLINE:
            end += 1
        following = end + 1
        while begin < end and data[begin] <= 32:
            begin += 1
        while end > begin and data[end - 1] <= 32:
            end -= 1
        if begin < end and data[begin] != HASH:
            if backwards:
                while end > begin and data[end - 1] == DOT:
                    end -= 1
                if end - begin > 2 and data[begin] == STAR and data[begin + 1] == DOT:
                    begin += 2
            hashes[n] = hash_between(data, begin, end, backwards)
            n += end > begin
        begin = following
    return n


@njit
def hash_of(data: Bytes, backwards: bool) -> int:
    """The hash of one entry."""
    return hash_between(data, 0, data.size, backwards)


@njit
def fill_map(hashes: Keys, bits: Keys) -> None:
    """Set the bit of every hash."""
    for index in range(hashes.size):
        place = _place(hashes[index], bits)
        bits[place >> np.uint64(6)] |= np.uint64(1) << (place & np.uint64(63))


@njit
def hash_between(data: Bytes, begin: int, end: int, backwards: bool) -> np.uint64:
    value = BASIS
    for index in range(end - begin):
        byte = lower(data[end - 1 - index] if backwards else data[begin + index])
        value = (value ^ np.uint64(byte)) * PRIME
        value ^= value >> HALF
    return value


@njit
def holds(hashes: Keys, bits: Keys, value: np.uint64) -> bool:
    if bits.size == 0:
        return False
    place = _place(value, bits)
    if bits[place >> np.uint64(6)] >> (place & np.uint64(63)) & np.uint64(1) == 0:
        return False
    return _among(hashes, value)


@njit
def _place(value: np.uint64, bits: Keys) -> np.uint64:
    """Which bit of a map belongs to the value. A map has a power of two of bits, at most 2**32."""
    return (value >> HALF) & np.uint64(64 * bits.size - 1)


@njit
def _among(hashes: Keys, value: int) -> bool:
    low, high = 0, hashes.size
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < hashes.size and hashes[low] == value


@njit
def lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


@njit
def is_alphanumeric(byte: int) -> bool:
    return 48 <= byte <= 57 or 97 <= byte <= 122
