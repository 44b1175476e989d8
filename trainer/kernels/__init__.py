"""GPU kernels of the hybrid trainer, written in Triton. Each has its twin in plain PyTorch, which
is the reference and the CPU path.

    conv.conv_silu    causal depthwise convolution + bias + SiLU
    ssd.scan          the selective scan of Mamba-2, by chunks
    norm.rms_norm     RMSNorm by groups, plain or gated
    mixer.mamba_inner the three in a row, as a Mamba-2 layer has them
    head.head_loss    the head and its cross-entropy without full logits

All are `torch.library` operators with gradients: `torch.compile` sees one node each. None uses
atomics: the same inputs give the same bits. CPU machines need no Triton: the operators are
imported only where a CUDA device is.
"""

import importlib.util

import torch
from torch import Tensor

PRESENT = torch.cuda.is_available() and importlib.util.find_spec("triton") is not None
if PRESENT:
    from corpusmill.trainer.kernels import conv, head, mixer, norm, ssd  # noqa: F401


def take(tensor: Tensor) -> bool:
    """Whether the kernels work on this tensor: it is on a CUDA device and of bf16 or fp32."""
    return PRESENT and tensor.is_cuda and tensor.dtype in (torch.bfloat16, torch.float32)
