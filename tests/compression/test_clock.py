"""The time of a decoding step, measured layer by layer."""

import math

import numpy as np
import pytest
import torch
from corpusmill.compression.clock import measure_steps
from corpusmill.compression.memory import Serving
from corpusmill.compression.search import Budget, search
from corpusmill.compression.space import Sizes, Space
from corpusmill.compression.step_times import key_of, step_seconds
from corpusmill.manifests.errors import RecipeError
from corpusmill.trainer.shape import HybridConfig

SHAPE = HybridConfig(
    pattern="M-M*-M-",
    hidden_size=64,
    ffn_size=16384,
    attention_heads=4,
    key_value_heads=2,
    head_dim=16,
    mamba_heads=8,
    mamba_head_dim=16,
    mamba_groups=2,
    mamba_state=16,
    chunk_size=16,
    vocab_size=128,
)
SPACE = Space(ffn_size=(64, 16384), mamba_heads=(4,))


def measured(shape, space):
    told = []
    times = measure_steps(
        shape,
        space.choices(shape),
        Serving(batch=2, context=64),
        torch.device("cpu"),
        torch.float32,
        lambda done, of: told.append((done, of)),
    )
    return times, told


def test_every_layer_that_a_child_may_have_is_measured():
    times, told = measured(SHAPE, SPACE)
    assert told == [(number, 5) for number in range(5)]  # the parent's heads, too
    assert all(seconds >= 0 for seconds in times.values())
    for heads in (4, 8):
        for size in (64, 16384):
            widths = {"mamba_heads": heads, "ffn_size": size}
            assert step_seconds(SHAPE.model_copy(update=widths), times) > 0


def test_a_wide_layer_takes_longer():
    """1024 times the work takes some forty times as long on an idle machine."""
    wide = SHAPE.model_copy(update={"ffn_size": 65536})
    narrow = SHAPE.model_copy(update={"ffn_size": 64})
    space = Space(ffn_size=(64, 65536), mamba_heads=(8,))

    def longer():
        times, _ = measured(wide, space)
        return times[key_of(wide, "-")] > 2 * times[key_of(narrow, "-")]

    assert longer() or longer()  # other work may have slowed one of them


def test_the_search_keeps_exactly_the_children_that_are_fast_enough():
    draw = np.random.default_rng(5)
    choices = Space(ffn_size=(64, 16384), mamba_heads=(4, 8)).choices(SHAPE)
    times = {key_of(SHAPE, ""): 0.5, key_of(SHAPE, "*"): draw.uniform(0.5, 1)}
    for heads in choices["mamba_heads"]:
        shape = SHAPE.model_copy(update={"mamba_heads": heads})
        times[key_of(shape, "M")] = 0.1 * heads
    for size in choices["ffn_size"]:
        shape = SHAPE.model_copy(update={"ffn_size": size})
        times[key_of(shape, "-")] = 0.1 + size / 16384
    whole = step_seconds(SHAPE, times)
    budget = Budget(step_ms=0.8 * whole * 1e3)
    found = search(SHAPE, choices, budget, times)
    assert 0 < found.fitting < found.tried == math.prod(map(len, choices.values()))
    for sizes in found.sizes:
        pattern = "M" * sizes.mamba_layers + "*" * sizes.attention_layers + "-" * sizes.ffn_layers
        assert step_seconds(sizes.shape(SHAPE, pattern), times) <= 0.8 * whole
        assert sizes != Sizes.of(SHAPE)
    with pytest.raises(RecipeError, match="no child meets the budget"):
        search(SHAPE, choices, Budget(step_ms=1), times)
    with pytest.raises(RecipeError, match="the parent meets the budget already"):
        search(SHAPE, choices, Budget(step_ms=1.01 * whole * 1e3), times)
