"""A child is its parent with parts masked: the same logits, from fewer weights."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from corpusmill.compression.memory import parameters_of
from corpusmill.compression.prune import prune
from corpusmill.compression.ranking import Kept, kept_of
from corpusmill.compression.space import Sizes
from corpusmill.trainer.export import write_model
from corpusmill.trainer.importing import load_pretrained, read_shape
from corpusmill.trainer.model import HybridModel

from tests.compression.shards import write_tokenizer

CHANGES = {
    "layers": {"mamba_layers": 2, "attention_layers": 1, "ffn_layers": 2},
    "ffn": {"ffn_size": 33},
    "hidden": {"hidden_size": 21},
    "mamba heads": {"mamba_heads": 4},
    "mamba channels": {"mamba_head_dim": 5},
    "attention heads": {"attention_heads": 2},
    "all": {
        "mamba_layers": 1,
        "attention_layers": 1,
        "ffn_layers": 3,
        "ffn_size": 17,
        "hidden_size": 24,
        "mamba_heads": 6,
        "mamba_head_dim": 3,
        "attention_heads": 2,
    },
}


def child_of(parent, importance, changes):
    sizes = dataclasses.replace(Sizes.of(parent.config), **changes)
    kept = kept_of(parent.config, importance, sizes)
    pattern = "".join(parent.config.pattern[number] for number in kept.layers)
    return prune(parent, kept, sizes.shape(parent.config, pattern)), kept


@torch.no_grad()
def masked(parent: Any, kept: Kept) -> HybridModel:
    """The parent at its full size, with zeros where the child has nothing.

    An RMS norm of the child divides by the mean over fewer channels. In the parent, zeros lower the
    mean by the same factor, so its epsilon and its weight are scaled back.
    """
    shape = parent.config
    model = HybridModel(shape)
    model.load_state_dict(parent.state_dict())

    def only(size, indices):
        mask = torch.zeros(size)
        mask[torch.from_numpy(indices)] = 1
        return mask

    def narrow(norm, mask, share):
        norm.weight.mul_(mask * math.sqrt(share))
        norm.epsilon *= share

    hidden = only(shape.hidden_size, kept.hidden)
    share = len(kept.hidden) / shape.hidden_size
    model.backbone.embeddings.weight.mul_(hidden)
    narrow(model.backbone.norm_f, hidden, share)
    layers: Any = model.backbone.layers
    for number, layer in enumerate(layers):
        narrow(layer.norm, hidden, share)
        mixer, symbol = layer.mixer, shape.pattern[number]
        last = {"M": "out_proj", "*": "o_proj", "-": "down_proj"}[symbol]
        getattr(mixer, last).weight.mul_(hidden[:, None] * (number in kept.layers))
        if number not in kept.layers:
            continue
        if symbol == "-":
            mixer.up_proj.weight.mul_(only(shape.ffn_size, kept.ffn[number])[:, None])
        elif symbol == "*":
            heads = only(shape.attention_heads, kept.attention_heads[number])
            mixer.o_proj.weight.mul_(heads.repeat_interleave(shape.head_dim))
        else:
            heads = only(shape.mamba_heads, kept.mamba_heads[number])
            channels = only(shape.mamba_head_dim, kept.mamba_channels[number])
            inner = (heads[:, None] * channels).flatten()
            narrow(mixer.norm, inner, float(inner.mean()))
            x = slice(0, shape.mamba_inner)
            mixer.conv1d.weight[x].mul_(inner[:, None, None])
            mixer.conv1d.bias[x].mul_(inner)
    return model


@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_a_child_has_the_logits_of_the_masked_parent(parent, importance, tokens, changes):
    child, kept = child_of(parent, importance, changes)
    with torch.no_grad():
        expected, found = masked(parent, kept)(tokens), child(tokens)
    assert expected.abs().max() > 1
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_a_child_has_the_parameters_of_its_sizes(parent, importance, changes):
    child, _ = child_of(parent, importance, changes)
    count = sum(parameter.numel() for parameter in child.parameters())
    assert count == parameters_of(child.config) < parameters_of(parent.config)


def test_what_is_not_pruned_keeps_its_bits(parent, importance):
    child, kept = child_of(parent, importance, {"ffn_size": 33, "mamba_layers": 2})
    before = dict(parent.named_parameters())
    for place, number in enumerate(kept.layers):
        for name, parameter in child.backbone.layers[place].named_parameters():
            old = before[f"backbone.layers.{number}.{name}"]
            if "up_proj" in name:
                old = old[kept.ffn[number]]
            elif "down_proj" in name:
                old = old[:, kept.ffn[number]]
            assert torch.equal(parameter, old)
    assert torch.equal(child.lm_head.weight, parent.lm_head.weight)


def test_a_child_of_its_parents_sizes_is_its_parent_and_shares_no_memory(parent, importance):
    child, _ = child_of(parent, importance, {})
    for (name, one), (_, other) in zip(
        child.named_parameters(), parent.named_parameters(), strict=True
    ):
        assert torch.equal(one, other), name
        assert one.data_ptr() != other.data_ptr(), name


@torch.no_grad()
def test_a_child_loads_in_stock_transformers(parent, importance, tokens, tmp_path):
    from transformers import AutoModelForCausalLM

    folder = write_tokenizer(tmp_path / "tokenizer", 64)
    child, _ = child_of(parent, importance, CHANGES["all"])
    written = write_model(child, folder, tmp_path / "child", "float32", 128)
    given: Any = AutoModelForCausalLM.from_pretrained(
        written, dtype=torch.float32, output_loading_info=True
    )
    loaded, info = given
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    expected = child(tokens)
    found = loaded.eval()(tokens).logits
    assert (found - expected).abs().max() / expected.abs().max() < 1e-4
    assert read_shape(written).pattern == child.config.pattern
    again = HybridModel(read_shape(written))
    load_pretrained(written, again)
    assert torch.equal(again(tokens), expected)
