"""From scores to buckets 0-19 to levels. In this way Nemotron-CC makes scorers comparable.

Source: arXiv 2412.02595, section 2.2. Each scorer's scores are cut at the 5 %, 10 %, ... 95 %
points of the corpus, weighted by text bytes as in the released recipe. A document's quality is the
highest of its buckets; their mean can be taken instead. The edges come from histograms, so no
process gathers all scores. A score's bin is the top 24 bits of the float's bits, mapped to integers
of the same order (relative width 2^-16). A bin counts documents and bytes as whole numbers. So
histograms merge exactly, in any order.

A bin's place is the middle of a document at its lower end: the bytes below the bin plus half of its
mean document. Without ties this is the usual middle rank. Documents that tie share the lowest
bucket that they span. So a scorer that gives all documents one score puts them into bucket 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from corpusmill.classifiers.linear import Scores

BUCKETS = 20
BITS = 24
# Lowest buckets of medium_low, medium, medium_high and high, from Nemotron-CC's table.
LEVEL_BORDERS = (7, 12, 18, 19)

Combine = Literal["max", "mean"]
Bins = npt.NDArray[np.uint32]
Whole = npt.NDArray[np.int64]


def bins_of(scores: Scores) -> Bins:
    """The bin of each score, uint32 below 2**BITS. A higher score never has a lower bin.

    Scores must be finite.
    """
    bits = (scores.astype(np.float32) + np.float32(0.0)).view(np.uint32)  # -0.0 becomes 0.0
    negative = (bits >> np.uint32(31)).astype(bool)
    image = np.where(negative, ~bits, bits | np.uint32(1 << 31))
    return image >> np.uint32(32 - BITS)


def lowest_of(bins: Bins) -> Scores:
    """The lowest score that falls into each bin."""
    image = bins.astype(np.uint32) << np.uint32(32 - BITS)
    negative = image < np.uint32(1 << 31)
    return (
        np.where(negative, ~image, image & np.uint32((1 << 31) - 1))
        .astype(np.uint32)
        .view(np.float32)
    )


@dataclass(frozen=True)
class Histogram:
    """Occupied bins in ascending order, with the documents and text bytes in each."""

    bins: Bins
    documents: Whole
    text_bytes: Whole


def histogram(scores: Scores, text_bytes: Whole) -> Histogram:
    """The histogram of finite scores [N] with their documents' sizes [N]."""
    bins, group, documents = np.unique(bins_of(scores), return_inverse=True, return_counts=True)
    total = np.zeros(len(bins), dtype=np.int64)
    np.add.at(total, group, text_bytes)
    return Histogram(bins, documents.astype(np.int64), total)


def merged(parts: Sequence[Histogram]) -> Histogram:
    """One histogram of all parts. It is exact, in any order of the parts."""
    if not parts:
        return EMPTY
    bins, group = np.unique(np.concatenate([part.bins for part in parts]), return_inverse=True)
    documents, text_bytes = np.zeros(len(bins), dtype=np.int64), np.zeros(len(bins), dtype=np.int64)
    np.add.at(documents, group, np.concatenate([part.documents for part in parts]))
    np.add.at(text_bytes, group, np.concatenate([part.text_bytes for part in parts]))
    return Histogram(bins.astype(np.uint32), documents, text_bytes)


EMPTY = Histogram(
    np.zeros(0, dtype=np.uint32), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
)


def edges_of(counted: Histogram) -> list[float | None]:
    """19 ascending scores. Bucket k begins at the k-th. None: no document reaches that bucket.

    If no document has any text, documents count alike.
    """
    weights = counted.text_bytes if counted.text_bytes.any() else counted.documents
    total = int(weights.sum())
    below = 0
    edges: list[float | None] = []
    lowest = lowest_of(counted.bins)
    for place in range(len(counted.bins)):  # in Python's integers: the products exceed 64 bits
        weight, documents = int(weights[place]), int(counted.documents[place])
        reached = min(
            BUCKETS * (2 * documents * below + weight) // (2 * documents * total), BUCKETS - 1
        )
        edges += [float(lowest[place])] * (reached - len(edges))
        below += weight
    return edges + [None] * (BUCKETS - 1 - len(edges))


def bucket_of(scores: Scores, edges: Sequence[float | None]) -> npt.NDArray[np.uint8]:
    """The bucket 0-19 of each finite score: the number of edges at or below it."""
    reached = np.array([np.inf if edge is None else edge for edge in edges], dtype=np.float32)
    return np.searchsorted(reached, scores, side="right").astype(np.uint8)


def combined(buckets: npt.NDArray[np.uint8], combine: Combine) -> npt.NDArray[np.uint8]:
    """The quality of each document from its buckets [scorers, N]: the highest, or the mean.

    A mean in the middle between two buckets is rounded up.
    """
    if combine == "max":
        return buckets.max(axis=0)
    scorers = len(buckets)
    return ((2 * buckets.sum(axis=0, dtype=np.int64) + scorers) // (2 * scorers)).astype(np.uint8)


def level_of(
    buckets: npt.NDArray[np.uint8], borders: Sequence[int] = LEVEL_BORDERS
) -> npt.NDArray[np.int64]:
    """The place in `schema.LEVELS` of each bucket's level."""
    return np.searchsorted(np.array(borders), buckets, side="right")
