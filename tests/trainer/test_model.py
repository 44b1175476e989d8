"""The hybrid model: shapes as published, causal, and blind across documents if told their ids."""

import math

import pytest
import torch
import torch.nn.functional as F
from corpusmill.trainer.layers import CausalConv1d, GatedRMSNorm
from corpusmill.trainer.model import HybridModel, initialise, parameter_count
from corpusmill.trainer.presets import NEMOTRON_H_4B, NEMOTRON_H_8B, NEMOTRON_H_47B, NEMOTRON_H_56B
from corpusmill.trainer.shape import HybridConfig


@pytest.fixture
def model(small_model: HybridConfig) -> HybridModel:
    model = HybridModel(small_model)
    initialise(model, seed=5)
    with torch.no_grad():  # larger weights than a fresh model's, so that a leak shows
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(3.0)
    return model


@pytest.mark.parametrize(
    ("config", "parameters", "tensors"),
    [
        (NEMOTRON_H_8B, 8_100_852_736, 311),
        (NEMOTRON_H_4B, 4_489_223_040, 311),
        (NEMOTRON_H_56B, 56_324_350_464, 701),
        (NEMOTRON_H_47B, 46_791_554_816, 577),
    ],
)
def test_published_sizes_have_the_published_parameter_counts(config, parameters, tensors):
    assert parameter_count(config) == parameters
    with torch.device("meta"):
        assert len(HybridModel(config).state_dict()) == tensors


def test_parameters_carry_the_published_names(model):
    assert set(model.state_dict()) == {
        "backbone.embeddings.weight",
        "backbone.layers.0.norm.weight",
        "backbone.layers.0.mixer.in_proj.weight",
        "backbone.layers.0.mixer.conv1d.weight",
        "backbone.layers.0.mixer.conv1d.bias",
        "backbone.layers.0.mixer.A_log",
        "backbone.layers.0.mixer.D",
        "backbone.layers.0.mixer.dt_bias",
        "backbone.layers.0.mixer.norm.weight",
        "backbone.layers.0.mixer.out_proj.weight",
        "backbone.layers.1.norm.weight",
        "backbone.layers.1.mixer.q_proj.weight",
        "backbone.layers.1.mixer.k_proj.weight",
        "backbone.layers.1.mixer.v_proj.weight",
        "backbone.layers.1.mixer.o_proj.weight",
        "backbone.layers.2.norm.weight",
        "backbone.layers.2.mixer.up_proj.weight",
        "backbone.layers.2.mixer.down_proj.weight",
        "backbone.norm_f.weight",
        "lm_head.weight",
    }


def test_no_token_sees_the_future(model):
    tokens = torch.randint(0, 64, (1, 40), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[0, 25] = (changed[0, 25] + 1) % 64
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :25], after[:, :25])
    assert (before[:, 25:] - after[:, 25:]).abs().amax(-1).min() > 1e-4


def test_documents_packed_in_a_row_equal_documents_alone(model):
    # Boundaries inside chunks of 16, and documents shorter than the convolution.
    lengths = [7, 1, 18, 3, 11]
    tokens = torch.randint(0, 64, (1, sum(lengths)), generator=torch.Generator().manual_seed(1))
    ids = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]
    packed = model(tokens, ids)
    alone = torch.cat([model(part) for part in tokens.split(lengths, dim=1)], dim=1)
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)
    # Without the ids, documents read each other.
    assert (model(tokens) - alone).abs().max() > 1e-2


def test_the_convolution_is_the_causal_depthwise_one():
    conv = CausalConv1d(6, 4)
    torch.nn.init.normal_(conv.weight)
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(2, 9, 6)
    expected = F.conv1d(
        F.pad(x.transpose(1, 2), (3, 0)), conv.weight, conv.bias, groups=6
    ).transpose(1, 2)
    torch.testing.assert_close(conv(x), F.silu(expected))


def test_the_gate_comes_before_the_norm_and_groups_are_normalised_apart():
    norm = GatedRMSNorm(8, 1e-5, groups=2)
    y, z = torch.randn(3, 8), torch.randn(3, 8)
    gated = (y * F.silu(z)).view(3, 2, 4)
    expected = gated / (gated.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm(y, z), expected.view(3, 8))


def test_bf16_computes_in_bf16_over_fp32_masters(small_model):
    model = HybridModel(small_model, torch.bfloat16)
    initialise(model, seed=5)
    logits = model(torch.zeros(1, 8, dtype=torch.long))
    logits.float().sum().backward()
    assert logits.dtype == torch.bfloat16
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(gradients) == len(list(model.parameters()))
    assert {tensor.dtype for tensor in (*model.parameters(), *gradients)} == {torch.float32}


def test_initial_weights_follow_megatron():
    config = HybridConfig(
        pattern="M-M*-",
        hidden_size=256,
        ffn_size=512,
        attention_heads=4,
        key_value_heads=2,
        head_dim=64,
        mamba_heads=128,
        mamba_head_dim=4,
        vocab_size=512,
        mamba_state=16,
    )
    model = HybridModel(config)
    initialise(model, seed=0)
    weights = dict(model.named_parameters())
    std = 0.014 * math.sqrt(4096 / 256)
    mamba = "backbone.layers.0.mixer."
    assert weights["backbone.embeddings.weight"].std().item() == pytest.approx(std, rel=0.03)
    assert weights[mamba + "in_proj.weight"].std().item() == pytest.approx(std, rel=0.03)
    for name in (
        mamba + "out_proj",
        "backbone.layers.1.mixer.down_proj",
        "backbone.layers.3.mixer.o_proj",
    ):
        assert weights[name + ".weight"].std().item() == pytest.approx(
            std / math.sqrt(5), rel=0.03
        ), name
    rates = weights[mamba + "A_log"].exp()
    assert 1 <= rates.min() < 3
    assert 14 < rates.max() <= 16
    dt = F.softplus(weights[mamba + "dt_bias"])
    assert 0.001 * 0.999 <= dt.min() < 0.002
    assert 0.05 < dt.max() <= 0.1 * 1.001
    assert (weights[mamba + "D"] == 1).all()
    assert weights[mamba + "conv1d.weight"].abs().max().item() == pytest.approx(0.5, rel=0.01)


def test_the_initial_spread_is_the_published_one_at_the_published_widths():
    assert NEMOTRON_H_8B.standard_deviation == pytest.approx(0.014)
    assert NEMOTRON_H_56B.standard_deviation == pytest.approx(0.0099, rel=1e-3)


def test_a_seed_fixes_the_weights(small_model):
    first, second, other = (
        HybridModel(small_model),
        HybridModel(small_model),
        HybridModel(small_model),
    )
    for model, seed in ((first, 3), (second, 3), (other, 4)):
        initialise(model, seed)
    assert torch.equal(first.lm_head.weight, second.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
