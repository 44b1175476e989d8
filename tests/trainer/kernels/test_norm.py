"""The norms' kernels against their definition in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

norm = pytest.importorskip("corpusmill.trainer.kernels.norm")
EPSILON = 1e-5


def reference(x: Tensor, gate: Tensor | None, weight: Tensor, groups: int) -> Tensor:
    h = (x if gate is None else x * F.silu(gate)).unflatten(-1, (groups, -1))
    return (h * torch.rsqrt(h.square().mean(-1, keepdim=True) + EPSILON)).flatten(-2) * weight


def error(actual: Tensor, expected: Tensor) -> float:
    return ((actual.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(("size", "groups"), [(64, 1), (48, 1), (96, 4)])
@pytest.mark.parametrize("gated", [False, True])
def test_outputs_and_gradients_equal_the_definition(size, groups, gated, device):
    x, wide = (torch.randn(3, 11, width, device=device) for width in (size, size + 5))
    weight = torch.randn(size, device=device)
    inputs = [t.requires_grad_() for t in ([x, weight, wide] if gated else [x, weight])]
    exact = [t.detach().double().requires_grad_() for t in inputs]
    gate = wide[..., 2 : 2 + size] if gated else None
    y = norm.rms_norm(x, gate, weight, groups, EPSILON)
    y_exact = reference(exact[0], exact[2][..., 2 : 2 + size] if gated else None, exact[1], groups)
    assert error(y, y_exact) < 1e-6
    dy = torch.randn_like(y)
    gradients = torch.autograd.grad(y, inputs, dy)
    for one, other in zip(gradients, torch.autograd.grad(y_exact, exact, dy.double()), strict=True):
        assert error(one, other) < 1e-5


def test_a_gradient_that_passed_by_the_norm_is_added(device):
    x, weight = (torch.randn(s, device=device, requires_grad=True) for s in ((3, 11, 48), (48,)))
    exact = [t.detach().double().requires_grad_() for t in (x, weight)]
    passed, y = norm.rms_norm_beside(x, weight, EPSILON)
    assert torch.equal(passed, x)
    together = 2 * passed + y.sin()
    y_exact = reference(exact[0], None, exact[1], 1)
    together_exact = 2 * exact[0] + y_exact.sin()
    d = torch.randn_like(together)
    gradients = torch.autograd.grad(together, [x, weight], d)
    expected = torch.autograd.grad(together_exact, exact, d.double())
    for one, other in zip(gradients, expected, strict=True):
        assert error(one, other) < 1e-5


def test_a_row_of_zeros_stays_zero(device):
    x = torch.zeros(2, 32, device=device, requires_grad=True)
    y = norm.rms_norm(x, None, torch.ones(32, device=device), 1, EPSILON)
    y.sum().backward()
    assert y.abs().max() == 0
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("gated", [False, True])
def test_the_operator_is_registered_as_pytorch_wants_it(gated, device):
    x, gate, weight = (
        torch.randn(size, device=device, requires_grad=True) for size in ((5, 32), (5, 32), (32,))
    )
    torch.library.opcheck(norm.rms_norm, (x, gate if gated else None, weight, 2, EPSILON))
