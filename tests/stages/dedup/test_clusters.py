"""Connected components, and the bounded choice of survivors."""

import numpy as np
from corpusmill.stages.dedup.clusters import choose_survivors, forest
from corpusmill.stages.dedup.signatures.minhash import make_scheme
from corpusmill.stages.dedup.signatures.shingles import Shingles


def shingles_of(*sets: set[int]) -> Shingles:
    """Sets of small numbers as shingle hashes, spread over 64 bits as real ones are."""
    spread = [
        np.unique(np.array(sorted(found), np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        for found in sets
    ]
    return Shingles(np.concatenate(spread), np.cumsum([0, *map(len, spread)]))


def test_a_component_is_named_by_its_least_node_whatever_the_order_of_links():
    left, right = np.array([9, 4, 7, 1], np.uint64), np.array([4, 7, 2, 8], np.uint64)
    nodes, roots = forest(left, right)
    assert dict(zip(nodes.tolist(), roots.tolist(), strict=True)) == {
        1: 1,
        2: 2,
        4: 2,
        7: 2,
        8: 1,
        9: 2,
    }
    assert [array.tolist() for array in forest(right[::-1], left[::-1])] == [
        nodes.tolist(),
        roots.tolist(),
    ]


def test_forests_of_parts_joined_give_the_components_of_the_whole():
    source = np.random.default_rng(2)
    left, right = (
        source.integers(0, 300, 200, dtype=np.uint64),
        source.integers(0, 300, 200, dtype=np.uint64),
    )
    parts = [forest(left[part::3], right[part::3]) for part in range(3)]
    joined = forest(
        np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    )
    assert [array.tolist() for array in joined] == [array.tolist() for array in forest(left, right)]


def test_no_links_have_no_components():
    nodes, roots = forest(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    assert len(nodes) == len(roots) == 0


def test_members_fall_to_the_first_survivor_that_is_like_them():
    first, second = set(range(1000)), set(range(5000, 6000))
    documents = shingles_of(first, second, first | {7777}, second - {5000}, set(range(500)))
    choice = choose_survivors(np.array([0, 5]), documents, make_scheme(14, 8, 1), 0.8, 64)
    assert choice.survivor.tolist() == [0, 1, 0, 1, 4]
    assert choice.similarity.tolist() == [1.0, 1.0, 1000 / 1001, 999 / 1000, 1.0]


def test_clusters_are_kept_apart():
    same = set(range(1000))
    choice = choose_survivors(
        np.array([0, 1, 2]), shingles_of(same, same), make_scheme(14, 8, 1), 0.8, 64
    )
    assert choice.survivor.tolist() == [0, 1]


def test_documents_without_shingles_survive():
    documents = shingles_of(set(), set(), set(range(9)))
    choice = choose_survivors(np.array([0, 3]), documents, make_scheme(14, 8, 1), 0.8, 64)
    assert choice.survivor.tolist() == [0, 1, 2]


def test_comparisons_grow_with_the_members_and_not_with_their_square():
    """Every document shares two thirds with every other, which a low threshold of 0.7 cannot rule out beforehand."""
    core = set(range(800))
    documents = shingles_of(
        *({*core, *range(1000 + 200 * number, 1200 + 200 * number)} for number in range(300))
    )
    choice = choose_survivors(np.array([0, 300]), documents, make_scheme(32, 1, 1), 0.7, 8)
    assert choice.survivor.tolist() == list(range(300))
    assert 300 < choice.comparisons <= 8 * 300
