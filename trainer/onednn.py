"""Linear maps in fp32 on x86 processors, by oneDNN.

PyTorch gives fp32 products to MKL, which takes its slower kernels on processors that are not
Intel's: on one core of an EPYC, 112 GFLOP/s where oneDNN does 180 to 260. PyTorch has oneDNN's
product as an operator for inference, so its gradient stands here. All other devices, processors and
dtypes take PyTorch's own product.

Letters in tensor names: X rows, K inputs, O outputs.
"""

import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

HAS_ONEDNN = platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available()


def linear(x: Tensor, weight_OK: Tensor) -> Tensor:
    """x @ weight.T, differentiable; x: (..., K)."""
    if HAS_ONEDNN and x.device.type == "cpu" and x.dtype == weight_OK.dtype == torch.float32:
        y: Tensor = _Linear.apply(x, weight_OK)
        return y
    return F.linear(x, weight_OK.to(x.dtype))


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OK: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight_OK)
        return _product(x, weight_OK)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight_OK = ctx.saved_tensors
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _product(gradients[0], weight_OK.t())
        if ctx.needs_input_grad[1]:
            gradient_XO, x_XK = gradients[0].flatten(0, -2), x.flatten(0, -2)
            # oneDNN's product copies its first factor, if it is transposed. So take the narrower.
            if weight_OK.shape[0] < weight_OK.shape[1]:
                of_weight = _product(gradient_XO.t(), x_XK.t())
            else:
                of_weight = _product(x_XK.t(), gradient_XO.t()).t()
        return of_x, of_weight


@torch.library.custom_op("corpusmill::product", mutates_args=())
def _product(x: Tensor, weight_OK: Tensor) -> Tensor:
    """x @ weight.T. An operator of our own, as torch.compile takes oneDNN's for inference alone."""
    if not x.numel():  # oneDNN knows no empty products
        return x.new_zeros(*x.shape[:-1], weight_OK.shape[0])
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight_OK, None, "none", [], "")
    return y


@_product.register_fake
def _(x: Tensor, weight_OK: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight_OK.shape[0])
