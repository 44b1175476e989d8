"""The arithmetic of memory equals the model's parameters and the paper's figures."""

import pytest
from corpusmill.compression.memory import GIB, Serving, memory_of, parameters_of
from corpusmill.trainer.model import parameter_count
from corpusmill.trainer.presets import (
    NEMOTRON_H_4B,
    NEMOTRON_H_8B,
    NEMOTRON_H_47B,
    NEMOTRON_H_56B,
)
from corpusmill.trainer.shape import HybridConfig

ODD = HybridConfig(
    pattern="M*-M-",
    hidden_size=20,
    ffn_size=31,
    attention_heads=6,
    key_value_heads=3,
    head_dim=5,
    mamba_heads=6,
    mamba_head_dim=7,
    mamba_groups=2,
    mamba_state=9,
    conv_kernel=3,
    vocab_size=101,
)


@pytest.mark.parametrize(
    "shape", [NEMOTRON_H_4B, NEMOTRON_H_8B, NEMOTRON_H_47B, NEMOTRON_H_56B, ODD]
)
def test_parameters_are_those_of_the_model(shape):
    assert parameters_of(shape) == parameter_count(shape)


def test_the_56b_model_takes_the_papers_29_5_gib_in_four_bits():
    serving = Serving(weights="fp4", cache="fp4", context=1 << 20)
    assert memory_of(NEMOTRON_H_56B, serving).weights / GIB == pytest.approx(29.5, abs=0.05)


def test_attention_grows_with_context_and_mamba_does_not():
    short = memory_of(NEMOTRON_H_8B, Serving(context=1000, batch=3))
    long = memory_of(NEMOTRON_H_8B, Serving(context=4000, batch=3))
    # 4 attention layers, keys and values, 8 heads of 128, bf16
    assert short.attention_cache == 3 * 1000 * 4 * 2 * 8 * 128 * 2
    assert long.attention_cache == 4 * short.attention_cache
    # 24 Mamba layers, 128 heads x 64 x state 128, and 3 inputs of 10,240 channels
    assert long.mamba_state == short.mamba_state == 3 * 24 * (128 * 64 * 128 + 3 * 10240) * 2
    assert long.weights == short.weights
    assert long.total == long.weights + long.attention_cache + long.mamba_state


def test_each_format_has_its_bits():
    bytes_of = {
        number: memory_of(ODD, Serving(weights=number)).weights
        for number in ("fp4", "fp8", "bf16", "fp32")
    }
    assert bytes_of["fp32"] == 4 * parameter_count(ODD)
    assert bytes_of["bf16"] * 2 == bytes_of["fp8"] * 4 == bytes_of["fp32"]
    assert bytes_of["fp4"] == bytes_of["fp8"] * 4.5 / 8


def test_a_decoding_step_reads_all_but_the_input_embedding():
    memory = memory_of(ODD, Serving(weights="bf16"))
    assert memory.total - memory.step_bytes == 2 * ODD.vocab_size * ODD.hidden_size
