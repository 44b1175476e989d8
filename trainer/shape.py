"""The shape of a hybrid model: its layers and their sizes.

This file does not import torch, so recipes can be checked fast. Defaults are what all published
Nemotron-H sizes share (arXiv 2504.03624, table 1).
"""

import math
from typing import Literal, Self

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from pydantic import PositiveFloat, PositiveInt, model_validator

Kind = Literal["mamba", "attention", "ffn"]
KINDS: dict[str, Kind] = {"M": "mamba", "*": "attention", "-": "ffn"}


class HybridConfig(Settings):
    """The shape of a hybrid model. Defaults are what all published Nemotron-H sizes share."""

    pattern: str
    """One symbol a layer: M is Mamba-2, - is FFN, * is attention."""
    hidden_size: PositiveInt
    """Width of the residual stream."""
    ffn_size: PositiveInt
    """Width inside an FFN."""
    attention_heads: PositiveInt
    """Query heads of an attention layer."""
    key_value_heads: PositiveInt
    """Key/value heads of grouped-query attention. Divides attention_heads."""
    mamba_heads: PositiveInt
    """Heads of a Mamba-2 layer."""
    mamba_state: PositiveInt = 128
    """Values of state kept for each channel."""
    mamba_head_dim: PositiveInt = 64
    """Channels of a Mamba-2 head."""
    mamba_groups: PositiveInt = 8
    """Sets of B and C. Divides mamba_heads."""
    head_dim: PositiveInt = 128
    """Width of an attention head."""
    conv_kernel: PositiveInt = 4
    """Tokens that a convolution sees."""
    chunk_size: PositiveInt = 128
    """Tokens of a chunk of the scan. It decides speed only, not the result."""
    vocab_size: PositiveInt = 131072
    """Rows of the embedding and of the head. At least the tokenizer's vocabulary."""
    norm_epsilon: PositiveFloat = 1e-5
    """Added to the mean square in every RMS norm."""
    init_std: PositiveFloat | None = None
    """Standard deviation of the first weights.

    Null: 0.014 * sqrt(4096 / hidden_size), which is 0.014 for the published 8B model.
    """

    @model_validator(mode="after")
    def _shape_exists(self) -> Self:
        unknown = sorted(set(self.pattern) - set("M-*"))
        if unknown:
            raise RecipeError(
                f"the layer pattern {self.pattern!r} holds {unknown}",
                "use M (Mamba-2), - (FFN) and * (attention) only",
            )
        if "*" not in self.pattern:
            raise RecipeError(
                f"the layer pattern {self.pattern!r} has no attention layer",
                "put at least one * into it: other tools cannot load a NemotronH model without one",
            )
        if self.attention_heads % self.key_value_heads:
            raise RecipeError(
                f"{self.attention_heads} attention heads cannot share {self.key_value_heads} "
                "key/value heads evenly",
                "make attention_heads a multiple of key_value_heads",
            )
        if self.mamba_heads % self.mamba_groups:
            raise RecipeError(
                f"{self.mamba_heads} Mamba heads do not divide into {self.mamba_groups} groups",
                "make mamba_heads a multiple of mamba_groups",
            )
        return self

    @property
    def mamba_inner(self) -> int:
        """Width of the Mamba mixer between its projections."""
        return self.mamba_heads * self.mamba_head_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the causal convolution: x, B and C."""
        return self.mamba_inner + 2 * self.mamba_groups * self.mamba_state

    @property
    def standard_deviation(self) -> float:
        """Spread of the initial weights."""
        return (
            0.014 * math.sqrt(4096 / self.hidden_size) if self.init_std is None else self.init_std
        )
