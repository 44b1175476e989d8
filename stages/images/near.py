"""Near duplicates among images, by the Hamming distance of their perceptual hashes.

Hashes of 64 bits that differ in at most `most` of them agree in at least one of `most` + 1 bands.
So only hashes that share a band are compared. Images are looked at in order: one that is near an
image that stays falls to the first of those. A chain (A near B, B near C, A not near C) loses B.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BITS = 64
ROWS_AT_ONCE = 1 << 10  # of a band's rows that are compared with as many others: 10 MB


def survivors(hashes: NDArray[np.uint64], most: int) -> NDArray[np.int64]:
    """For each image the position of the one that it falls to; its own if it stays."""
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)  # unique hashes by their first image
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    kept = np.arange(len(order))
    for later, earlier in _near(unique[order], most):
        if kept[later] == later and kept[earlier] == earlier:
            kept[later] = earlier
    return first[order][kept[place[inverse]]]


def _near(hashes: NDArray[np.uint64], most: int) -> list[tuple[int, int]]:
    """(later, earlier) of all that differ in at most `most` bits, by the later one's position."""
    found: set[tuple[int, int]] = set()
    for band in _bands(hashes, most + 1):
        order = np.argsort(band, kind="stable")
        values = band[order]
        ends = np.append(np.flatnonzero(values[1:] != values[:-1]) + 1, len(values))
        start = 0
        for end in ends:
            found.update(_within(order[start:end], hashes, most))
            start = end
    return sorted(found)


def _bands(hashes: NDArray[np.uint64], count: int) -> Iterator[NDArray[np.uint64]]:
    borders = np.linspace(0, BITS, count + 1).astype(int)
    for low, high in itertools.pairwise(borders):
        mask = np.uint64((1 << int(high - low)) - 1)
        yield (hashes >> np.uint64(low)) & mask


def _within(
    places: NDArray[np.int64], hashes: NDArray[np.uint64], most: int
) -> Iterator[tuple[int, int]]:
    """The near pairs among the hashes at these ascending places."""
    for start in range(0, len(places), ROWS_AT_ONCE):
        here = places[start : start + ROWS_AT_ONCE]
        for other in range(0, start + 1, ROWS_AT_ONCE):
            there = places[other : other + ROWS_AT_ONCE]
            differing = np.bitwise_count(hashes[here][:, None] ^ hashes[there][None])
            for row, column in np.argwhere(differing <= most):
                if there[column] < here[row]:
                    yield int(here[row]), int(there[column])
