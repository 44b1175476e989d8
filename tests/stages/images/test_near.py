"""Near duplicates: within the distance, to the first that stays, in any band."""

import tracemalloc

import numpy as np
from corpusmill.stages.images.near import survivors


def plain(hashes, most):
    """The rule as it is written."""
    stays: list[int] = []
    found: list[int] = []
    for place, value in enumerate(hashes):
        near = [other for other in stays if (int(value) ^ int(hashes[other])).bit_count() <= most]
        found.append(near[0] if near else place)
        if not near:
            stays.append(place)
    return found


def test_it_does_what_the_rule_says():
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 1 << 63, 20, np.uint64)
    for most in (0, 3, 7):
        hashes = centres[rng.integers(0, 20, 300)]
        for _ in range(most + 1):
            flipped = np.uint64(1) << rng.integers(0, 64, 300, np.uint64)
            hashes = np.where(rng.random(300) < 0.5, hashes ^ flipped, hashes)
        assert survivors(hashes, most).tolist() == plain(hashes, most)


def test_of_a_chain_only_the_middle_falls():
    assert survivors(np.array([0b0, 0b11, 0b1111], np.uint64), 2).tolist() == [0, 0, 2]


def test_many_hashes_of_one_band_need_little_memory():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 48, 6_000, np.uint64) << np.uint64(16)
    hashes[5_000] = hashes[10] ^ np.uint64(1 << 40)
    tracemalloc.start()
    found = survivors(hashes, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.flatnonzero(found != np.arange(6_000)).tolist() == [5_000]
    assert found[5_000] == 10
    assert peak < 60 << 20  # all pairs at once: 360 MB
