"""The search on paper: Nemotron-H-56B to 47B, and small spaces that a loop can check."""

import dataclasses
import itertools
import time

import pytest
from corpusmill.compression.memory import GIB, Serving, memory_of, parameters_of
from corpusmill.compression.ranking import kept_layers
from corpusmill.compression.search import Budget, Harm, most_promising, search
from corpusmill.compression.space import AXES, Sizes, Space
from corpusmill.manifests.errors import RecipeError
from corpusmill.trainer.presets import NEMOTRON_H_47B, NEMOTRON_H_56B
from corpusmill.trainer.shape import HybridConfig

# One RTX 5090 with 4-bit numbers and a million tokens (arXiv 2504.03624, section 3). The paper
# does not say what it counts; with 1 GiB for activations its choice is among the largest that fit.
TARGET = Budget(
    memory_gib=31.7,
    reserve_gib=1.0,
    serving=Serving(weights="fp4", cache="fp4", context=1 << 20),
)

# MSE of the last hidden state without the layer: figure 9 of the paper, as far as it can be read.
FIGURE_9 = {
    7: 0.0115,
    18: 0.0311,
    29: 0.0124,
    40: 0.0234,
    51: 0.0372,
    62: 0.0234,
    73: 0.0194,
    84: 0.0049,
    95: 0.0084,
    106: 0.0276,
    88: 0.0046,
    86: 0.0049,
    90: 0.0051,
    79: 0.0061,
    81: 0.0061,
    83: 0.0063,
    99: 0.0068,
    101: 0.0070,
    89: 0.0068,
    91: 0.0069,
}
# These come next. Of 77 and 97, 87, 93 and 96 only the order within their kind is known.
NEXT = dict.fromkeys((77, 97, 87, 93, 96), 0.0071)
OTHERS = 1.0
CANDIDATE_2_GOES = {
    *(7, 29, 73, 84, 95),
    *(77, 79, 81, 83, 86, 88, 90, 97, 99, 101),
    *(87, 89, 91, 93, 96),
}


def published_sizes(mamba=44, attention=5, ffn=49):
    return dataclasses.replace(
        Sizes.of(NEMOTRON_H_56B),
        mamba_layers=mamba,
        attention_layers=attention,
        ffn_layers=ffn,
        ffn_size=30720,
    )


def test_the_published_figures_give_candidate_2():
    ranks = [
        {**FIGURE_9, **NEXT}.get(number, OTHERS) for number in range(len(NEMOTRON_H_56B.pattern))
    ]
    kept = kept_layers(NEMOTRON_H_56B.pattern, ranks, published_sizes())
    assert set(range(118)) - set(kept) == CANDIDATE_2_GOES


def test_the_released_47b_is_candidate_2_but_for_one_layer():
    """The release keeps Mamba layer 77 and drops FFN 85 instead."""
    gone = CANDIDATE_2_GOES - {77} | {85}
    pattern = "".join(
        symbol for number, symbol in enumerate(NEMOTRON_H_56B.pattern) if number not in gone
    )
    assert pattern == NEMOTRON_H_47B.pattern


def test_the_search_proposes_the_published_child_in_seconds():
    started = time.process_time()
    found = search(NEMOTRON_H_56B, Space().choices(NEMOTRON_H_56B), TARGET)
    assert time.process_time() - started < 5
    assert published_sizes() in found.sizes
    assert found.tried == 11 * 6 * 11 * 9
    for sizes in found.sizes:
        pattern = "M" * sizes.mamba_layers + "*" * sizes.attention_layers + "-" * sizes.ffn_layers
        taken = memory_of(sizes.shape(NEMOTRON_H_56B, pattern), TARGET.serving).total
        assert 30.2 < taken / GIB <= 30.7


SMALL = HybridConfig(
    pattern="M-M*-M*-",
    hidden_size=32,
    ffn_size=64,
    attention_heads=4,
    key_value_heads=2,
    head_dim=8,
    mamba_heads=4,
    mamba_head_dim=8,
    mamba_groups=2,
    mamba_state=8,
    vocab_size=64,
)
SPACE = Space(
    ffn_size=(32, 48, 64), mamba_heads=(2, 4), hidden_size=(24, 32), attention_heads=(2, 4)
)


