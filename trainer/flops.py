"""The arithmetic of a training step, and what a GPU could do at most.

MFU (model FLOP utilisation) = tokens/s x FLOP a token / peak. A token costs, forward and backward,
6 x (parameters without the embedding) + 3 x (causal attention + chunked SSD products). A forward
pass costs it 2 T x heads x head dim for each attention layer, and 2 Q G N + 2 Q H P + 4 H P N with
Q = 128 for each Mamba-2 layer. Recomputed products do not count. The peak is that of dense bf16,
also where products are in 8 bits.
"""

import functools

import torch
from corpusmill.trainer.model import parameter_count
from corpusmill.trainer.shape import HybridConfig

SSD_CHUNK = 128  # of the formula, whatever chunk a kernel works with
# Part of a GPU's name -> dense bf16 FLOP/s of its data sheet; the first that fits counts.
PEAKS = {
    "H200": 989e12,
    "GH200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
}


@functools.cache
def flops_per_token(model: HybridConfig, length: int) -> float:
    """Of a forward and backward pass over sequences of `length` tokens."""
    weights = parameter_count(model) - model.vocab_size * model.hidden_size
    attention = 2 * length * model.attention_heads * model.head_dim
    maps = model.mamba_groups * model.mamba_state
    inner = model.mamba_inner
    scan = 2 * SSD_CHUNK * (maps + inner) + 4 * inner * model.mamba_state
    layers = model.pattern.count("*") * attention + model.pattern.count("M") * scan
    return 6 * weights + 3 * layers


def layer_flops_per_token(model: HybridConfig, length: int) -> float:
    """The same of a layer, the mean of all, without the head."""
    head = 6 * model.vocab_size * model.hidden_size
    return (flops_per_token(model, length) - head) / len(model.pattern)


def peak_flops(device: torch.device) -> float | None:
    """FLOP/s of a GPU in dense bf16; None if it is not known, or is none."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS.items() if part in name), None)
