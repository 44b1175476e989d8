"""The regression and what is made of it, on losses whose law is known."""

import numpy as np
import pytest
from corpusmill.stages.mix.design import mixtures
from corpusmill.stages.mix.law import fit
from corpusmill.stages.mix.proposal import propose, rank_correlation

NATURAL = np.array([0.6, 0.3, 0.1])
CAPS = np.array([1.0, 1.0, 0.4])


def losses(shares, noise=0.0):
    """Domain 0 falls with source 1, domain 1 with sources 0 and 2."""
    falls = np.array([[0.1, 0.8], [1.5, 0.0], [0.3, 1.2]])
    clean = 1.2 + np.exp(0.5 - np.sqrt(shares) @ falls)
    return clean + noise * np.random.default_rng(5).standard_normal(clean.shape)


def test_a_law_is_found_again():
    law = fit(mixtures(NATURAL, CAPS, 24, 0), losses(mixtures(NATURAL, CAPS, 24, 0)))
    unseen = mixtures(NATURAL, CAPS, 60, 1)[1:]
    assert law(unseen) == pytest.approx(losses(unseen), abs=0.04)


def test_the_proposal_follows_the_objective_and_the_caps():
    shares = mixtures(NATURAL, CAPS, 32, 0)
    found = losses(shares, noise=0.01)
    first = propose(shares, found, np.array([1.0, 0.0]), CAPS, NATURAL, 0)
    second = propose(shares, found, np.array([0.0, 1.0]), CAPS, NATURAL, 0)
    assert first.weights[1] > 0.85
    assert second.weights[2] == pytest.approx(0.4, abs=0.03)  # its cap
    assert second.weights[0] > 0.5
    assert first.gain[1] > 0
    assert first.rank > 0.9
    for one in (first, second):
        assert one.weights.sum() == pytest.approx(1)
        assert (one.low <= one.weights + 0.02).all()
        assert (one.weights <= one.high + 0.02).all()


def test_losses_that_no_mixture_decides_are_told_apart():
    shares = mixtures(NATURAL, CAPS, 32, 0)
    noise = 2 + np.random.default_rng(1).random((32, 2))
    found = propose(shares, noise, np.array([0.5, 0.5]), CAPS, NATURAL, 0)
    assert found.rank < 0.5
    assert found.gain[1] < 0.3 * noise.std()
    assert (found.high - found.low).max() > 0.3


def test_rank_correlation():
    assert rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([3.0, 4.0, 5.0])) == pytest.approx(
        1
    )
    assert rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([3.0, 2.0, 1.0])) == pytest.approx(
        -1
    )
    assert rank_correlation(np.array([1.0, 1.0]), np.array([3.0, 2.0])) == 0
