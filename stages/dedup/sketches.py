"""Compiled comparison of documents with the sketches of earlier runs (see `earlier`)."""

from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit


@njit(cache=True, nogil=True)
def fall(
    left: Any,
    right: Any,
    offsets: Any,
    hashes: Any,
    sketch_offsets: Any,
    sketches: Any,
    shingles: Any,
    threshold: float,
    max_comparisons: int,
    chosen: Any,
    similarity: Any,
) -> None:
    """For each document the first of its pairs (`left`, `right`) that is similar enough.

    left: rows of documents, ascending; offsets, hashes: their shingles. right: rows of earlier
    documents; sketch_offsets, sketches, shingles: their sketches and numbers of shingles. Written
    are `chosen` (the row of the earlier document; those that have one are left out) and
    `similarity`.
    """
    compared, last = 0, -1
    for i in range(len(left)):
        document, other = left[i], right[i]
        if document != last:
            compared, last = 0, document
        size = offsets[document + 1] - offsets[document]
        hopeless = min(size, shingles[other]) < threshold * max(size, shingles[other])
        if chosen[document] >= 0 or hopeless or compared == max_comparisons:
            continue
        compared += 1
        known = sketches[sketch_offsets[other] : sketch_offsets[other + 1]]
        found = sketch_similarity(
            hashes[offsets[document] : offsets[document + 1]], known, shingles[other]
        )
        if found >= threshold:
            chosen[document], similarity[document] = other, found


@njit(cache=True, nogil=True)
def sketch_similarity(hashes: Any, sketch: Any, shingles: int) -> float:
    """Jaccard similarity of a set of sorted hashes and a sketched one.

    sketch: the upper halves of the other set's hashes, sorted; of a large set only the least.
    """
    most = len(hashes) + shingles if shingles <= len(sketch) else len(sketch)
    i: Any = 0
    j: Any = 0
    shared = union = 0
    while union < most and (i < len(hashes) or j < len(sketch)):
        one = hashes[i] >> np.uint64(32) if i < len(hashes) else np.uint64(1 << 32)
        other = np.uint64(sketch[j]) if j < len(sketch) else np.uint64(1 << 32)
        shared += one == other
        i += np.int64(one <= other)
        j += np.int64(other <= one)
        union += 1
    return shared / union if union else 0.0
