"""The time of a decoding step as a sum over layers, as `compression.clock` measures them.

The time of a model is taken as that of the embedding and the head, and the sum over its layers. So
thousands of sizes need a few dozen measurements: one for each kind of layer and each width. Puzzle
does the same (arXiv 2411.19146, section 4.3).
"""

from collections.abc import Mapping

from corpusmill.trainer.shape import KINDS, HybridConfig

OF_LAYER = {
    "M": ("hidden_size", "mamba_heads", "mamba_head_dim"),
    "*": ("hidden_size", "attention_heads"),
    "-": ("hidden_size", "ffn_size"),
}  # the widths that a layer's time depends on

StepTimes = Mapping[str, float]  # seconds, by `key_of`


def key_of(shape: HybridConfig, symbol: str) -> str:
    """What has one time: a layer of some widths, or embedding and head (empty symbol)."""
    names = OF_LAYER.get(symbol, ("hidden_size",))
    kind = KINDS.get(symbol, "embedding and head")
    return ", ".join([kind, *(f"{name} {getattr(shape, name)}" for name in names)])


def step_seconds(shape: HybridConfig, times: StepTimes) -> float:
    """Seconds of a decoding step of this shape. Raises KeyError if a part was not measured."""
    return times[key_of(shape, "")] + sum(times[key_of(shape, symbol)] for symbol in shape.pattern)
