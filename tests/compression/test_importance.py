"""Importance: each score by its formula, and sums that do not depend on how the data is cut."""

import copy
import dataclasses
import math
from functools import partial

import numpy as np
import pytest
import torch
from corpusmill.compression.distillation import chunk_tokens
from corpusmill.compression.importance import (
    FFN,
    HIDDEN,
    LAYER,
    MAMBA,
    RANK,
    WHOLE,
    from_table,
    importance_of,
    measure_layers,
    measure_widths,
    merge,
    to_table,
)
from corpusmill.compression.ranking import kept_of
from corpusmill.compression.space import Sizes
from corpusmill.manifests.errors import ModelError


def left_out(parent, tokens, number):
    """The last hidden states without one layer."""
    x = parent.backbone.embeddings(tokens)
    for place, layer in enumerate(parent.backbone.layers):
        x = x if place == number else layer(x, None)
    return parent.backbone.norm_f(x)


def root(x_BTC):
    """Mean of |x| over time, L2 over sequences."""
    return x_BTC.abs().mean(1).square().sum(0).sqrt().numpy()


@pytest.fixture(scope="module")
def widths(parent, tokens):
    return merge([measure_widths(parent, [tokens])], 1)


@pytest.mark.parametrize("measure", [measure_widths, partial(measure_layers, score="mse")])
def test_a_parent_that_computes_no_numbers_is_refused(parent, tokens, measure):
    broken = copy.deepcopy(parent)
    with torch.no_grad():
        broken.backbone.layers[3].mixer.o_proj.weight[0, 0] = math.nan
    with pytest.raises(ModelError, match="something else than numbers"):
        merge([measure(broken, [tokens])], 1)


def test_width_scores_follow_their_formula(parent, tokens, widths):
    x = parent.backbone.embeddings(tokens)
    norms = np.zeros(parent.config.hidden_size)
    inner = parent.config.mamba_inner
    for number, (symbol, layer) in enumerate(
        zip(parent.config.pattern, parent.backbone.layers, strict=True)
    ):
        normed = layer.norm(x)
        norms += root(normed)
        if symbol == "-":
            neurons = torch.relu(layer.mixer.up_proj(normed)).square()
            np.testing.assert_allclose(widths[FFN, number], root(neurons), rtol=1e-5)
        elif symbol == "M":
            channels = layer.mixer.in_proj(normed)[..., inner : 2 * inner]
            np.testing.assert_allclose(widths[MAMBA, number], root(channels), rtol=1e-5)
        x = layer(x, None)
    np.testing.assert_allclose(widths[HIDDEN, WHOLE], norms, rtol=1e-5)


def test_an_attention_heads_score_is_that_of_its_channels(parent, tokens, widths, importance):
    number = parent.config.pattern.index("*")
    found = []
    layer = parent.backbone.layers[number]
    hook = layer.mixer.o_proj.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    parent.hidden(tokens)
    hook.remove()
    heads = root(found[0]).reshape(4, 8)
    np.testing.assert_allclose(importance.attention[number], np.sqrt((heads**2).sum(1)), rtol=1e-5)


def test_layers_are_scored_by_what_their_loss_does_to_the_last_hidden_state(parent, tokens):
    found = merge([measure_layers(parent, [tokens], "mse")], len(tokens))
    reference = parent.hidden(tokens)
    expected = torch.stack(
        [
            (left_out(parent, tokens, number) - reference).square().mean((1, 2))
            for number in range(8)
        ]
    )
    np.testing.assert_allclose(found[LAYER, WHOLE], expected.mean(1).numpy(), rtol=1e-5)
    ranks = expected.argsort(0).argsort(0).double().mean(1)
    np.testing.assert_array_equal(found[RANK, WHOLE], ranks.numpy())


