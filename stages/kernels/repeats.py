"""Which windows of a text occur more than once, from its suffix array: the kernel that `stages.substring` stands on.

A **window** is `length` bytes within one document. In the suffix array the places of one window stand side by side, and the longest
common prefix of neighbours tells where the next window begins; so windows get a class each without being compared one by one.

The longest common prefixes come from the phi algorithm: Kärkkäinen, Manzini, Puglisi 2009, "Permuted longest-common-prefix array":
in the order of the text a suffix shares at least one byte less with its neighbour than the suffix before it did, so all of them cost
linear time, whatever the text repeats. The array that holds them becomes the classes in place: nine bytes for each byte of text.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Positions: TypeAlias = NDArray[np.int32]
Offsets: TypeAlias = NDArray[np.int64]

LONGEST_TEXT = 2**31 - 1  # positions are 32-bit
UNIQUE = -1


def suffix_array(text: Bytes) -> Positions:
    """The beginnings of all suffixes of `text` (writable, at most LONGEST_TEXT bytes) in the order of their bytes."""
    from pydivsufsort import divsufsort

    assert len(text) <= LONGEST_TEXT
    return divsufsort(text) if len(text) else np.zeros(0, np.int32)


def window_classes(text: Bytes, offsets: Offsets, suffixes: Positions, length: int) -> Positions:
    """int32[bytes]: the same number for all places where the same window begins, below the number of bytes; UNIQUE where a window
    occurs once and where the document has no `length` bytes left. Documents lie at `offsets`, one after the other."""
    classes = np.empty(len(text), np.int32)
    if len(text):
        _common_prefixes(text, suffixes, classes)
        _mark_ends(offsets, classes, length)
        _classify(suffixes, classes, length)
    return classes


@njit(cache=True, nogil=True)
def _common_prefixes(text: Any, suffixes: Any, common: Any) -> None:
    """For each suffix, in the order of the text: the bytes it has in common with the suffix before it in the array."""
    size = len(suffixes)
    common[suffixes[0]] = -1
    for rank in range(1, size):
        common[suffixes[rank]] = suffixes[rank - 1]
    shared = 0
    for position in range(size):
        neighbour = common[position]
        if neighbour < 0:
            shared = 0
        else:
            most = size - max(position, neighbour)
            while shared < most and text[position + shared] == text[neighbour + shared]:
                shared += 1
        common[position] = shared
        shared = max(shared - 1, 0)


@njit(cache=True, nogil=True)
def _mark_ends(offsets: Any, common: Any, length: int) -> None:
    """Turn the values of places that are no window's, because the document ends too soon, into their (negative) complements."""
    for document in range(len(offsets) - 1):
        for position in range(max(offsets[document], offsets[document + 1] - length + 1), offsets[document + 1]):
            common[position] = ~common[position]


@njit(cache=True, nogil=True)
def _classify(suffixes: Any, common: Any, length: int) -> None:
    """Replace common prefixes by classes: a run of suffixes with `length` bytes in common is a class, named by its first rank."""
    size = len(suffixes)
    begin = members = 0
    for rank in range(size + 1):
        value = common[suffixes[rank]] if rank < size else 0
        if (value if value >= 0 else ~value) < length:
            for index in range(begin, rank):
                position = suffixes[index]
                common[position] = begin if members > 1 and common[position] >= 0 else UNIQUE
            begin, members = rank, 0
        members += value >= 0