@pytest.mark.parametrize(
    "budget",
    [
        Budget(parameters=25_000),
        Budget(memory_gib=40_000 / GIB, serving=Serving(context=64, batch=2, weights="fp8")),
        Budget(
            memory_gib=110_000 / GIB, parameters=24_000, serving=Serving(weights="fp32", context=1)
        ),
    ],
)
def test_the_search_keeps_just_the_children_that_cannot_grow(budget):
    choices = SPACE.choices(SMALL)

    def fits(sizes):
        pattern = "M" * sizes.mamba_layers + "*" * sizes.attention_layers + "-" * sizes.ffn_layers
        shape = sizes.shape(SMALL, pattern)
        memory = memory_of(shape, budget.serving).total
        return (budget.parameters is None or parameters_of(shape) <= budget.parameters) and (
            budget.memory_gib is None or memory <= budget.memory_gib * GIB
        )

    def grown(sizes):
        for axis in AXES:
            above = [size for size in choices[axis] if size > getattr(sizes, axis)]
            if above:
                yield dataclasses.replace(sizes, **{axis: above[0]})

    every = [
        Sizes(**dict(zip(AXES, chosen, strict=True)))
        for chosen in itertools.product(*(choices[axis] for axis in AXES))
    ]
    fitting = [sizes for sizes in every if fits(sizes)]
    found = search(SMALL, choices, budget)
    assert (found.tried, found.fitting) == (len(every), len(fitting))
    assert 0 < len(fitting) < len(every)
    assert found.sizes == [
        sizes for sizes in fitting if not any(fits(larger) for larger in grown(sizes))
    ]


def test_children_are_ordered_by_what_goes():
    whole = Sizes.of(SMALL)
    harm = Harm(
        layers={
            "mamba_layers": [0.1, 0.2, 0.9],
            "attention_layers": [0.4, 0.5],
            "ffn_layers": [0.01, 0.3, 0.6],
        },
        widths={"ffn_size": {32: 0.25, 48: 0.05}},
    )
    fewer_ffns = dataclasses.replace(whole, ffn_layers=1)
    narrow = dataclasses.replace(whole, ffn_size=48, mamba_layers=1)
    narrower = dataclasses.replace(whole, ffn_size=32)
    assert harm.of(whole) == 0
    assert harm.of(fewer_ffns) == pytest.approx(0.31)
    assert harm.of(narrow) == pytest.approx(0.05 + 0.1 + 0.2)
    assert most_promising([narrow, fewer_ffns, narrower], harm, 2) == [narrower, fewer_ffns]


def test_a_budget_that_nothing_meets_names_the_nearest_child():
    with pytest.raises(RecipeError) as refused:
        search(SMALL, SPACE.choices(SMALL), Budget(parameters=1000))
    text = str(refused.value)
    assert "mamba_layers 3" not in text  # 80 % of three layers is three: nothing to say
    assert "attention_layers 1" in text
    assert "ffn_size 32" in text
    assert "times as much; raise the budget" in text


def test_a_parent_that_fits_needs_no_child():
    with pytest.raises(RecipeError, match=r"meets the budget already: it takes 0\.\d\d of it"):
        search(SMALL, SPACE.choices(SMALL), Budget(parameters=10**6))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Space(ffn_size=(64, 65)), r"space.ffn_size holds 65, and the parent has 64"),
        (Space(mamba_layers=(4,)), r"space.mamba_layers holds 4, and the parent has 3"),
        (Space(mamba_heads=(3,)), r"holds 3, which is no multiple of the parent's mamba_groups"),
        (Space(attention_heads=(3,)), r"no multiple of the parent's key_value_heads \(2\)"),
    ],
)
def test_a_child_may_not_be_larger_than_its_parent_or_break_groups(space, message):
    with pytest.raises(RecipeError, match=message):
        space.choices(SMALL)


def test_a_budget_needs_a_limit():
    with pytest.raises(RecipeError, match="no limit; set memory_gib, parameters or step_ms"):
        Budget()
    with pytest.raises(RecipeError, match="leaves nothing"):
        Budget(memory_gib=1, reserve_gib=1)
