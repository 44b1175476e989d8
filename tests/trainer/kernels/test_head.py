"""The fused head and loss against full logits in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

head = pytest.importorskip("corpusmill.trainer.kernels.head")


def reference(hidden: Tensor, weight: Tensor, targets: Tensor, counted: Tensor, z: float) -> Tensor:
    logits = hidden @ weight.T
    losses = F.cross_entropy(logits, targets, reduction="none") + z * logits.logsumexp(-1) ** 2
    return (losses * counted).sum()


def head_inputs(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.randn(29, 16, device=device, requires_grad=True),
        torch.randn(130, 16, device=device, requires_grad=True),
        torch.randint(0, 130, (29,), device=device),
        torch.rand(29, device=device) < 0.7,
    )


@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize("block_logits", [1, 130 * 7, 2**30])
def test_loss_and_gradients_equal_full_logits(z_loss, block_logits, device, monkeypatch):
    monkeypatch.setattr(head, "BLOCK_LOGITS", block_logits)
    hidden, weight, targets, counted = head_inputs(device)
    exact = [t.detach().double().requires_grad_() for t in (hidden, weight)]
    loss = head.head_loss(hidden, weight, targets, counted, z_loss, True)[0]
    expected = reference(exact[0], exact[1], targets, counted, z_loss)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=0)
    gradients = torch.autograd.grad(loss * 0.3, (hidden, weight))
    for one, other in zip(gradients, torch.autograd.grad(expected * 0.3, exact), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        alone = head.head_loss(hidden, weight, targets, counted, z_loss, False)[0]
    assert torch.equal(alone, loss)


def test_huge_logits_overflow_nothing(device):
    hidden, weight, targets, counted = head_inputs(device)
    loss = head.head_loss(hidden * 1e4, weight, targets, counted, 0.0, True)[0]
    assert loss.isfinite()
    assert torch.autograd.grad(loss, hidden)[0].isfinite().all()


def test_the_operator_is_registered_as_pytorch_wants_it(device):
    torch.library.opcheck(
        head.head_loss,
        (*head_inputs(device), 0.0, True),
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
    )
