"""Linear maps of a frozen encoder with products in 8-bit floating point (E4M3).

Inputs and weights are scaled to the range of the format and rounded. A GPU multiplies such values
twice as fast as bfloat16. There is one scale for a weight, from its largest value, and one for all
inputs of a map. The latter is fixed, too: an input comes from a LayerNorm, so the norm's own
weights bound it (`most_of_norm`, `most_of_map`). So no pass over the inputs looks for their largest
value. A scale may be far from the best one, because the format is a floating-point one: values down
to a 28,672th of the largest keep all three bits of their mantissa.

On a CPU the same rounded values are multiplied in fp32. Letters: T tokens, I inputs, O outputs.
"""

from typing import Any

import torch
from corpusmill.manifests.errors import ModelError
from torch import Tensor, nn
from torch.nn import functional

E4M3 = torch.float8_e4m3fn
LARGEST = torch.finfo(E4M3).max
CAPABILITY = (8, 9)  # of a GPU, Ada or Hopper
MULTIPLE = 16  # what the sizes of a weight must be multiples of


class Fp8Linear(nn.Module):
    """x8 -> x @ weight.T + bias, in the dtype of the bias. `rounded` makes x8 from x.

    weight: [O, I]. most: what no input exceeds. One that does is cut.
    """

    weight8_OI: Tensor
    bias: Tensor
    weight_scale: Tensor  # [1, 1], as the next
    input_scale: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, most: Tensor) -> None:
        super().__init__()
        weight_OI = weight.detach().float()
        scale = _scale(weight_OI.abs().amax())
        self.register_buffer("weight8_OI", (weight_OI / scale).to(E4M3))
        self.register_buffer("bias", bias.detach())
        self.register_buffer("weight_scale", scale)
        self.register_buffer("input_scale", _scale(most))

    def rounded(self, x_TI: Tensor) -> Tensor:
        """x by its scale, in 8 bits."""
        scaled = x_TI.float() * self.input_scale.reciprocal()
        return scaled.clamp(-LARGEST, LARGEST).to(E4M3)

    def forward(self, x8_TI: Tensor) -> Tensor:
        if x8_TI.is_cuda:
            return torch._scaled_mm(
                x8_TI,
                self.weight8_OI.t(),
                scale_a=self.input_scale,
                scale_b=self.weight_scale,
                bias=self.bias,
                out_dtype=self.bias.dtype,
                use_fast_accum=True,
            )
        scale = self.input_scale * self.weight_scale
        product = functional.linear(x8_TI.float(), self.weight8_OI.float()) * scale
        return product.to(self.bias.dtype) + self.bias


def _scale(most: Tensor) -> Tensor:
    return (most.float().clamp(min=1e-12) / LARGEST).reshape(1, 1)


def most_of_norm(norm: nn.LayerNorm) -> Tensor:
    """What no output of a LayerNorm exceeds: a vector of H numbers has no part above sqrt(H)."""
    reach = norm.weight.detach().float().abs() * len(norm.weight) ** 0.5
    return (reach + norm.bias.detach().float().abs()).amax()


def most_of_map(norm: nn.LayerNorm, linear: nn.Linear) -> Tensor:
    """What no output of a linear map of a LayerNorm's output exceeds, by Cauchy and Schwarz."""
    weight_OI = linear.weight.detach().float()
    reach = (weight_OI * norm.weight.detach().float()).norm(dim=1) * len(norm.weight) ** 0.5
    middle = functional.linear(norm.bias.detach().float(), weight_OI, linear.bias.detach().float())
    return (reach + middle.abs()).amax()


def refuse_gpu() -> None:
    """Raises ModelError if this machine's GPU has no 8-bit products."""
    if torch.cuda.get_device_capability() < CAPABILITY:
        raise ModelError(
            f"{torch.cuda.get_device_name()} has no products in 8 bits",
            "set precision to plain, or take a GPU of compute capability 8.9 or more",
        )


def refuse_widths(body: Any) -> None:
    """Raises ModelError if 8-bit products do not fit the encoder."""
    sizes = (body.config.hidden_size, body.config.intermediate_size)
    if any(size % MULTIPLE for size in sizes):
        raise ModelError(
            f"the encoder's widths are {sizes[0]} and {sizes[1]}; "
            f"products in 8 bits need multiples of {MULTIPLE}",
            "set precision to plain",
        )
