"""Products with a fixed weight, for the few rows of a decoding step.

A step reads every weight once, so on a CPU its time is that of the memory. Two forms of a weight
help there, each made once:

- In fp16, for FBGEMM, which multiplies fp32 by it and adds in fp32. Only weights that fp16 holds
  are kept so. bf16 weights, as `export` writes them, are: their eight digits fit into eleven.
- Otherwise in fp32, in the order that oneDNN wants. MKL brings weights into order at every call.

All other devices, processors and dtypes take PyTorch's own product.
"""

import platform
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

Product = Callable[[Tensor], Tensor]
Numbers = tuple[torch.device, torch.dtype]  # where weights lie, and the dtype of products
LAID_OUT_FOR = 16  # rows of a product
ROUNDING = 2.0**-25  # of numbers next to zero in fp16


def product(weight: Tensor, numbers: Numbers) -> Product:
    """x -> x @ weight.T, in the dtype of `numbers`."""
    device, dtype = numbers
    weight = weight.detach().to(device, dtype)
    if (
        device.type != "cpu"
        or dtype != torch.float32
        or platform.machine() not in ("x86_64", "AMD64")
    ):
        return partial(F.linear, weight=weight)
    if torch.backends.quantized.engine in ("x86", "fbgemm") and fp16_holds(weight):
        packed = torch.ops.quantized.linear_prepack_fp16(weight, None)
        return partial(torch.ops.quantized.linear_dynamic_fp16, W_prepack=packed)
    if torch.backends.mkldnn.is_available():
        oneDNN = torch.ops.mkldnn
        ordered = oneDNN._reorder_linear_weight(weight, LAID_OUT_FOR)
        return lambda x: oneDNN._linear_pointwise(x, ordered, None, "none", [], "")
    return partial(F.linear, weight=weight)


def fp16_holds(weight: Tensor) -> bool:
    """Whether fp16 keeps the values, but for its rounding of the smallest ones."""
    return bool(((weight.half().float() - weight).abs() <= ROUNDING).all())
