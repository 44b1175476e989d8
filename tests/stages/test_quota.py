"""Draws: the documents with the smallest keys, as many as fit into the quota and not one more."""

import numpy as np
from corpusmill.stages.quota import KEY_END, draw, keys_of
from hypothesis import given
from hypothesis import strategies as st


def pieces(group, keys, weights, size=7):
    def read():
        for start in range(0, len(keys), size):
            part = slice(start, start + size)
            yield group[part], keys[part], weights[part]

    return read


@given(
    st.lists(
        st.tuples(st.integers(0, KEY_END - 1), st.integers(0, 50), st.integers(0, 1)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 1500),
)
def test_the_draw_is_the_longest_run_of_smallest_keys_that_fits(rows, quota):
    keys, weights, groups = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    for group, drawn in draw(pieces(groups, keys, weights), {0: quota, 1: quota // 2}).items():
        mine = sorted((key, weight) for key, weight, other in rows if other == group)
        below = [weight for key, weight in mine if key < drawn.threshold]
        assert (drawn.documents, drawn.weight) == (len(below), sum(below))
        limit = quota if group == 0 else quota // 2
        assert drawn.weight <= limit
        rest = [key for key, _ in mine if key >= drawn.threshold]
        if rest:
            assert drawn.weight + sum(weight for key, weight in mine if key == rest[0]) > limit


def test_repeats_of_a_key_are_taken_together_or_not_at_all():
    keys, weights = np.array([5, 5, 9]), np.array([10, 10, 1])
    drawn = draw(pieces(np.zeros(3, int), keys, weights), {0: 15})[0]
    assert (drawn.documents, drawn.weight) == (0, 0)


def test_neighbours_in_one_range_of_keys_are_told_apart():
    keys = np.arange(1000) + (3 << 47)
    drawn = draw(pieces(np.zeros(1000, int), keys, np.ones(1000, int)), {0: 123})[0]
    assert (drawn.documents, drawn.threshold) == (123, (3 << 47) + 123)


def test_keys_depend_on_id_and_seed_only():
    assert keys_of(["a", "b"], 1).tolist() == keys_of(["b", "a"], 1).tolist()[::-1]
    assert keys_of(["a"], 1) != keys_of(["a"], 2)


def test_keys_are_spread_evenly():
    keys = keys_of((f"document {number}" for number in range(20_000)), seed=0)
    counts = np.bincount(keys >> 60, minlength=8)
    assert keys.min() >= 0
    assert abs(counts - 2500).max() < 6 * 2500**0.5
