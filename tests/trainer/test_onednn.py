"""Linear maps by oneDNN: the values and gradients of PyTorch's own product."""

import pytest
import torch
import torch.nn.functional as F
from corpusmill.trainer import onednn

pytestmark = pytest.mark.skipif(not onednn.HAS_ONEDNN, reason="needs oneDNN on x86")


@pytest.mark.parametrize("outputs", [5, 40])
@pytest.mark.parametrize("rows", [(0,), (7,), (2, 9)])
def test_values_and_gradients_are_those_of_pytorch(outputs, rows):
    torch.manual_seed(1)
    x = torch.randn(*rows, 24).transpose(0, -2).requires_grad_()
    weight = torch.randn(outputs, 24, requires_grad=True)
    gradient = torch.randn(*x.shape[:-1], outputs)
    found, wanted = onednn.linear(x, weight), F.linear(x.double(), weight.double())
    assert found.grad_fn is not None
    assert "_Linear" in type(found.grad_fn).__name__
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)
    for one, two in zip(
        torch.autograd.grad(found, (x, weight), gradient),
        torch.autograd.grad(wanted, (x, weight), gradient.double()),
        strict=True,
    ):
        assert one.shape == two.shape
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_other_dtypes_take_pytorch_s_own_product():
    weight = torch.randn(4, 8)
    for dtype in (torch.bfloat16, torch.float64):
        x = torch.randn(3, 8).to(dtype)
        assert torch.equal(onednn.linear(x, weight), F.linear(x, weight.to(dtype)))
