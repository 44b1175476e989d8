"""Matrix products of linear maps in 8-bit floating point.

Values are scaled to the range of the format, rounded, multiplied, and scaled back. Forward operands
are E4M3. `tensor` is the recipe of Nemotron-H (arXiv 2504.03624, section 2.3): one scale a tensor,
taken from its present largest value, gradients in E5M2. `row` has one scale for each row of an
operand, in the direction of the sum, and E4M3 for gradients too: less is lost to outliers, and the
products are slower.

On a GPU `torch._scaled_mm` multiplies. It needs compute capability 8.9 or more, and sizes that are
multiples of 16. Elsewhere the same rounded values are multiplied in fp32, so a CPU shows what the
rounding does to a run. Weights stay fp32 and keep their names. They change once a step, so they are
rounded once a step, if there is room (`Rounded`). Letters in tensor names: N tokens, K inputs, O
outputs of the map.
"""

from typing import Any, Literal, NamedTuple

import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import Precision
from torch import Tensor

Scaling = Literal["tensor", "row"]
SCALINGS: dict[Precision, Scaling] = {"fp8": "tensor", "fp8_rowwise": "row"}
E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
CAPABILITY = (8, 9)  # of a GPU
SMALLEST = 1e-12  # a tensor of zeros has some scale too
NOT_ROUNDED = (None, None, None, None)
NO_GRADIENTS = (None, None, *NOT_ROUNDED)  # of a scaling, a gradient's sum, a rounded weight


class Rounded(NamedTuple):
    """A weight in 8 bits, as the forward and as the backward needs it, with scales."""

    w8_OK: Tensor
    scale_O: Tensor
    w8_KO: Tensor
    scale_K: Tensor


def refuse_device(device: torch.device) -> None:
    """Raises CorpusmillError if it is a GPU that has no 8-bit products."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < CAPABILITY:
        raise CorpusmillError(
            f"{torch.cuda.get_device_name(device)} has no products in 8 bits",
            "set precision to plain, or take a GPU of compute capability 8.9 or more",
        )


def linear(
    x: Tensor,
    weight_OK: Tensor,
    scaling: Scaling,
    rounded: Rounded | None = None,
    sum_OK: Tensor | None = None,
) -> Tensor:
    """x @ weight.T with all three products (forward, both gradients) in 8 bits; dtype of x.

    rounded: the weight's 8-bit forms, if they were made before. sum: to which the weight's gradient
    is added, rounded to the dtype of x, if autograd shall have none (`trainer.gradient_sums`).
    """
    y_NO = _Linear.apply(x.flatten(0, -2), weight_OK, scaling, sum_OK, *(rounded or NOT_ROUNDED))
    return y_NO.unflatten(0, x.shape[:-1])


def round_weight(weight_OK: Tensor, scaling: Scaling) -> Rounded:
    """A weight's forms for `linear`. Each is a tensor of its own, as torch.compile wants inputs."""
    w8_OK, scale_O, w8_KO, scale_K = quantise_both(weight_OK, E4M3, scaling)
    return Rounded(w8_OK, scale_O, w8_KO, scale_K.clone())


def quantise(x: Tensor, dtype: torch.dtype, scaling: Scaling) -> tuple[Tensor, Tensor]:
    """x divided by its scale, in 8 bits, and the scale: (rows, 1) or (1, 1) in fp32."""
    largest = x.abs().amax(dim=(1,) if scaling == "row" else (0, 1), keepdim=True)
    scale = largest.float().clamp(min=SMALLEST) / torch.finfo(dtype).max
    return (x.float() * scale.reciprocal()).to(dtype), scale


def quantise_both(
    x: Tensor, dtype: torch.dtype, scaling: Scaling
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`quantise` of x, and of x transposed (dense by rows, as the products need it)."""
    x8, scale = quantise(x, dtype, scaling)
    if scaling == "row":
        turned, its_scale = quantise(x.t(), dtype, scaling)
        return x8, scale, turned.contiguous(), its_scale
    return x8, scale, x8.t().contiguous(), scale


def product(
    a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, dtype: torch.dtype, fast: bool
) -> Tensor:
    """a @ b.T of scaled 8-bit matrices, both dense by rows.

    fast: sums are kept with fewer bits between the steps of the tensor cores.
    """
    if a.is_cuda:
        return torch._scaled_mm(
            a, b.t(), scale_a=a_scale, scale_b=b_scale.t(), out_dtype=dtype, use_fast_accum=fast
        )
    exact = (a.float() @ b.float().t()) * (a_scale * b_scale.t())
    # A cast that changes nothing costs the gradient: under torch.compile, torch 2.11 makes it zero.
    return exact if dtype == exact.dtype else exact.to(dtype)


class _Linear(torch.autograd.Function):
    """Between forward and backward the input is kept in 8 bits, transposed."""

    @staticmethod
    def forward(
        ctx: Any,
        x_NK: Tensor,
        weight_OK: Tensor,
        scaling: Scaling,
        sum_OK: Tensor | None,
        w8_OK: Tensor | None,
        w_scale: Tensor | None,
        w8_KO: Tensor | None,
        w_scale_K: Tensor | None,
    ) -> Tensor:
        x8_NK, x_scale, x8_KN, x_scale_K = quantise_both(x_NK, E4M3, scaling)
        ctx.save_for_backward(x8_KN, x_scale_K, weight_OK, w8_KO, w_scale_K)
        ctx.scaling, ctx.sum_OK = scaling, sum_OK
        if w8_OK is None or w_scale is None:
            w8_OK, w_scale = quantise(weight_OK, E4M3, scaling)
        return product(x8_NK, x_scale, w8_OK, w_scale, x_NK.dtype, fast=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (dy_NO,) = gradients
        x8_KN, x_scale_K, weight_OK, w8_KO, w_scale_K = ctx.saved_tensors
        format_ = E4M3 if ctx.scaling == "row" else E5M2
        d8_NO, d_scale, d8_ON, d_scale_O = quantise_both(dy_NO, format_, ctx.scaling)
        if w8_KO is None:
            _, _, w8_KO, w_scale_K = quantise_both(weight_OK, E4M3, ctx.scaling)
        dx_NK = product(d8_NO, d_scale, w8_KO, w_scale_K, dy_NO.dtype, fast=False)
        dweight_OK = product(d8_ON, d_scale_O, x8_KN, x_scale_K, dy_NO.dtype, fast=False)
        if ctx.sum_OK is not None:
            ctx.sum_OK.add_(dweight_OK)
            return dx_NK, None, *NO_GRADIENTS
        return dx_NK, dweight_OK.to(weight_OK.dtype), *NO_GRADIENTS
