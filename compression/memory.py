"""What a hybrid model takes in memory when it is served, by arithmetic on its shape.

Weights take `parameters x bits`. An attention layer keeps keys and values of every token. A Mamba
layer keeps one state, whatever the length: `heads x head_dim x state` values, and the last inputs
of its convolution. So attention layers decide the memory at a long context, and Mamba layers do
not.

Activations and the runtime come on top. They are not counted: see `Budget.reserve_gib`.
Source of the target: Nemotron-H, arXiv 2504.03624, section 3 (31.7 GiB, 4-bit weights, 1M tokens).
"""

from dataclasses import dataclass
from typing import Literal

from corpusmill.manifests.settings import Settings
from corpusmill.trainer.shape import HybridConfig
from pydantic import PositiveInt

Number = Literal["fp4", "fp8", "bf16", "fp32"]
# NVFP4 stores one 8-bit scale for 16 values. With it, the 56B model takes the paper's 29.5 GiB.
BITS: dict[Number, float] = {"fp4": 4.5, "fp8": 8.0, "bf16": 16.0, "fp32": 32.0}
GIB = 2.0**30


class Serving(Settings):
    """How a model is served: number formats, context and batch."""

    weights: Number = "bf16"
    """Of all weights. fp4 counts 4.5 bits: 4, and one 8-bit scale for 16 values."""
    cache: Number = "bf16"
    """Of the keys and values of attention layers."""
    state: Number = "bf16"
    """Of the states of Mamba layers."""
    context: PositiveInt = 8192
    """Tokens of one sequence."""
    batch: PositiveInt = 1
    """Sequences that are served at a time."""


@dataclass(frozen=True)
class LayerSizes:
    """One layer's parameters, and the values that it keeps for one token and for one sequence."""

    parameters: int
    per_token: int = 0
    per_sequence: int = 0


@dataclass(frozen=True)
class Memory:
    """Bytes of a served model. read_weights: weights that each decoding step reads, which are all
    but the input embedding."""

    weights: float
    attention_cache: float
    mamba_state: float
    read_weights: float

    @property
    def total(self) -> float:
        return self.weights + self.attention_cache + self.mamba_state

    @property
    def step_bytes(self) -> float:
        """Bytes that one decoding step moves: it reads weights and caches once.

        Decoding is bound by memory. So the ratio of two models' step bytes is about that of their
        speeds, at one context and batch.
        """
        return self.read_weights + self.attention_cache + self.mamba_state


def layer_sizes(shape: HybridConfig) -> dict[str, LayerSizes]:
    """The sizes of a layer, by its symbol."""
    hidden, inner, conv = shape.hidden_size, shape.mamba_inner, shape.conv_channels
    heads = shape.mamba_heads
    mamba = (
        hidden * (inner + conv + heads)  # in_proj
        + conv * (shape.conv_kernel + 1)
        + 3 * heads  # A_log, D, dt_bias
        + inner  # norm
        + inner * hidden  # out_proj
        + hidden  # the norm before the mixer
    )
    query, keys = shape.attention_heads * shape.head_dim, shape.key_value_heads * shape.head_dim
    state = (shape.conv_kernel - 1) * conv + inner * shape.mamba_state
    return {
        "M": LayerSizes(mamba, per_sequence=state),
        "*": LayerSizes(2 * hidden * (query + keys) + hidden, per_token=2 * keys),
        "-": LayerSizes(2 * hidden * shape.ffn_size + hidden),
    }


def embedding_parameters(shape: HybridConfig) -> int:
    """Parameters of the input embedding; the head has as many."""
    return shape.vocab_size * shape.hidden_size


def parameters_of(shape: HybridConfig) -> int:
    """All parameters. It equals `trainer.model.parameter_count`, and builds no model."""
    sizes = layer_sizes(shape)
    layers = sum(sizes[symbol].parameters for symbol in shape.pattern)
    return layers + 2 * embedding_parameters(shape) + shape.hidden_size


def memory_of(shape: HybridConfig, serving: Serving) -> Memory:
    """What a model of this shape takes."""
    sizes = layer_sizes(shape)
    bytes_of = {name: BITS[getattr(serving, name)] / 8 for name in ("weights", "cache", "state")}
    per_token = sum(sizes[symbol].per_token for symbol in shape.pattern)
    per_sequence = sum(sizes[symbol].per_sequence for symbol in shape.pattern)
    weights = parameters_of(shape) * bytes_of["weights"]
    return Memory(
        weights=weights,
        attention_cache=serving.batch * serving.context * per_token * bytes_of["cache"],
        mamba_state=serving.batch * per_sequence * bytes_of["state"],
        read_weights=weights - embedding_parameters(shape) * bytes_of["weights"],
    )
