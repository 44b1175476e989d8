"""The convolution's kernels against shifted products in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

conv = pytest.importorskip("corpusmill.trainer.kernels.conv")


def reference(x: Tensor, weight: Tensor, bias: Tensor, ids: Tensor | None) -> Tensor:
    length, width = x.shape[1], weight.shape[1]
    y = x * weight[:, -1] + bias
    for back in range(1, width):
        shifted = F.pad(x, (0, 0, back, 0))[:, :length]
        if ids is not None:
            earlier = F.pad(ids, (back, 0), value=-1)[:, :length]
            shifted = shifted * (earlier == ids).unsqueeze(-1)
        y = y + shifted * weight[:, width - 1 - back]
    return F.silu(y)


def error(actual: Tensor, expected: Tensor) -> float:
    return ((actual.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("length", [1, 2, 16, 300])
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("reset", [False, True])
def test_outputs_and_gradients_equal_shifted_products(length, width, reset, device):
    wide = torch.randn(2, length, 80, device=device)
    weight, bias = torch.randn(70, width, device=device), torch.randn(70, device=device)
    ids = torch.randint(0, 40, (2, length), device=device).sort(1).values if reset else None
    inputs = [t.requires_grad_() for t in (wide, weight, bias)]
    exact = [t.detach().double().requires_grad_() for t in inputs]
    y = conv.conv_silu(wide[..., 5:75], weight, bias, ids)
    y_exact = reference(exact[0][..., 5:75], exact[1], exact[2], ids)
    assert error(y, y_exact) < 1e-6
    dy = torch.randn_like(y)
    gradients = torch.autograd.grad(y, inputs, dy)
    for one, other in zip(gradients, torch.autograd.grad(y_exact, exact, dy.double()), strict=True):
        if other.norm() == 0:  # a weight of a token that no row has
            assert one.abs().max() == 0
        else:
            assert error(one, other) < 1e-5


def test_the_operator_is_registered_as_pytorch_wants_it(device):
    x, weight, bias = (
        torch.randn(size, device=device, requires_grad=True) for size in ((2, 9, 6), (6, 4), (6,))
    )
    torch.library.opcheck(conv.conv_silu, (x, weight, bias, None))
