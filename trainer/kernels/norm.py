"""RMSNorm over groups of channels, plain or behind a SiLU gate, as an operator for `torch.compile`.

The plain twins: `trainer.layers.RMSNorm` and `GatedRMSNorm`.
"""

from typing import Any

import torch
import triton
from corpusmill.trainer.kernels import norm_kernels
from torch import Tensor

TILE = 1024  # values of a tile, at most: rows x group
SPLITS = 1024  # programs that share the rows of the backward's sums
WARPS = 1


@torch.library.custom_op("corpusmill::rms_norm", mutates_args=())
def rms_norm(x: Tensor, gate: Tensor | None, weight: Tensor, groups: int, epsilon: float) -> Tensor:
    """h / rms(h) * weight by groups of the last dimension, h = x * silu(gate) or x; computed in
    fp32, returned dense in x's dtype.

    x, gate: (..., channels), any stride between rows that are evenly spaced.
    """
    return run_forward(x, gate, weight, groups, epsilon)


@rms_norm.register_fake
def _(x: Tensor, gate: Tensor | None, weight: Tensor, groups: int, epsilon: float) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("corpusmill::rms_norm_backward", mutates_args=())
def rms_norm_backward(
    dy: Tensor,
    x: Tensor,
    gate: Tensor | None,
    weight: Tensor,
    groups: int,
    epsilon: float,
    dpassed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, gate (empty without one) and weight (fp32); the same bits for the same
    inputs. dpassed: another gradient of x, which is added to the first.
    """
    return run_backward(dy, x, gate, weight, groups, epsilon, dpassed=dpassed)


@rms_norm_backward.register_fake
def _(
    dy: Tensor,
    x: Tensor,
    gate: Tensor | None,
    weight: Tensor,
    groups: int,
    epsilon: float,
    dpassed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape),
        x.new_empty(0) if gate is None else gate.new_empty(gate.shape),
        weight.new_empty(weight.shape, dtype=torch.float32),
    )


def _setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
    *tensors, ctx.groups, ctx.epsilon = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx, dy):  # type: ignore[no-untyped-def]
    _, gate, weight = ctx.saved_tensors
    dx, dgate, dweight = rms_norm_backward(dy, *ctx.saved_tensors, ctx.groups, ctx.epsilon)
    return dx, None if gate is None else dgate, dweight.to(weight.dtype), None, None


rms_norm.register_autograd(_backward, setup_context=_setup_context)


def rms_norm_beside(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """x itself, and its plain `rms_norm`: the two ways into a layer.

    The backward of both is one pass over memory, where a sum of its own would be another.
    """
    passed, y = _Beside.apply(x, weight, epsilon)
    return passed, y


class _Beside(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, weight)
        ctx.epsilon = epsilon
        return x.view_as(x), rms_norm(x, None, weight, 1, epsilon)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        dpassed, dy = gradients
        x, weight = ctx.saved_tensors
        dx, _, dweight = rms_norm_backward(dy, x, None, weight, 1, ctx.epsilon, dpassed)
        return dx, dweight.to(weight.dtype), None


def _flat(tensor: Tensor) -> Tensor:
    """As (rows, channels) without a copy where the rows lie evenly spaced."""
    if tensor.stride(-1) != 1:
        tensor = tensor.contiguous()
    return tensor.flatten(0, -2)


def _tile(size: int) -> dict[str, int]:
    block = triton.next_power_of_2(size)
    return {"SIZE": size, "BLOCK": block, "ROWS": max(1, TILE // block)}


def run_forward(
    x: Tensor, gate: Tensor | None, weight: Tensor, groups: int, epsilon: float
) -> Tensor:
    """What `rms_norm` does, outside of the operator."""
    y = torch.empty(x.shape, device=x.device, dtype=x.dtype)
    flat = _flat(x)
    gates = flat if gate is None else _flat(gate)
    tile = _tile(x.shape[-1] // groups)
    norm_kernels.forward[triton.cdiv(flat.shape[0], tile["ROWS"]), groups](
        flat,
        gates,
        weight,
        y,
        flat.shape[0],
        epsilon,
        flat.stride(0),
        gates.stride(0),
        GATED=gate is not None,
        **tile,
        num_warps=WARPS,
    )
    return y


def run_backward(
    dy: Tensor,
    x: Tensor,
    gate: Tensor | None,
    weight: Tensor,
    groups: int,
    epsilon: float,
    dgate: Tensor | None = None,
    dpassed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """What `rms_norm_backward` does, outside of the operator. dgate: where that result goes, if
    not into new memory.
    """
    dx = torch.empty(x.shape, device=x.device, dtype=x.dtype)
    if gate is None:
        dgate = x.new_empty(0)
    elif dgate is None:
        dgate = torch.empty(gate.shape, device=x.device, dtype=gate.dtype)
    flat, dflat = _flat(x), _flat(dy)
    gates = flat if gate is None else _flat(gate)
    dgates = flat if gate is None else _flat(dgate)
    assert gate is None or dgates.data_ptr() == dgate.data_ptr()
    tile = _tile(x.shape[-1] // groups)
    splits = min(triton.cdiv(SPLITS, groups), triton.cdiv(flat.shape[0], tile["ROWS"]))
    dweight = torch.empty(splits, x.shape[-1], device=x.device, dtype=torch.float32)
    norm_kernels.backward[splits, groups](
        flat,
        gates,
        weight,
        dflat,
        flat if dpassed is None else dpassed.contiguous(),
        dx,
        dgates,
        dweight,
        flat.shape[0],
        epsilon,
        flat.stride(0),
        gates.stride(0),
        dflat.stride(0),
        dgates.stride(0),
        triton.cdiv(flat.shape[0], splits * tile["ROWS"]),
        GATED=gate is not None,
        PASSED=dpassed is not None,
        **tile,
        num_warps=WARPS,
    )
    return dx, dgate, dweight.sum(0)
