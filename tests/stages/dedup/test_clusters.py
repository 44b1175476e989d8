"""The bounded choice of survivors."""

import numpy as np
from corpusmill.stages.dedup.clusters import choose_survivors
from corpusmill.stages.dedup.signatures.minhash import make_scheme
from corpusmill.stages.dedup.signatures.shingles import Shingles


def shingles_of(*sets: set[int]) -> Shingles:
    """Sets of small numbers as shingle hashes, uniform over 64 bits as real ones are."""
    hashes = [
        np.unique(np.array(sorted(found), np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        for found in sets
    ]
    return Shingles(np.concatenate(hashes), np.cumsum([0, *map(len, hashes)]))


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
    """Every document shares two thirds of its shingles with every other. A threshold of 0.7 is so
    close that the estimate cannot rule out a pair.
    """
    core = set(range(800))
    documents = shingles_of(
        *({*core, *range(1000 + 200 * number, 1200 + 200 * number)} for number in range(300))
    )
    choice = choose_survivors(np.array([0, 300]), documents, make_scheme(32, 1, 1), 0.7, 8)
    assert choice.survivor.tolist() == list(range(300))
    assert 300 < choice.comparisons <= 8 * 300
