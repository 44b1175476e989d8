"""The choice of survivors within clusters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.dedup.signatures.minhash import Scheme, keys_of_signatures, signatures
from corpusmill.stages.dedup.signatures.shared_parts import (
    only_figures_differ,
    shared_part,
    shared_parts,
)
from corpusmill.stages.dedup.signatures.shingles import Shingles, jaccard

# A pair is not checked if the signatures' estimate lies this many standard deviations below the
# threshold.
DEVIATIONS = 4
LEAST_SHARERS = 3  # removed documents that share one part with their survivor
LEAST_SHARE = 0.5  # of the survivor's words, in that part
_CLUSTER_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Choice:
    """survivor[i]: the document that stands for document i (i itself if it stays). similarity[i]:
    their Jaccard similarity (1 for itself). comparisons: number of similarities computed.
    """

    survivor: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]
    comparisons: int


def choose_survivors(
    starts: npt.NDArray[np.int64],
    shingles: Shingles,
    scheme: Scheme,
    threshold: float,
    max_comparisons: int,
    gone: npt.NDArray[np.bool_] | None = None,
    unshared_ngram: int = 0,
) -> Choice:
    """Go through each cluster in order. A document falls to a survivor whose similarity reaches the
    threshold, or survives itself.

    starts: int64[clusters + 1], the clusters' bounds among the documents, which are ordered by the
    survivor rule. gone: documents that take no part. unshared_ngram: if not 0, a document does not
    fall to a survivor with which it shares its beginning or end and nothing else (`shared_part`).

    A document is compared with survivors that share a band with it: of each band, the first
    `max_comparisons`. It is also compared with the first `max_comparisons` survivors of its
    cluster. Those whose signatures agree most come first. There are at most `max_comparisons`
    comparisons for each document. So the work grows with the number of documents, whatever the size
    of the clusters.
    """
    documents = len(shingles.offsets) - 1
    minima = signatures(shingles, scheme)
    keys = keys_of_signatures(minima, scheme)
    cluster = np.repeat(np.arange(len(starts) - 1, dtype=np.uint64), np.diff(starts))
    apart = keys ^ (cluster * _CLUSTER_MIX)[:, None]  # a bucket lies within one cluster
    _, buckets, sizes = np.unique(apart, return_inverse=True, return_counts=True)
    room = np.concatenate([[0], np.cumsum(np.minimum(sizes, max_comparisons))]).astype(np.int64)
    k = len(scheme.multiplier)
    least_agreement = k * (threshold - DEVIATIONS * (threshold * (1 - threshold) / k) ** 0.5)
    survivor = np.arange(documents, dtype=np.int64)
    similarity = np.ones(documents, dtype=np.float64)
    alike = np.zeros((documents, 2), np.uint64)
    comparisons = _choose(
        starts,
        shingles.offsets,
        shingles.hashes,
        alike if shingles.figures is None else shingles.figures,
        np.zeros(0, np.uint64) if shingles.words is None else shingles.words,
        np.zeros(0, np.int64) if shingles.word_offsets is None else shingles.word_offsets,
        unshared_ngram if shingles.words is not None else 0,
        minima,
        buckets.reshape(keys.shape).astype(np.int64),
        room,
        np.zeros(documents, np.bool_) if gone is None else gone,
        threshold,
        least_agreement,
        max_comparisons,
        survivor,
        similarity,
    )
    return Choice(survivor, similarity, int(comparisons))


def fell_for_shared_part(choice: Choice, shingles: Shingles, ngram: int) -> npt.NDArray[np.bool_]:
    """Which documents fell to a survivor mostly for a beginning or end that they share with it.

    At least `LEAST_SHARERS` documents of one survivor must share one part with it, of at least
    `LEAST_SHARE` of its words, and each must be unlike it in the rest. `shingles` has the words.
    """
    assert shingles.words is not None
    assert shingles.word_offsets is not None
    found = np.zeros(len(choice.survivor), np.bool_)
    fallen = np.flatnonzero(choice.survivor != np.arange(len(choice.survivor)))
    parts = np.zeros((len(fallen), 2), np.int64)
    shared_parts(
        shingles.words, shingles.word_offsets, ngram, fallen, choice.survivor[fallen], parts
    )
    fallen, parts = fallen[parts.sum(1) > 0], parts[parts.sum(1) > 0]
    survivors, group, sharers = np.unique(
        choice.survivor[fallen], return_inverse=True, return_counts=True
    )
    least = np.full((len(survivors), 2), np.iinfo(np.int64).max)
    np.minimum.at(least, group, parts)  # the part that all of them share
    enough = least.sum(1) >= LEAST_SHARE * np.diff(shingles.word_offsets)[survivors]
    found[fallen] = (enough & (sharers >= LEAST_SHARERS))[group]
    return found


@njit(nogil=True)
def _agreement(left: Any, right: Any) -> int:
    same = 0
    for i in range(len(left)):
        same += left[i] == right[i]
    return same


@njit(nogil=True)
def _choose(
    starts: Any,
    offsets: Any,
    hashes: Any,
    figures: Any,
    words: Any,
    word_offsets: Any,
    unshared_ngram: int,
    minima: Any,
    buckets: Any,
    room: Any,
    gone: Any,
    threshold: float,
    least_agreement: float,
    max_comparisons: int,
    survivor: Any,
    similarity: Any,
) -> int:
    documents, bands = buckets.shape
    k = minima.shape[1]
    filled = np.zeros(len(room) - 1, dtype=np.int64)
    slots = np.empty(room[-1], dtype=np.int64)  # the first survivors of each bucket
    leaders = np.empty(max_comparisons, dtype=np.int64)  # the first survivors of the cluster
    candidates = np.empty(max_comparisons * (bands + 1), dtype=np.int64)
    seen_by = np.full(documents, -1, dtype=np.int64)
    comparisons = 0
    for cluster in range(len(starts) - 1):
        led = 0
        for document in range(starts[cluster], starts[cluster + 1]):
            size = offsets[document + 1] - offsets[document]
            if size == 0 or gone[document]:
                continue
            found = 0
            for band in range(bands):
                bucket = buckets[document, band]
                for slot in range(room[bucket], room[bucket] + filled[bucket]):
                    if seen_by[slots[slot]] != document:
                        seen_by[slots[slot]] = document
                        candidates[found] = slots[slot]
                        found += 1
            for place in range(led):
                if seen_by[leaders[place]] != document:
                    seen_by[leaders[place]] = document
                    candidates[found] = leaders[place]
                    found += 1
            # Survivors that agree most come first; ties keep the order of survivors.
            ranks = np.empty(found, dtype=np.int64)
            for place in range(found):
                agreed = _agreement(minima[document], minima[candidates[place]])
                ranks[place] = (k - agreed) * documents + candidates[place]
            ranks.sort()
            for place in range(min(found, max_comparisons)):
                if k - ranks[place] // documents < least_agreement:
                    break
                other = ranks[place] % documents
                other_size = offsets[other + 1] - offsets[other]
                if min(size, other_size) < threshold * max(size, other_size):
                    continue
                if only_figures_differ(size, other_size, figures[document], figures[other]):
                    continue
                comparisons += 1
                similar = jaccard(
                    hashes[offsets[document] : offsets[document + 1]],
                    hashes[offsets[other] : offsets[other + 1]],
                )
                if similar >= threshold:
                    if unshared_ngram > 0:
                        begin, end = shared_part(
                            words[word_offsets[document] : word_offsets[document + 1]],
                            words[word_offsets[other] : word_offsets[other + 1]],
                            unshared_ngram,
                        )
                        if begin + end > 0:
                            continue
                    survivor[document], similarity[document] = other, similar
                    break
            if survivor[document] == document:
                if led < max_comparisons:
                    leaders[led] = document
                    led += 1
                for band in range(bands):
                    bucket = buckets[document, band]
                    if room[bucket] + filled[bucket] < room[bucket + 1]:
                        slots[room[bucket] + filled[bucket]] = document
                        filled[bucket] += 1
    return comparisons
