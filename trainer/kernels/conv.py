"""Causal depthwise convolution + bias + SiLU on a GPU, as an operator for `torch.compile`. The
plain twin: `trainer.layers.CausalConv1d`.
"""

import torch
import triton
from corpusmill.trainer.kernels import conv_kernels
from torch import Tensor

BLOCK = {"STEP": 8, "BLOCK_C": 256, "num_warps": 2}
STEPS = 32  # of STEP tokens that one program walks


@torch.library.custom_op("corpusmill::conv_silu", mutates_args=())
def conv_silu(
    x_BTC: Tensor, weight_CW: Tensor, bias_C: Tensor, documents_BT: Tensor | None
) -> Tensor:
    """SiLU(bias + sum over w of weight[:, W - 1 - w] * x[t - w]), dense (B, T, C).

    x: bf16 or fp32, any strides but the last. documents: whole numbers, never decreasing along a
    row; no token reads another document's.
    """
    return run_forward(x_BTC, weight_CW, bias_C, documents_BT)


@conv_silu.register_fake
def _(x_BTC: Tensor, weight_CW: Tensor, bias_C: Tensor, documents_BT: Tensor | None) -> Tensor:
    return x_BTC.new_empty(x_BTC.shape)


@torch.library.custom_op("corpusmill::conv_silu_backward", mutates_args=())
def conv_silu_backward(
    dy_BTC: Tensor, x_BTC: Tensor, weight_CW: Tensor, bias_C: Tensor, documents_BT: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias (the last two fp32); the same bits for the same inputs."""
    return run_backward(dy_BTC, x_BTC, weight_CW, bias_C, documents_BT)


@conv_silu_backward.register_fake
def _(
    dy_BTC: Tensor, x_BTC: Tensor, weight_CW: Tensor, bias_C: Tensor, documents_BT: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x_BTC.new_empty(x_BTC.shape),
        weight_CW.new_empty(weight_CW.shape, dtype=torch.float32),
        bias_C.new_empty(bias_C.shape, dtype=torch.float32),
    )


def _setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _backward(ctx, dy_BTC):  # type: ignore[no-untyped-def]
    _, weight, bias, _ = ctx.saved_tensors
    dx, dweight, dbias = conv_silu_backward(dy_BTC, *ctx.saved_tensors)
    return dx, dweight.to(weight.dtype), dbias.to(bias.dtype), None


conv_silu.register_autograd(_backward, setup_context=_setup_context)


def _grid(batch: int, length: int, channels: int) -> tuple[int, int, int]:
    return (
        triton.cdiv(channels, BLOCK["BLOCK_C"]),
        triton.cdiv(length, BLOCK["STEP"] * STEPS),
        batch,
    )


def run_forward(x: Tensor, weight: Tensor, bias: Tensor, documents: Tensor | None) -> Tensor:
    """What `conv_silu` does, outside of the operator."""
    x = x if x.stride(-1) == 1 else x.contiguous()
    batch, length, channels = x.shape
    y = torch.empty(x.shape, device=x.device, dtype=x.dtype)
    grid = _grid(batch, length, channels)
    conv_kernels.forward[grid](
        x,
        weight.contiguous(),
        bias,
        x if documents is None else documents.contiguous(),
        y,
        length,
        channels,
        *x.stride()[:2],
        STEPS,
        WIDTH=weight.shape[1],
        DOCUMENTS=documents is not None,
        **BLOCK,
    )
    return y


def run_backward(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    documents: Tensor | None,
    dx: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `conv_silu_backward` does, outside of the operator. dx: where its first result goes, if
    not into new memory.
    """
    x, dy = (tensor if tensor.stride(-1) == 1 else tensor.contiguous() for tensor in (x, dy))
    batch, length, channels = x.shape
    width = weight.shape[1]
    grid = _grid(batch, length, channels)
    if dx is None:
        dx = torch.empty(x.shape, device=x.device, dtype=x.dtype)
    sums = torch.empty(batch, grid[1], width + 1, channels, device=x.device, dtype=torch.float32)
    conv_kernels.backward[grid](
        x,
        weight.contiguous(),
        bias,
        x if documents is None else documents.contiguous(),
        dy,
        dx,
        sums,
        length,
        channels,
        *x.stride()[:2],
        *dy.stride()[:2],
        *dx.stride()[:2],
        STEPS,
        WIDTH=width,
        DOCUMENTS=documents is not None,
        **BLOCK,
    )
    total = sums.sum((0, 1))
    return dx, total[:width].T.contiguous(), total[width]
