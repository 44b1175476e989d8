"""The design: on the simplex, below the caps, stable as it grows, and what blend allows."""

from fractions import Fraction

import numpy as np
import pytest
from corpusmill.stages.blend.quotas import Supply, allot
from corpusmill.stages.mix.design import candidates, capped, mixtures
from hypothesis import given, settings
from hypothesis import strategies as st

TOKENS = st.lists(st.integers(1, 10**9), min_size=2, max_size=12)


def shares_and_caps(tokens, epochs):
    natural = np.array(tokens) / sum(tokens)
    return natural, np.minimum(1.0, epochs * natural)


@given(TOKENS, st.floats(1.0, 30.0), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_mixtures_are_shares_below_the_caps(tokens, epochs, seed):
    natural, caps = shares_and_caps(tokens, epochs)
    for found in (mixtures(natural, caps, 20, seed), candidates(natural, caps, 200, seed)):
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert np.allclose(found.sum(axis=1), 1, atol=1e-9)
        assert (found <= caps + 1e-9).all()


@given(TOKENS, st.floats(1.0, 8.0), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_the_first_mixture_is_natural_and_a_larger_design_has_the_smaller_one(tokens, epochs, seed):
    natural, caps = shares_and_caps(tokens, epochs)
    more = mixtures(natural, caps, 12, seed)
    assert np.allclose(more[0], natural)
    assert (more[:7] == mixtures(natural, caps, 7, seed)).all()


@given(
    st.lists(st.tuples(st.integers(100, 10**6), st.integers(1, 100)), min_size=2, max_size=6),
    st.floats(1.0, 6.0),
)
@settings(max_examples=60, deadline=None)
def test_a_rest_goes_where_blend_gives_it(sources, epochs):
    tokens, weights = np.array(sources).T
    total = int(tokens.sum())
    caps = np.minimum(1.0, epochs * tokens / total)
    (found,) = capped(weights[None] / weights.sum(), caps)
    supplies = {
        str(place): Supply(Fraction(int(weight)), int(there), Fraction(str(epochs)))
        for place, (there, weight) in enumerate(sources)
    }
    quotas = allot(supplies, total)
    assert found * total == pytest.approx([one.tokens for one in quotas.values()], abs=2)


def test_mixtures_reach_far_from_the_natural_shares():
    natural, caps = np.array([0.7, 0.2, 0.1]), np.ones(3)
    found = mixtures(natural, caps, 64, 0)
    assert (found.max(axis=0) > 0.8).all()
    assert (found.min(axis=0) < 0.1).all()
