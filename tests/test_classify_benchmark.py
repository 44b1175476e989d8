"""What `benchmarks/classify.py` counts: recall in a corpus with a tenth of positive documents."""

import numpy as np
import pytest

from benchmarks.classify import Text as LabelledText
from benchmarks.classify import judged, ranks, recall_at_precision, recall_at_top, share, some

TRUTH = np.array([True] * 10 + [False] * 90)


def test_perfect_scores_find_all_and_reversed_scores_find_nothing():
    assert recall_at_top(TRUTH.astype(float), TRUTH) == 1.0
    assert recall_at_precision(TRUTH.astype(float), TRUTH) == 1.0
    assert recall_at_top(-TRUTH.astype(float), TRUTH) == 0.0
    assert recall_at_precision(-TRUTH.astype(float), TRUTH) == 0.0


def test_the_classes_are_weighted_so_that_their_sizes_do_not_matter():
    half = np.array([True] * 50 + [False] * 50)
    scores = np.where(half, 1.0, 0.0)
    scores[50:60] = 2.0  # a fifth of the negative documents: 18 % of the corpus, before all others
    assert recall_at_top(scores, half) == 0.0
    scores[50:60] = 0.0
    assert recall_at_top(scores, half) == 1.0


def test_recall_is_that_of_the_lowest_threshold_with_the_wanted_precision():
    scores = np.linspace(1, 0, 100)
    truth = np.zeros(100, dtype=bool)
    truth[[0, 1, 2, 3, 5, 20, 30, 40, 50, 60]] = True
    assert recall_at_precision(scores, truth) == pytest.approx(0.5)  # five of the first six


def test_a_text_without_a_score_ranks_last():
    assert ranks(np.array([0.5, np.nan, 0.7])).tolist() == pytest.approx([2 / 3, 1 / 3, 1])


def test_an_ensemble_of_scorers_that_fail_on_different_documents_beats_each():
    draw = np.random.default_rng(0)
    noise = draw.random((4, 100))
    noise[0, :5] = noise[1, 5:10] = 2.0
    found = judged(dict(zip(("words", "shape", "static", "meaning"), noise, strict=True)), TRUTH)
    assert found["max words+shape"]["auc"] > max(found["words"]["auc"], found["shape"]["auc"])


def test_texts_are_chosen_by_themselves_and_no_group_has_more_than_its_part():
    texts = [LabelledText(str(number), True, str(number % 2)) for number in range(40)]
    found = some(texts, 10, 3)
    assert len(found) == 6
    assert found == some(texts[::-1], 10, 3)
    assert all(0 <= share(text.text) < 1 for text in texts)
