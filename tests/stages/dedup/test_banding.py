"""Bands and rows for a threshold."""

import pytest
from corpusmill.stages.dedup.banding import best_banding, candidate_probability
from datasketch.lsh import _optimal_param


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.85])
@pytest.mark.parametrize(("hashes", "miss_weight"), [(64, 0.5), (96, 0.9), (40, 0.1)])
def test_the_banding_for_a_threshold_is_datasketchs(threshold, hashes, miss_weight):
    assert best_banding(threshold, hashes, miss_weight) == _optimal_param(
        threshold, hashes, 1 - miss_weight, miss_weight
    )


def test_weight_on_missed_pairs_finds_more_of_them():
    cautious, thrifty = best_banding(0.8, 128, 0.9), best_banding(0.8, 128, 0.1)
    assert candidate_probability(0.8, *cautious) > candidate_probability(0.8, *thrifty)


def test_the_published_bandings_have_their_published_probabilities():
    assert [
        round(candidate_probability(0.8, *pair), 2) for pair in ((14, 8), (20, 13), (26, 11))
    ] == [0.92, 0.68, 0.9]
