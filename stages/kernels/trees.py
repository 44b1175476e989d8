"""Gradient-boosted decision trees: how a trained forest scores rows. Training needs scikit-learn and is not done here.

A forest is a table of nodes, one tree after the other. An inner node sends a row to `left` if its feature is at most `threshold`,
otherwise to `right`; a leaf (feature -1) holds its score in `threshold`. A row's probability is the logistic function of the sum over
all trees.

Source: Friedman, Greedy Function Approximation: A Gradient Boosting Machine, Annals of Statistics 29 (2001).
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Forest(NamedTuple):
    """roots: the first node of each tree. features, thresholds, left, right: by node. bias: what the sum begins with."""

    roots: NDArray[np.int32]
    features: NDArray[np.int16]
    thresholds: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    bias: float


@njit(cache=True)
def probabilities(forest: Forest, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of each row."""
    sums = np.full(rows.shape[0], forest.bias, np.float64)
    for root in forest.roots:  # trees outside, rows inside: one tree at a time stays in the cache
        for row in range(rows.shape[0]):
            node = root
            while forest.features[node] >= 0:
                at_most = rows[row, forest.features[node]] <= forest.thresholds[node]
                node = forest.left[node] if at_most else forest.right[node]
            sums[row] += forest.thresholds[node]
    return (1 / (1 + np.exp(-sums))).astype(np.float32)