def test_layers_are_scored_by_the_divergence_of_the_logits(parent, tokens, monkeypatch):
    monkeypatch.setattr("corpusmill.compression.distillation.CHUNK_BYTES", 64 * 4 * 10)
    assert chunk_tokens(64) == 10  # a sequence of 33 has four chunks
    found = merge([measure_layers(parent, [tokens], "kl")], len(tokens))[LAYER, WHOLE]
    wanted = parent(tokens).log_softmax(-1)
    for number in range(8):
        logits = parent.lm_head(left_out(parent, tokens, number)).log_softmax(-1)
        expected = torch.nn.functional.kl_div(logits, wanted, log_target=True, reduction="none")
        assert found[number] == pytest.approx(float(expected.sum(-1).mean()), rel=1e-4)


def test_layers_are_scored_by_the_cosine_of_input_and_output(parent, tokens):
    found = merge([measure_layers(parent, [tokens], "cosine")], len(tokens))[LAYER, WHOLE]
    x = parent.backbone.embeddings(tokens)
    for number, layer in enumerate(parent.backbone.layers):
        after = layer(x, None)
        cosine = (x * after).sum(-1) / (x.norm(dim=-1) * after.norm(dim=-1))
        assert found[number] == pytest.approx(float(1 - cosine.mean()), rel=1e-4)
        x = after


def test_pieces_and_batches_give_the_scores_of_the_whole(parent, tokens):
    whole = merge(
        [{**measure_widths(parent, [tokens]), **measure_layers(parent, [tokens], "mse")}], 4
    )
    pieces = merge(
        [
            measure_widths(parent, [tokens[:1], tokens[1:3]]),
            measure_widths(parent, [tokens[3:]]),
            measure_layers(parent, [tokens[:1]], "mse"),
            measure_layers(parent, [tokens[1:2], tokens[2:]], "mse"),
        ],
        4,
    )
    assert whole.keys() == pieces.keys()
    for key, values in whole.items():
        np.testing.assert_allclose(pieces[key], values, rtol=1e-5)


def test_a_table_holds_all_of_it(widths):
    again = from_table(to_table(widths))
    assert again.keys() == widths.keys()
    assert all(np.array_equal(again[key], values) for key, values in widths.items())


def test_what_stays_has_the_highest_scores_and_keeps_groups(parent, importance):
    sizes = dataclasses.replace(
        Sizes.of(parent.config),
        mamba_layers=2,
        ffn_size=20,
        mamba_heads=6,
        mamba_head_dim=4,
        attention_heads=2,
        hidden_size=24,
    )
    kept = kept_of(parent.config, importance, sizes)
    (gone,) = {0, 2, 5} - set(kept.layers)
    assert importance.layer_ranks[gone] == min(importance.layer_ranks[[0, 2, 5]])
    for number, neurons in kept.ffn.items():
        others = np.delete(importance.ffn[number], neurons)
        assert importance.ffn[number][neurons].min() > others.max()
    assert len(kept.hidden) == 24
    for number, heads in kept.mamba_heads.items():
        channels = kept.mamba_channels[number]
        assert len(channels) == 4
        by_head = np.linalg.norm(importance.mamba[number][:, channels], axis=1)
        for group in (range(4), range(4, 8)):
            assert set(group) - set(heads) == {min(group, key=lambda head: by_head[head])}
    for heads in kept.attention_heads.values():
        assert [head // 2 for head in heads] == [0, 1]  # two query heads share a key/value head


def test_ranks_and_not_means_order_layers():
    """One sequence on which a layer matters very much does not save it."""
    scores = np.array([[1.0, 2.0], [1.0, 2.0], [90.0, 2.0]])
    assert scores.mean(0)[0] > scores.mean(0)[1]
    ranks = scores.argsort(1).argsort(1).mean(0)
    assert ranks[0] < ranks[1]
    assert math.isclose(ranks.sum(), 1)


def test_importance_needs_the_shape_that_was_measured(parent, widths, tokens):
    parts = {**widths, **merge([measure_layers(parent, [tokens], "mse")], 4)}
    found = importance_of(parts, parent.config)
    assert found.mamba[0].shape == (8, 6)
    assert found.attention[3].shape == (4,)
    assert set(found.ffn) == {1, 4, 7}
