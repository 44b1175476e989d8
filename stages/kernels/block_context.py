"""What a first guess says about the blocks and elements around a block, for a second look.

A paragraph of an article looks like a paragraph of a teaser, but their surroundings differ. The first model scores blocks one by one;
these features sum its scores over neighbours, windows and the elements around, and the second model scores again with them.

Source: auto-context, Tu, CVPR 2008; stacked sequential learning, Cohen and Carvalho, IJCAI 2005.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels.block_text import WORDS
from stages.kernels.html_page import ELEMENT, PARENT, TITLE

Floats = NDArray[np.float32]

OFFSETS: Final = 3
WINDOWS: Final = (5, 15, 40)
ANCESTORS: Final = 5
CONTEXT: Final = (
    *(f"score_{offset:+}" for offset in range(-OFFSETS, OFFSETS + 1)),
    *(f"score_within_{blocks}" for blocks in WINDOWS),
    *("kept_before", "kept_words", "kept_share"),
    *(f"{name}_of_{ancestor}" for ancestor in range(ANCESTORS) for name in ("score", "share_of_kept")),
)
LEAST_WORDS = 0.5  # what a block without words weighs


@njit(cache=True)
def describe_context(
    blocks: NDArray[np.int32], elements: NDArray[np.int32], measures: Floats, scores: Floats, context: Floats
) -> None:
    """Fill a row of `context` for each block. scores: the first model's probabilities."""
    count = blocks.shape[0]
    words = np.zeros(count + 1, np.float64)
    kept = np.zeros(count + 1, np.float64)
    totals = np.zeros((elements.shape[0], 2), np.float64)
    for number in range(count):
        weight = 0.0 if blocks[number, TITLE] else max(measures[number, WORDS], LEAST_WORDS)
        words[number + 1] = words[number] + weight
        kept[number + 1] = kept[number] + weight * scores[number]
        totals[blocks[number, ELEMENT], 0] += weight
        totals[blocks[number, ELEMENT], 1] += weight * scores[number]
    for element in range(elements.shape[0] - 1, 0, -1):
        totals[elements[element, PARENT], 0] += totals[element, 0]
        totals[elements[element, PARENT], 1] += totals[element, 1]
    total = max(kept[count], 1e-9)
    for number in range(count):
        row = context[number]
        column = 0
        for offset in range(-OFFSETS, OFFSETS + 1):
            other = number + offset
            row[column] = scores[other] if 0 <= other < count else 0
            column += 1
        for window in WINDOWS:
            begin, end = max(number - window, 0), min(number + window + 1, count)
            row[column] = (kept[end] - kept[begin]) / (words[end] - words[begin] + 1e-9)
            column += 1
        row[column], row[column + 1], row[column + 2] = kept[number] / total, total, total / max(words[count], 1)
        column += 3
        element = blocks[number, ELEMENT]
        for _ in range(ANCESTORS):
            row[column] = totals[element, 1] / (totals[element, 0] + 1e-9)
            row[column + 1] = totals[element, 1] / total
            column += 2
            element = elements[element, PARENT]
