"""Cut a smaller model out of a parent: every parameter of the child is a slice of the parent's.

What is not pruned keeps its bits. Norm weights are not rescaled: an RMS norm divides by the mean
over the channels that are left. `Kept` decides what stays; its heads keep the rule of groups.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from corpusmill.compression.memory import parameters_of
from corpusmill.compression.ranking import Kept
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.shape import HybridConfig
from torch import Tensor

if TYPE_CHECKING:
    from corpusmill.compression.ranking import Indices

LAYER = "backbone.layers."
Slices = dict[str, tuple["Indices | None", ...]]  # parameter -> indices by dimension, None: all


def prune(parent: HybridModel, kept: Kept, shape: HybridConfig) -> HybridModel:
    """The child that `kept` describes, on the parent's device and in its dtypes.

    shape: of the child.
    """
    parameters = dict(parent.named_parameters())
    weights = {
        name: _sliced(parameters[name], indices) for name, indices in _outer_slices(kept).items()
    }
    for place, number in enumerate(kept.layers):
        for name, indices in _layer_slices(parent.config, kept, number).items():
            weights[f"{LAYER}{place}.{name}"] = _sliced(
                parameters[f"{LAYER}{number}.{name}"], indices
            )
    with torch.device("meta"):
        child = HybridModel(shape, parent.compute_dtype)
    child.load_state_dict(weights, assign=True)  # it refuses other names and other shapes
    count = sum(parameter.numel() for parameter in child.parameters())
    assert count == parameters_of(shape), (count, parameters_of(shape))
    return child.requires_grad_(False).eval()


def _sliced(parameter: Tensor, indices: "tuple[Indices | None, ...]") -> Tensor:
    value = parameter.detach()
    for dimension, chosen in enumerate(indices):
        if chosen is not None:
            value = value.index_select(dimension, torch.from_numpy(chosen).to(value.device))
    return value.clone() if value.data_ptr() == parameter.data_ptr() else value


def _outer_slices(kept: Kept) -> Slices:
    return {
        "backbone.embeddings.weight": (None, kept.hidden),
        "backbone.norm_f.weight": (kept.hidden,),
        "lm_head.weight": (None, kept.hidden),
    }


def _layer_slices(parent: HybridConfig, kept: Kept, number: int) -> Slices:
    """The slices of one layer of the parent, without the layer's prefix."""
    hidden = kept.hidden
    found: Slices = {"norm.weight": (hidden,)}
    if number in kept.ffn:
        neurons = kept.ffn[number]
        return found | {
            "mixer.up_proj.weight": (neurons, hidden),
            "mixer.down_proj.weight": (hidden, neurons),
        }
    if number in kept.attention_heads:
        rows = _rows(kept.attention_heads[number], np.arange(parent.head_dim), parent.head_dim)
        return found | {
            "mixer.q_proj.weight": (rows, hidden),
            "mixer.k_proj.weight": (None, hidden),
            "mixer.v_proj.weight": (None, hidden),
            "mixer.o_proj.weight": (hidden, rows),
        }
    heads = kept.mamba_heads[number]
    inner = _rows(heads, kept.mamba_channels[number], parent.mamba_head_dim)
    whole = parent.mamba_inner
    shared = np.arange(whole, parent.conv_channels)  # B and C stay as they are
    convolved = np.concatenate([inner, shared])
    projected = np.concatenate(  # gate; x, B and C; dt
        [inner, whole + convolved, whole + parent.conv_channels + heads]
    )
    return found | {
        "mixer.in_proj.weight": (projected, hidden),
        "mixer.conv1d.weight": (convolved,),
        "mixer.conv1d.bias": (convolved,),
        "mixer.dt_bias": (heads,),
        "mixer.A_log": (heads,),
        "mixer.D": (heads,),
        "mixer.norm.weight": (inner,),
        "mixer.out_proj.weight": (hidden, inner),
    }


def _rows(heads: "Indices", channels: "Indices", head_dim: int) -> "Indices":
    """The rows of the kept channels of the kept heads."""
    return (heads[:, None] * head_dim + channels).ravel()
