"""Sorting hashes, which are uniform over 64 bits.

A counting sort by their upper bits, into about as many buckets as there are hashes, leaves little
for the insertion sort that follows. This is three times as fast as a comparison sort.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.stages.columns.compiled import njit

UInt64Array = npt.NDArray[np.uint64]

_BITS_32 = np.uint64(32)
_ONE = np.uint64(1)


def sort_hashes(hashes: UInt64Array, payload: UInt64Array) -> tuple[UInt64Array, UInt64Array]:
    """Both arrays in the order of `hashes`, which are uniform over 64 bits. Equal hashes keep the
    order of the input.
    """
    ordered, carried = np.empty_like(hashes), np.empty_like(payload)
    _sort_pairs(hashes, payload, ordered, carried, np.empty(len(hashes) + 1, dtype=np.int64))
    return ordered, carried


@njit(nogil=True)
def sort_distinct(hashes: Any, out: Any, ends: Any) -> int:
    """Write the distinct values of `hashes` to `out` in order. Return how many there are.

    ends: room for len(hashes) + 1.
    """
    buckets = np.uint64(len(hashes))
    _bucket_starts(hashes, ends[: len(hashes) + 1])
    for value in hashes:
        bucket = (value >> _BITS_32) * buckets >> _BITS_32
        out[ends[bucket]] = value
        ends[bucket] += 1
    for i in range(1, len(hashes)):
        value, place = out[i], i
        while place > 0 and out[place - 1] > value:
            out[place] = out[place - 1]
            place -= 1
        out[place] = value
    distinct = 0
    for place in range(len(hashes)):
        if place == 0 or out[place] != out[distinct - 1]:
            out[distinct] = out[place]
            distinct += 1
    return distinct


@njit(nogil=True)
def _bucket_starts(hashes: Any, starts: Any) -> None:
    """Where the hashes of each of len(hashes) equal ranges begin in sorted order. starts:
    int64[len(hashes) + 1].
    """
    buckets = np.uint64(len(hashes))
    starts[:] = 0
    for value in hashes:
        starts[((value >> _BITS_32) * buckets >> _BITS_32) + _ONE] += 1
    for bucket in range(len(hashes)):
        starts[bucket + 1] += starts[bucket]


@njit(nogil=True)
def _sort_pairs(hashes: Any, payload: Any, out: Any, carried: Any, starts: Any) -> None:
    """Like `sort_distinct`, but it keeps equal hashes and moves a payload with them."""
    buckets = np.uint64(len(hashes))
    _bucket_starts(hashes, starts)
    for i in range(len(hashes)):
        bucket = (hashes[i] >> _BITS_32) * buckets >> _BITS_32
        place = starts[bucket]
        out[place], carried[place] = hashes[i], payload[i]
        starts[bucket] = place + 1
    for i in range(1, len(hashes)):
        value, load, place = out[i], carried[i], i
        while place > 0 and out[place - 1] > value:
            out[place], carried[place] = out[place - 1], carried[place - 1]
            place -= 1
        out[place], carried[place] = value, load
