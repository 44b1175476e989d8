"""The order of a blend: every prefix has its shares."""

import numpy as np
from corpusmill.stages.blend.order import by_deficit
from hypothesis import given
from hypothesis import strategies as st


def prefix_errors(order, sources, sizes, shares, taken):
    """Of each prefix and source, tokens above or below its share, in largest documents."""
    given = np.zeros((len(order) + 1, len(shares)))
    given[0] = taken
    for place, document in enumerate(order):
        given[place + 1] = given[place]
        given[place + 1, sources[document]] += sizes[document]
    wanted = given.sum(axis=1, keepdims=True) * np.array(shares)
    return (given - wanted) / sizes.max()


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_every_prefix_has_the_shares_to_within_a_document(seed, count):
    chosen = np.random.default_rng(seed)
    weights = chosen.dirichlet(np.ones(count))
    documents = []
    for source, weight in enumerate(weights):  # enough documents of each to meet its share
        total = 0
        while total < weight * 20_000:
            size = int(chosen.integers(1, 200))
            total += size
            documents.append((source, size))
    sources, sizes = np.array(documents, np.int64).T
    shares = np.bincount(sources, weights=sizes, minlength=count) / sizes.sum()
    order = by_deficit(sources, sizes, shares.tolist(), [0] * count)
    assert sorted(order.tolist()) == list(range(len(sizes)))
    errors = prefix_errors(order, sources, sizes, shares, [0] * count)
    assert errors.max() <= 1
    assert errors.min() >= -1


def test_documents_of_a_source_keep_their_order():
    sources = np.array([0, 1, 0, 1, 0])
    order = by_deficit(sources, np.array([3, 1, 4, 1, 5]), [0.8, 0.2], [0, 0])
    assert [one for one in order if sources[one] == 0] == [0, 2, 4]
    assert [one for one in order if sources[one] == 1] == [1, 3]


def test_what_was_taken_before_counts():
    order = by_deficit(np.array([0, 1, 1]), np.array([1, 1, 1]), [0.5, 0.5], [2, 0])
    assert order.tolist() == [1, 2, 0]


def test_nothing_has_an_order():
    assert by_deficit(np.array([], int), np.array([], int), [1.0], [0]).tolist() == []
