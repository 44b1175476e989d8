"""Comparing documents with the sketches of earlier runs: the kernels of `stages.dedup.earlier`.

A sketch holds the upper halves of the smallest shingle hashes of a document. For a document with
few shingles it holds all of them. The similarity of a set and a sketch is estimated on the smallest
hashes of their union. Source: Broder 1997, "On the resemblance and containment of documents",
section 4.
"""

from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.dedup.signatures.shared_parts import only_figures_differ


@njit(nogil=True)
def match_sketches(
    left: Any,
    right: Any,
    offsets: Any,
    hashes: Any,
    own_figures: Any,
    sketch_offsets: Any,
    sketches: Any,
    shingles: Any,
    figures: Any,
    threshold: float,
    max_comparisons: int,
    chosen: Any,
    similarity: Any,
) -> None:
    """Choose for each document the first earlier one whose similarity reaches the threshold.

    left, right: pairs of a document and an earlier one, sorted by document. offsets, hashes: the
    shingles of the documents. sketch_offsets, sketches, shingles: the sketches of the earlier
    documents, and their numbers of shingles. own_figures, figures: hashes of the numbers and
    operators of both sides. chosen, similarity: by document, filled here; -1 if none is chosen yet.
    At most `max_comparisons` pairs of a document are compared.
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
        if only_figures_differ(size, shingles[other], own_figures[document], figures[other]):
            continue
        compared += 1
        known = sketches[sketch_offsets[other] : sketch_offsets[other + 1]]
        found = sketch_similarity(
            hashes[offsets[document] : offsets[document + 1]], known, shingles[other]
        )
        if found >= threshold:
            chosen[document], similarity[document] = other, found


@njit(nogil=True)
def sketch_similarity(hashes: Any, sketch: Any, shingles: int) -> float:
    """Jaccard similarity of a set of sorted hashes and an earlier set of `shingles` hashes.
    `sketch` has the upper halves of the earlier set's hashes, of a large set only the smallest.
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
