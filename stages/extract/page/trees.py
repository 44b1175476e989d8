"""Gradient-boosted decision trees: how a trained forest scores rows. Training needs scikit-learn
and is not done here.

A forest is a table of nodes, one tree after the other. An inner node sends a row to `left` if its
feature is at most `threshold`, otherwise to the node after `left`. A leaf sends every row to
itself, since its threshold is infinite. So every row can take as many steps as the tree is deep,
without a branch. Eight rows go at a time: each step waits for memory, and the waits overlap. A
row's probability is the logistic function of the sum of its leaves' values.

Source: Friedman, Greedy Function Approximation: A Gradient Boosting Machine, Annals of Statistics
29 (2001).
"""

from typing import Final, NamedTuple

import numpy as np
from corpusmill.stages.columns.compiled import inlined, njit, uncounted
from numpy.typing import NDArray

FIRST_TREES: Final = 60  # every row takes these
SURE: Final = 3.5  # a sum of log-odds: probabilities below 0.03 and above 0.97


class Forest(NamedTuple):
    """roots, depths: the first node and the depth of each tree. features, thresholds, left, values:
    by node. bias: what the sum begins with.
    """

    roots: NDArray[np.int32]
    depths: NDArray[np.int32]
    features: NDArray[np.int32]
    thresholds: NDArray[np.float32]
    left: NDArray[np.int32]
    values: NDArray[np.float32]
    bias: float


@njit
def probabilities(forest: Forest, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of each row. A row whose sum is beyond SURE after FIRST_TREES keeps it: most
    blocks of a page are menus and the like, and need no more trees.
    """
    count = rows.shape[0]
    sums = np.full(count, forest.bias, np.float64)
    first = min(FIRST_TREES, forest.roots.size)
    _add_trees(forest, rows.ravel(), 0, first, sums)
    if first < forest.roots.size:
        doubtful = np.flatnonzero(np.abs(sums) < SURE)
        some, their_sums = rows[doubtful], sums[doubtful]
        _add_trees(forest, some.ravel(), first, forest.roots.size, their_sums)
        sums[doubtful] = their_sums
    return (1 / (1 + np.exp(-sums))).astype(np.float32)


@uncounted
def _add_trees(
    forest: Forest, flat: NDArray[np.float32], begin: int, end: int, sums: NDArray[np.float64]
) -> None:
    """Add to each row's sum the leaves of the trees from `begin` to `end`. flat: the rows, one
    after the other.
    """
    count = sums.size
    width = np.uint64(flat.size // max(count, 1))  # unsigned: no test for negative places
    # Trees in the outer loop, rows in the inner one: so one tree at a time stays in the cache.
    for tree in range(begin, end):
        root, depth = np.uint64(forest.roots[tree]), forest.depths[tree]
        whole = count - count % 8
        for row in range(0, whole, 8):
            row0 = np.uint64(row) * width
            row1 = row0 + width
            row2 = row1 + width
            row3 = row2 + width
            row4 = row3 + width
            row5 = row4 + width
            row6 = row5 + width
            row7 = row6 + width
            a = b = c = d = e = f = g = h = root
            for _ in range(depth):
                a = _step(forest, flat, row0, a)
                b = _step(forest, flat, row1, b)
                c = _step(forest, flat, row2, c)
                d = _step(forest, flat, row3, d)
                e = _step(forest, flat, row4, e)
                f = _step(forest, flat, row5, f)
                g = _step(forest, flat, row6, g)
                h = _step(forest, flat, row7, h)
            sums[row] += forest.values[a]
            sums[row + 1] += forest.values[b]
            sums[row + 2] += forest.values[c]
            sums[row + 3] += forest.values[d]
            sums[row + 4] += forest.values[e]
            sums[row + 5] += forest.values[f]
            sums[row + 6] += forest.values[g]
            sums[row + 7] += forest.values[h]
        for row in range(whole, count):
            a = root
            for _ in range(depth):
                a = _step(forest, flat, np.uint64(row) * width, a)
            sums[row] += forest.values[a]


@inlined
def _step(forest: Forest, flat: NDArray[np.float32], row: np.uint64, node: np.uint64) -> np.uint64:
    """The node that a row goes to from a node."""
    goes_right = flat[row + np.uint64(forest.features[node])] > forest.thresholds[node]
    return np.uint64(forest.left[node]) + np.uint64(goes_right)
