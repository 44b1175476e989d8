"""Quotas: shares of tokens by weight, never above a cap. The others share what a cap leaves."""

from fractions import Fraction

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.blend.quotas import (
    MOST_EPOCHS,
    PhaseWeights,
    Supply,
    allot,
    allot_phases,
    exact,
)
from hypothesis import given
from hypothesis import strategies as st


def supply(weight, tokens, max_epochs=1.0):
    return Supply(exact(weight), tokens, None if max_epochs is None else exact(max_epochs))


def tokens_of(supplies, total=None):
    return {name: quota.tokens for name, quota in allot(supplies, total).items()}


def test_shares_follow_the_weights():
    assert tokens_of({"web": supply(3, 1000), "math": supply(1, 1000)}, 400) == {
        "web": 300,
        "math": 100,
    }


def test_without_a_size_the_scarcest_source_is_used_up_to_its_cap_and_shares_stay_exact():
    supplies = {"web": supply(0.7, 10_000), "math": supply(0.3, 90, max_epochs=2)}
    assert tokens_of(supplies) == {"web": 420, "math": 180}


def test_what_a_capped_source_cannot_give_goes_to_the_others_by_weight():
    supplies = {"a": supply(2, 10_000), "b": supply(1, 10_000), "c": supply(1, 10)}
    quotas = allot(supplies, 1000)
    assert {name: quota.tokens for name, quota in quotas.items()} == {"a": 660, "b": 330, "c": 10}
    assert [name for name, quota in quotas.items() if quota.capped] == ["c"]
    assert quotas["c"].asked_share == Fraction(1, 4)


def test_a_cap_that_binds_only_after_another_has_bound_is_seen():
    supplies = {"a": supply(1, 100), "b": supply(1, 400), "c": supply(1, 10_000)}
    assert tokens_of(supplies, 1200) == {"a": 100, "b": 400, "c": 700}


def test_when_every_source_is_at_its_cap_the_blend_is_smaller_than_asked():
    assert tokens_of({"a": supply(1, 100), "b": supply(1, 50, 2)}, 1000) == {"a": 100, "b": 100}


def test_a_source_without_a_cap_repeats_as_often_as_its_share_asks():
    quotas = allot({"a": supply(1, 10, None), "b": supply(1, 1000)}, 95)
    assert quotas["a"].tokens == 47


def test_a_weight_of_zero_takes_nothing():
    assert tokens_of({"a": supply(1, 100), "b": supply(0, 100)}) == {"a": 100, "b": 0}


@pytest.mark.parametrize(
    ("supplies", "total", "message"),
    [
        ({"a": supply(1, 10, None)}, None, "no size.*set tokens, or max_epochs"),
        ({"a": supply(0, 10)}, 10, "every weight.*is 0"),
        (
            {"a": supply(1, 10), "poor": supply(1, 0)},
            10,
            "source poor has no tokens.*check its input",
        ),
        ({"a": supply(1, 1, None)}, MOST_EPOCHS + 1, "repeated 30001 times.*max_epochs"),
    ],
)
def test_a_blend_that_cannot_be_is_refused_with_the_mend(supplies, total, message):
    with pytest.raises(RecipeError, match=message):
        allot(supplies, total)


@pytest.mark.parametrize("total", [None, 10])
def test_a_phase_without_a_weight_is_refused(total):
    phases = [
        PhaseWeights("first", Fraction(1, 2), {"a": Fraction(1)}),
        PhaseWeights("second", Fraction(1, 2), {"a": Fraction(0)}),
    ]
    with pytest.raises(RecipeError, match="every weight of the blend or of a phase is 0"):
        allot_phases(phases, {"a": supply(1, 10)}, total)


sources = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=2),
    st.builds(
        supply,
        st.integers(1, 20).map(lambda weight: weight / 10),
        st.integers(1000, 10**5),
        st.none() | st.integers(1, 80).map(lambda epochs: epochs / 10),
    ),
    min_size=1,
    max_size=6,
)


@given(sources, st.none() | st.integers(1, 10**7))
def test_caps_are_never_exceeded_and_nothing_that_could_be_placed_is_left(supplies, total):
    if total is None and all(supply.max_epochs is None for supply in supplies.values()):
        return
    quotas = allot(supplies, total)
    limits = {name: supply.limit for name, supply in supplies.items()}
    for name, quota in quotas.items():
        assert limits[name] is None or quota.tokens <= limits[name]
    free = [name for name, quota in quotas.items() if not quota.capped]
    if total is not None and free:
        assert total - len(quotas) < sum(quota.tokens for quota in quotas.values()) <= total
    for name in free[1:]:  # sources below their caps keep the ratio of their weights
        ratio = supplies[name].weight / supplies[free[0]].weight
        assert abs(quotas[name].tokens - ratio * quotas[free[0]].tokens) <= 1 + ratio


@given(sources)
def test_without_a_size_no_share_is_bent(supplies):
    if all(supply.max_epochs is None for supply in supplies.values()):
        return
    assert not any(quota.capped for quota in allot(supplies, None).values())
