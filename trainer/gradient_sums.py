"""Linear maps of a step that has several micro-batches, on a GPU.

Each micro-batch would cast every fp32 weight to bf16, round its gradient to bf16, cast that back,
and add it to the sum of the others: 26 bytes of memory traffic a parameter. Here a weight is cast
once a step, and the product that makes a gradient adds to the fp32 sum itself, so no gradient is
rounded: 8 bytes. Megatron-LM has the second half as its gradient accumulation fusion. Products in
8 bits (`trainer.fp8`) cannot add: they give a gradient in bf16, which is then added to the sum.

Letters in tensor names: N tokens, K inputs, O outputs of the map.
"""

from typing import Any

import torch
from corpusmill.trainer.kernels.products import add_product
from torch import Tensor

IN_USE = True  # benchmarks/train_choices.py measures steps without


def take(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether steps in this dtype of the computation gain by it."""
    return IN_USE and device.type == "cuda" and dtype != torch.float32


def linear(x: Tensor, weight_OK: Tensor, rounded_OK: Tensor, sum_OK: Tensor) -> Tensor:
    """x @ rounded.T, differentiable; x: (..., K), of the dtype of `rounded`.

    The weight's gradient is added to `sum`, in fp32. The caller makes that the weight's `grad`:
    autograd gets none.
    """
    y_NO: Tensor = _Linear.apply(x.flatten(0, -2), weight_OK, rounded_OK, sum_OK)
    return y_NO.unflatten(0, x.shape[:-1])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_NK: Tensor, weight_OK: Tensor, rounded_OK: Tensor, sum_OK: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x_NK, rounded_OK)
        ctx.sum_OK = sum_OK  # not saved: it changes between forward and backward
        return x_NK @ rounded_OK.t()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (dy_NO,) = gradients
        x_NK, rounded_OK = ctx.saved_tensors
        add_gradient(ctx.sum_OK, dy_NO, x_NK)
        return dy_NO @ rounded_OK, None, None, None


@torch.library.custom_op("corpusmill::add_gradient", mutates_args=("sum_OK",))
def add_gradient(sum_OK: Tensor, dy_NO: Tensor, x_NK: Tensor) -> None:
    """sum += dy.T @ x. An operator, because torch.compile has no product into another dtype."""
    add_product(sum_OK, dy_NO.t(), x_NK, first=False)
