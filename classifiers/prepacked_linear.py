"""The linear maps of a frozen model on a CPU, by oneDNN.

oneDNN wants a weight in an order of its own. Here each weight is put into that order once.
PyTorch's own products do so at every call, and take about twice the time for the few hundred rows
of a batch of short texts. Results differ in the last bits of fp32.
"""

import platform

import torch
from torch import Tensor, nn

ROWS = 512  # of a product, about; oneDNN chooses a layout by it


class PrepackedLinear(nn.Module):
    """A linear map whose weight is in oneDNN's order. `weight` keeps shape and dtype, no values."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().to("meta"), requires_grad=False)
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), ROWS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return y


def prepack(model: nn.Module) -> None:
    """Replace the linear maps of a frozen fp32 model, where the processor has oneDNN's kernels."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.dtype == torch.float32:
                setattr(parent, name, PrepackedLinear(child))
