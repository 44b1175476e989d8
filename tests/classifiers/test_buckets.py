"""Scores become buckets by the corpus' byte-weighted percentiles.

Merging is exact. Ties never raise a bucket.
"""

import numpy as np
import pytest
from corpusmill.classifiers.buckets import (
    EMPTY,
    bins_of,
    bucket_of,
    combined,
    edges_of,
    histogram,
    level_of,
    lowest_of,
    merged,
)
from corpusmill.manifests.schema import LEVELS
from hypothesis import given, settings
from hypothesis import strategies as st

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
weighted = st.lists(st.tuples(finite, st.integers(0, 1 << 40)), min_size=1, max_size=60)


def arrays(pairs):
    return np.array([score for score, _ in pairs], np.float32), np.array(
        [size for _, size in pairs], np.int64
    )


def buckets(scores, sizes=None):
    scores = np.array(scores, np.float32)
    sizes = np.full(len(scores), 100) if sizes is None else np.array(sizes)
    return bucket_of(scores, edges_of(histogram(scores, sizes))).tolist()


@given(st.lists(finite, min_size=2, max_size=50))
def test_a_higher_score_never_has_a_lower_bin(scores):
    ordered = np.sort(np.array(scores, np.float32))
    assert (np.diff(bins_of(ordered).astype(np.int64)) >= 0).all()


@given(st.lists(finite, min_size=1, max_size=50))
def test_the_lowest_score_of_a_bin_lies_in_it_and_at_or_below_its_scores(scores):
    values = np.array(scores, np.float32)
    lowest = lowest_of(bins_of(values))
    assert (bins_of(lowest) == bins_of(values)).all()
    assert (lowest <= values).all()


def test_a_bin_is_narrow_enough_to_tell_confident_probabilities_apart():
    assert len(set(bins_of(np.array([0.9999, 0.99993, 0.99996, 1.0], np.float32)).tolist())) == 4


def test_minus_zero_and_zero_share_a_bin():
    assert len(set(bins_of(np.array([-0.0, 0.0], np.float32)).tolist())) == 1


@settings(max_examples=50)
@given(weighted, st.integers(1, 10), st.randoms())
def test_merging_in_parts_and_in_any_order_gives_the_histogram_of_the_whole(pairs, size, order):
    whole = histogram(*arrays(pairs))
    parts = [
        histogram(*arrays(pairs[start : start + size])) for start in range(0, len(pairs), size)
    ]
    order.shuffle(parts)
    found = merged([EMPTY, merged(parts[: len(parts) // 2]), *parts[len(parts) // 2 :]])
    for name in ("bins", "documents", "text_bytes"):
        assert getattr(found, name).tolist() == getattr(whole, name).tolist()


@given(weighted)
def test_buckets_ascend_with_the_score_and_stay_within_0_and_19(pairs):
    scores, sizes = arrays(pairs)
    found = bucket_of(np.sort(scores), edges_of(histogram(scores, sizes))).astype(int)
    assert (np.diff(found) >= 0).all()
    assert 0 <= found.min() <= found.max() <= 19


def test_a_hundred_equal_documents_fill_each_bucket_with_five():
    assert np.bincount(buckets(np.linspace(-1, 1, 100)), minlength=20).tolist() == [5] * 20


def test_the_weight_is_text_bytes_not_documents():
    """The ten long of 100 documents hold half of the bytes. They share the upper ten buckets."""
    found = buckets(np.arange(100), [100] * 90 + [900] * 10)
    assert found[90:] == list(range(10, 20))
    assert max(found[:90]) == 9


def test_equal_scores_throughout_say_nothing():
    assert set(buckets([0.7] * 50)) == {0}


def test_ties_share_the_lowest_bucket_that_they_span():
    found = buckets([0.1] * 30 + [0.5] * 50 + list(np.linspace(0.6, 1, 20)))
    assert set(found[:30]) == {0}
    assert set(found[30:80]) == {6}
    assert found[80] == 16


def test_a_single_document_stands_in_the_middle():
    assert buckets([3.0]) == [10]


def test_documents_without_text_count_alike():
    assert buckets([1.0, 2.0], [0, 0]) == [5, 15]


def test_an_empty_corpus_has_no_edges_and_leaves_every_later_score_at_the_bottom():
    edges = edges_of(EMPTY)
    assert edges == [None] * 19
    assert bucket_of(np.array([-5.0, 5.0], np.float32), edges).tolist() == [0, 0]


def test_edges_of_one_corpus_sort_the_scores_of_another():
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    edges = edges_of(histogram(scores, np.ones(1000, np.int64)))
    assert bucket_of(np.array([-9, 0.024, 0.526, 0.976, 9], np.float32), edges).tolist() == [
        0,
        0,
        10,
        19,
        19,
    ]


def test_sizes_whose_products_pass_64_bits_are_exact():
    huge = 1 << 60
    assert buckets([1, 2, 3, 4], [huge, huge, huge, huge]) == [2, 7, 12, 17]


@pytest.mark.parametrize(
    ("bucket", "level"),
    [
        (0, "low"),
        (6, "low"),
        (7, "medium_low"),
        (11, "medium_low"),
        (12, "medium"),
        (17, "medium"),
        (18, "medium_high"),
        (19, "high"),
    ],
)
def test_levels_are_those_of_the_nemotron_cc_table(bucket, level):
    assert LEVELS[level_of(np.array([bucket], np.uint8))[0]] == level


def test_the_quality_of_three_scorers_is_the_highest_bucket_or_the_mean_rounded_half_up():
    buckets = np.array([[19, 0, 19, 1, 19], [0, 0, 19, 1, 19], [0, 1, 19, 2, 17]], dtype=np.uint8)
    assert combined(buckets, "max").tolist() == [19, 1, 19, 2, 19]
    assert combined(buckets, "mean").tolist() == [6, 0, 19, 1, 18]
    assert combined(np.array([[3], [4]], dtype=np.uint8), "mean").tolist() == [4]
    assert combined(np.zeros((2, 0), dtype=np.uint8), "mean").dtype == np.uint8
