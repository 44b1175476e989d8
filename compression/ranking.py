"""From importance to what stays: which layers, neurons, channels and heads.

- Layers: those of each kind with the highest mean rank over the calibration sequences.
- FFN neurons: in each layer, those with the highest score.
- Hidden channels: one order for the whole model.
- Mamba channels: one order for all heads of a layer. Heads: by their kept channels, and only
  within their group, so that every group keeps equally many. B and C belong to groups, so a head
  that changed its group would read others.
- Attention heads: the same rule, within those that share a key/value head.

Sources: Nemotron-H (arXiv 2504.03624), section 3; Minitron-SSM (arXiv 2504.11409), section 3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from corpusmill.compression.space import LAYERS, Sizes
from corpusmill.trainer.shape import HybridConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Indices = NDArray[np.int64]
    Scores = NDArray[np.float64]

LayerScore = Literal["mse", "kl", "cosine"]  # see `compression.importance`


@dataclass(frozen=True)
class Importance:
    """The scores of a parent's parts. A part with a higher score matters more.

    layer_ranks, layer_scores: (layers,), means over the calibration sequences. hidden: (hidden,).
    ffn, mamba, attention: layer -> (ffn_size,), (heads, head_dim), (heads,), for the layers that
    have such parts.
    """

    layer_ranks: "Scores"
    layer_scores: "Scores"
    hidden: "Scores"
    ffn: Mapping[int, "Scores"]
    mamba: Mapping[int, "Scores"]
    attention: Mapping[int, "Scores"]


@dataclass(frozen=True)
class Kept:
    """What stays of a parent, by its indices there, ascending.

    ffn, mamba_heads, mamba_channels, attention_heads: layer of the parent -> indices.
    mamba_channels: within a head, the same for all heads.
    """

    layers: tuple[int, ...]
    hidden: "Indices"
    ffn: Mapping[int, "Indices"]
    mamba_heads: Mapping[int, "Indices"]
    mamba_channels: Mapping[int, "Indices"]
    attention_heads: Mapping[int, "Indices"]


def going_order(pattern: str, symbol: str, ranks: Sequence[float]) -> list[int]:
    """The layers of one kind in the order in which they go: the least important first."""
    layers = [number for number, found in enumerate(pattern) if found == symbol]
    return sorted(layers, key=lambda number: (ranks[number], number))


def kept_layers(pattern: str, ranks: Sequence[float], sizes: Sizes) -> tuple[int, ...]:
    """The layers that stay if each kind keeps as many as `sizes` says."""
    gone: set[int] = set()
    for axis, symbol in LAYERS.items():
        order = going_order(pattern, symbol, ranks)
        gone.update(order[: len(order) - getattr(sizes, axis)])
    return tuple(number for number in range(len(pattern)) if number not in gone)


def kept_of(parent: HybridConfig, importance: Importance, sizes: Sizes) -> Kept:
    """What stays of the parent in a child of these sizes."""
    layers = kept_layers(parent.pattern, importance.layer_ranks.tolist(), sizes)
    of_kind = {
        symbol: [number for number in layers if parent.pattern[number] == symbol]
        for symbol in LAYERS.values()
    }
    channels = {
        number: _top(_norm(importance.mamba[number], 0), sizes.mamba_head_dim)
        for number in of_kind["M"]
    }
    return Kept(
        layers,
        _top(importance.hidden, sizes.hidden_size),
        {number: _top(importance.ffn[number], sizes.ffn_size) for number in of_kind["-"]},
        {
            number: _top_of_groups(
                _norm(importance.mamba[number][:, channels[number]], 1),
                parent.mamba_groups,
                sizes.mamba_heads,
            )
            for number in of_kind["M"]
        },
        channels,
        {
            number: _top_of_groups(
                importance.attention[number], parent.key_value_heads, sizes.attention_heads
            )
            for number in of_kind["*"]
        },
    )


def _norm(scores: "Scores", axis: int) -> "Scores":
    return np.sqrt(np.square(scores).sum(axis))


def _top(scores: "Scores", count: int) -> "Indices":
    """The `count` indices of highest score, ascending. Of equal scores, the first stay."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _top_of_groups(scores: "Scores", groups: int, count: int) -> "Indices":
    """The same, with count / groups indices of each of `groups` neighbouring groups."""
    size = len(scores) // groups
    parts = [
        group * size + _top(scores[group * size : (group + 1) * size], count // groups)
        for group in range(groups)
    ]
    return np.concatenate(parts)
