"""Held-out figures: accuracy, F1 and the area under the ROC curve, with ties and missing scores."""

import itertools

import numpy as np
import pytest
from corpusmill.classifiers.evaluation import area_under_curve, evaluate
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_the_share_of_pairs_in_the_right_order(rows):
    scores, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    pairs = list(itertools.product(scores[truth], scores[~truth]))
    found = area_under_curve(scores, truth)
    if not pairs:
        assert found is None
    else:
        assert found == pytest.approx(
            np.mean([(good > bad) + 0.5 * (good == bad) for good, bad in pairs])
        )


def test_accuracy_precision_recall_and_f1_at_the_threshold():
    found = evaluate(np.array([0.9, 0.6, 0.4, 0.1, 0.7]), np.array([1, 1, 1, 0, 0]), 0.5)
    assert (found["documents"], found["positive"]) == (5, 3)
    assert found["accuracy"] == 0.6
    assert found["precision"] == found["recall"] == found["f1"] == pytest.approx(2 / 3, abs=1e-6)


def test_a_document_without_a_score_counts_as_negative():
    assert evaluate(np.array([np.nan, 1.0]), np.array([1, 1]), 0.5)["recall"] == 0.5
