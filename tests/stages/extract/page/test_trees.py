"""The forest's kernel against a plain-Python walk down its trees."""

import math

import numpy as np
import pytest
from corpusmill.stages.extract.page.trees import Forest, probabilities


def random_forest(seed, trees=5, features=6):
    """Trees of random shape: a node is split with falling probability."""
    random = np.random.default_rng(seed)
    roots, depths = [], []
    nodes: list = []

    def grow(place, depth):
        if depth < 6 and random.random() < 0.9 - 0.12 * depth:
            children = len(nodes)
            nodes[place] = (random.integers(features), random.normal(), children, 0.0)
            nodes.extend([None, None])
            return max(grow(children, depth + 1), grow(children + 1, depth + 1))
        nodes[place] = (0, math.inf, place, random.normal())
        return depth

    for _ in range(trees):
        roots.append(len(nodes))
        nodes.append(None)
        depths.append(grow(roots[-1], 0))
    feature, threshold, left, value = zip(*nodes, strict=True)
    return Forest(
        np.array(roots, np.int32),
        np.array(depths, np.int32),
        np.array(feature, np.int32),
        np.array(threshold, np.float32),
        np.array(left, np.int32),
        np.array(value, np.float32),
        -0.25,
    )


def plain_probability(forest, row):
    total = forest.bias
    for root in forest.roots:
        node = root
        while math.isfinite(forest.thresholds[node]):
            node = forest.left[node] + (row[forest.features[node]] > forest.thresholds[node])
        total += forest.values[node]
    return 1 / (1 + math.exp(-total))


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 7, 64])
def test_every_row_gets_the_probability_that_its_leaves_say(rows):
    forest = random_forest(rows)
    data = np.random.default_rng(1).normal(size=(rows, 6)).astype(np.float32)
    expected = [plain_probability(forest, row) for row in data]
    assert probabilities(forest, data) == pytest.approx(expected, abs=1e-6)


def test_a_row_at_the_threshold_goes_left():
    forest = Forest(
        np.array([0], np.int32),
        np.array([1], np.int32),
        np.array([0, 0, 0], np.int32),
        np.array([2.5, math.inf, math.inf], np.float32),
        np.array([1, 1, 2], np.int32),
        np.array([0, -100, 100], np.float32),
        0.0,
    )
    assert probabilities(forest, np.array([[2.5], [2.6]], np.float32)).round().tolist() == [0, 1]
