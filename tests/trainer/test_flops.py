"""The arithmetic that a model's speed is measured by."""

import pytest
import torch
from corpusmill.trainer import flops
from corpusmill.trainer.presets import NEMOTRON_H_8B
from corpusmill.trainer.shape import HybridConfig


def test_a_token_costs_six_operations_a_weight_and_what_grows_with_length():
    short, long = (flops.flops_per_token(NEMOTRON_H_8B, length) for length in (8192, 16384))
    weights = 8_100_852_736 - 131072 * 4096
    scans = 24 * (2 * 128 * (1024 + 8192) + 4 * 8192 * 128)
    assert short == 6 * weights + 3 * (4 * 2 * 8192 * 4096 + scans)
    assert long - short == 3 * 4 * 2 * 8192 * 4096  # attention alone grows


def test_a_model_without_layers_of_a_kind_costs_nothing_for_it():
    shape = HybridConfig(
        pattern="*-",
        hidden_size=64,
        ffn_size=128,
        attention_heads=2,
        key_value_heads=1,
        head_dim=32,
        mamba_heads=8,
        vocab_size=256,
    )
    plain = 6 * (64 * 256 + 2 * 64 * 128 + 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64)
    assert flops.flops_per_token(shape, 1024) == plain + 3 * 2 * 1024 * 64


@pytest.mark.parametrize(
    ("name", "peak"),
    [("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA T4", None)],
)
def test_the_peak_is_that_of_the_card(monkeypatch, name, peak):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert flops.peak_flops(torch.device("cuda")) == peak
    assert flops.peak_flops(torch.device("cpu")) is None
