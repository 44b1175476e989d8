"""A parent small enough to prune in a test, with two groups of heads of each kind."""

import pytest
import torch
from corpusmill.compression.importance import (
    importance_of,
    measure_layers,
    measure_widths,
    merge,
)
from corpusmill.compression.ranking import Importance
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.shape import HybridConfig

SHAPE = HybridConfig(
    pattern="M-M*-M*-",
    hidden_size=32,
    ffn_size=48,
    attention_heads=4,
    key_value_heads=2,
    head_dim=8,
    mamba_heads=8,
    mamba_head_dim=6,
    mamba_groups=2,
    mamba_state=8,
    chunk_size=16,
    vocab_size=64,
    init_std=0.3,
)


@pytest.fixture(scope="session")
def parent():
    return random_model(SHAPE)


def random_model(shape: HybridConfig) -> HybridModel:
    """A model with random weights. No norm is all ones and no bias is zero."""
    model = HybridModel(shape)
    initialise(model, 3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5, generator=generator)
    return model.requires_grad_(False).eval()


def random_tokens() -> torch.Tensor:
    """Four sequences of 33 tokens."""
    return torch.randint(0, 64, (4, 33), generator=torch.Generator().manual_seed(1))


def measured(model: HybridModel) -> Importance:
    """The importance of the model's parts, on these sequences."""
    tokens = random_tokens()
    parts = {**measure_widths(model, [tokens]), **measure_layers(model, [tokens], "mse")}
    return importance_of(merge([parts], len(tokens)), model.config)


@pytest.fixture(scope="session")
def tokens():
    return random_tokens()


@pytest.fixture(scope="session")
def importance(parent):
    return measured(parent)
