"""The scan's kernels against the recurrence in float64, outputs and every gradient."""

import pytest
import torch
import torch.nn.functional as F
from corpusmill.trainer.ssd import recurrent_ssd
from torch import Tensor

ssd = pytest.importorskip("corpusmill.trainer.kernels.ssd")

HEADS, HEAD_DIM, GROUPS, STATE = 4, 16, 2, 32
INNER, MAPS = HEADS * HEAD_DIM, GROUPS * STATE


def scan_inputs(length: int, device: torch.device, decay: float = 4.0) -> list[Tensor]:
    """Rows of x, B and C; dt; A; D."""
    return [
        torch.randn(2, length, INNER + 2 * MAPS, device=device),
        F.softplus(torch.randn(2, length, HEADS, device=device)),
        -torch.rand(HEADS, device=device) * decay - 0.1,
        torch.randn(HEADS, device=device),
    ]


def documents(length: int, device: torch.device, count: int = 5) -> Tensor:
    return torch.randint(0, count, (2, length), device=device).sort(1).values


def reference(inputs: list[Tensor], ids: Tensor | None) -> Tensor:
    rows, dt, A, D = inputs
    x, B, C = rows.split([INNER, MAPS, MAPS], -1)
    y = recurrent_ssd(
        x.unflatten(-1, (HEADS, HEAD_DIM)),
        dt,
        A,
        B.unflatten(-1, (GROUPS, STATE)),
        C.unflatten(-1, (GROUPS, STATE)),
        D,
        ids,
    )
    return y.flatten(-2)


def error(actual: Tensor, expected: Tensor) -> float:
    """Relative, by norms."""
    return ((actual.double() - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("length", [1, 63, 64, 150])
@pytest.mark.parametrize("reset", [False, True])
def test_outputs_and_gradients_equal_the_recurrence(length, reset, device):
    inputs = [tensor.requires_grad_() for tensor in scan_inputs(length, device)]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    ids = documents(length, device) if reset else None
    y = ssd.scan(*inputs, ids, GROUPS, STATE)
    y_exact = reference(exact, ids)
    assert error(y, y_exact) < 1e-5
    dy = torch.randn_like(y)
    gradients = torch.autograd.grad(y, inputs, dy)
    expected = torch.autograd.grad(y_exact, exact, dy.double())
    for name, one, other in zip(("rows", "dt", "A", "D"), gradients, expected, strict=True):
        if length == 1 and name == "A":
            assert one.abs().max() < 1e-5  # the first token decays nothing
        else:
            assert error(one, other) < 1e-4, name


def test_a_document_is_scanned_as_if_alone(device):
    inputs = scan_inputs(150, device)
    ids = documents(150, device, count=3)
    packed = ssd.scan(*inputs, ids, GROUPS, STATE)
    rows, dt, A, D = inputs
    for document in ids[0].unique():
        here = ids[0] == document
        alone = ssd.scan(rows[:1, here], dt[:1, here], A, D, None, GROUPS, STATE)
        torch.testing.assert_close(packed[:1, here], alone, rtol=1e-4, atol=1e-4)


def test_nothing_flows_back_over_a_document_boundary(device):
    inputs = [tensor.requires_grad_() for tensor in scan_inputs(130, device)]
    ids = (torch.arange(130, device=device) >= 70).long().expand(2, -1)
    y = ssd.scan(*inputs, ids, GROUPS, STATE)
    drows, ddt = torch.autograd.grad(y[:, 70:].sum(), inputs[:2])
    assert drows[:, :70].abs().max() == 0
    assert ddt[:, :70].abs().max() < 1e-5 * ddt[:, 70:].abs().max()  # of one fp32 sum
    assert drows[:, 70:].abs().max() > 0


def test_very_fast_decay_keeps_gradients_finite_and_exact(device):
    """exp(s_q - s_s) underflows, and the exponents themselves reach thousands: no overflow, no 0 *
    inf.
    """
    rows, dt, A, D = scan_inputs(130, device, decay=16.0)
    inputs = [tensor.detach().requires_grad_() for tensor in (rows, dt * 30, A, D)]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    dy = torch.randn(2, 130, INNER, device=device)
    gradients = torch.autograd.grad(ssd.scan(*inputs, None, GROUPS, STATE), inputs, dy)
    expected = torch.autograd.grad(reference(exact, None), exact, dy.double())
    for one, other in zip(gradients, expected, strict=True):
        assert one.isfinite().all()
        assert error(one, other) < 1e-3


def test_rows_may_be_a_view_with_strides(device):
    rows, dt, A, D = scan_inputs(80, device)
    wide = torch.randn(2, 80, 7 + rows.shape[2] + 3, device=device)
    wide[..., 7 : 7 + rows.shape[2]] = rows
    view = wide[..., 7 : 7 + rows.shape[2]]
    assert torch.equal(
        ssd.scan(view, dt, A, D, None, GROUPS, STATE), ssd.scan(rows, dt, A, D, None, GROUPS, STATE)
    )


def test_the_operator_is_registered_as_pytorch_wants_it(device):
    inputs = [tensor.requires_grad_() for tensor in scan_inputs(40, device)]
    torch.library.opcheck(ssd.scan, (*inputs, documents(40, device), GROUPS, STATE))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_half_precision_repeats_its_bits_and_is_as_near_as_its_rounding():
    cuda = torch.device("cuda")
    rows, dt, A, D = scan_inputs(1000, cuda)
    inputs = [t.requires_grad_() for t in (rows.bfloat16(), dt, A, D)]
    exact = [t.detach().double().requires_grad_() for t in inputs]
    dy = torch.randn(2, 1000, INNER, device=cuda, dtype=torch.bfloat16)
    runs = [
        torch.autograd.grad(ssd.scan(*inputs, None, GROUPS, STATE), inputs, dy) for _ in range(2)
    ]
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))
    expected = torch.autograd.grad(reference(exact, None), exact, dy.double())
    for one, other in zip(runs[0], expected, strict=True):
        assert error(one, other) < 1e-2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_addresses_beyond_two_to_the_31_are_reached():
    """The last row of a tensor of 2.2 G values is the same as that row alone."""
    cuda = torch.device("cuda")
    width = INNER + 2 * MAPS
    batch = 2**31 // (8192 * width) + 2
    rows = torch.randn(1, 8192, width, device=cuda, dtype=torch.bfloat16).expand(batch, -1, -1)
    rows = rows.contiguous()
    dt = torch.full((batch, 8192, HEADS), 0.1, device=cuda)
    A, D = -torch.ones(HEADS, device=cuda), torch.ones(HEADS, device=cuda)
    y = ssd.scan(rows, dt, A, D, None, GROUPS, STATE)
    assert torch.equal(y[-1], y[0])
