"""All of a Mamba-2 mixer between its two projections as one operator: convolution, scan, gated
norm.

The input projection gives a row z, x, B, C, dt for each token; the kernels read their parts where
they lie, and the backward writes the gradients of the parts into one such row, so nothing is split
or put together by copying. Between forward and backward only that row, the scan's inputs, outputs
and states are kept. The plain twin is `trainer.layers.MambaMixer`.
"""

import torch
from corpusmill.trainer.kernels import conv, norm, ssd
from torch import Tensor


@torch.library.custom_op("corpusmill::mamba_inner", mutates_args=())
def mamba_inner(
    row_BTZ: Tensor,
    conv_weight_CW: Tensor,
    conv_bias_C: Tensor,
    dt_bias_H: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    norm_weight_I: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The normed output (B, T, I); behind it, for the backward, the convolved x, B, C, and the
    scan's output and states.

    row: z (I), x (I), B (G * N), C (G * N), dt (H) of each token. A: negative decay rates.
    documents: whole numbers, never decreasing along a row; nothing passes a boundary.
    """
    z, xBC, dt = _parts(row_BTZ, conv_bias_C, dt_bias_H)
    convolved = conv.run_forward(xBC, conv_weight_CW, conv_bias_C, documents_BT)
    y, entering = ssd.run_forward(convolved, dt, A_H, D_H, documents_BT, groups, state, dt_bias_H)
    return norm.run_forward(y, z, norm_weight_I, groups, epsilon), convolved, y, entering


@mamba_inner.register_fake
def _(
    row_BTZ: Tensor,
    conv_weight_CW: Tensor,
    conv_bias_C: Tensor,
    dt_bias_H: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    norm_weight_I: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, length, _ = row_BTZ.shape
    inner, channels = norm_weight_I.shape[0], conv_bias_C.shape[0]
    return (
        row_BTZ.new_empty(batch, length, inner),
        row_BTZ.new_empty(batch, length, channels),
        row_BTZ.new_empty(batch, length, inner),
        row_BTZ.new_empty(ssd.states_size(batch, length, dt_bias_H.shape[0], inner, state)),
    )


@torch.library.custom_op("corpusmill::mamba_inner_backward", mutates_args=())
def mamba_inner_backward(
    dout_BTI: Tensor,
    convolved_BTC: Tensor,
    y_BTI: Tensor,
    entering_BKHPN: Tensor,
    row_BTZ: Tensor,
    conv_weight_CW: Tensor,
    conv_bias_C: Tensor,
    dt_bias_H: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    norm_weight_I: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the first seven arguments of `mamba_inner` (all but the row's in fp32); the
    same bits for the same inputs.
    """
    z, xBC, dt = _parts(row_BTZ, conv_bias_C, dt_bias_H)
    drow = torch.empty(row_BTZ.shape, device=row_BTZ.device, dtype=row_BTZ.dtype)
    dz, dxBC, ddt = _parts(drow, conv_bias_C, dt_bias_H)
    dy, _, dnorm = norm.run_backward(dout_BTI, y_BTI, z, norm_weight_I, groups, epsilon, dz)
    dconvolved, _, dA, dD, dbias = ssd.run_backward(
        dy, convolved_BTC, dt, A_H, D_H, documents_BT, groups, state, dt_bias_H, ddt, entering_BKHPN
    )
    del dy
    _, dweight, dconv_bias = conv.run_backward(
        dconvolved, xBC, conv_weight_CW, conv_bias_C, documents_BT, dxBC
    )
    return drow, dweight, dconv_bias, dbias, dA, dD, dnorm


@mamba_inner_backward.register_fake
def _(
    dout_BTI: Tensor,
    convolved_BTC: Tensor,
    y_BTI: Tensor,
    entering_BKHPN: Tensor,
    row_BTZ: Tensor,
    conv_weight_CW: Tensor,
    conv_bias_C: Tensor,
    dt_bias_H: Tensor,
    A_H: Tensor,
    D_H: Tensor,
    norm_weight_I: Tensor,
    documents_BT: Tensor | None,
    groups: int,
    state: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    weights = (conv_weight_CW, conv_bias_C, dt_bias_H, A_H, D_H, norm_weight_I)
    one, two, three, four, five, six = (
        weight.new_empty(weight.shape, dtype=torch.float32) for weight in weights
    )
    return row_BTZ.new_empty(row_BTZ.shape), one, two, three, four, five, six


def _parts(row: Tensor, conv_bias: Tensor, dt_bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """z, the convolution's channels, and dt of a row, as views."""
    channels, heads = conv_bias.shape[0], dt_bias.shape[0]
    inner = row.shape[-1] - channels - heads
    return row[..., :inner], row[..., inner : inner + channels], row[..., inner + channels :]


def _setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
    *tensors, ctx.groups, ctx.state, ctx.epsilon = inputs
    _, *kept = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*kept)
    ctx.save_for_backward(*kept, *tensors)


def _backward(ctx, dout, *_):  # type: ignore[no-untyped-def]
    gradients = mamba_inner_backward(dout, *ctx.saved_tensors, ctx.groups, ctx.state, ctx.epsilon)
    inputs = ctx.saved_tensors[3:10]
    cast = (gradient.to(tensor.dtype) for gradient, tensor in zip(gradients, inputs, strict=True))
    return *cast, None, None, None, None


mamba_inner.register_autograd(_backward, setup_context=_setup_context)
