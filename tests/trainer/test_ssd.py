"""The chunked scan against its definition."""

import pytest
import torch
import torch.nn.functional as F
from corpusmill.trainer.ssd import chunked_ssd, recurrent_ssd, scan
from torch import Tensor

Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def scan_inputs(batch: int = 2, length: int = 77, dtype: torch.dtype = torch.float32) -> Inputs:
    """x, dt, A, B, C, D for 4 heads of width 8 in 2 groups with 16 states."""
    torch.manual_seed(length)
    return (
        torch.randn(batch, length, 4, 8, dtype=dtype),
        F.softplus(torch.randn(batch, length, 4, dtype=dtype)),
        -torch.rand(4, dtype=dtype) * 8 - 0.1,
        torch.randn(batch, length, 2, 16, dtype=dtype),
        torch.randn(batch, length, 2, 16, dtype=dtype),
        torch.randn(4, dtype=dtype),
    )


def documents(batch: int, length: int) -> Tensor:
    """Random document numbers, never decreasing along a row."""
    return (
        torch.randint(0, 6, (batch, length), generator=torch.Generator().manual_seed(3))
        .sort(dim=1)
        .values
    )


def relative(actual: Tensor | None, expected: Tensor | None) -> float:
    assert actual is not None
    assert expected is not None
    return (
        (actual.double() - expected.double()).abs().max() / expected.double().abs().max()
    ).item()


@pytest.mark.parametrize("length", [1, 5, 64, 77, 130])
@pytest.mark.parametrize("chunk_size", [16, 64])
def test_the_chunked_scan_equals_the_recurrence(length, chunk_size):
    inputs = scan_inputs(length=length)
    assert relative(chunked_ssd(*inputs, chunk_size), recurrent_ssd(*inputs)) < 1e-5


@pytest.mark.parametrize("chunk_size", [1, 8, 16, 100])
def test_the_chunk_size_does_not_change_the_result(chunk_size):
    inputs = scan_inputs(dtype=torch.float64)
    assert relative(chunked_ssd(*inputs, chunk_size), recurrent_ssd(*inputs)) < 1e-12


@pytest.mark.parametrize("chunk_size", [4, 16, 128])
def test_the_state_is_empty_at_the_start_of_every_document(chunk_size):
    inputs = scan_inputs(dtype=torch.float64)
    ids = documents(2, 77)
    packed = chunked_ssd(*inputs, chunk_size, ids)
    assert relative(packed, recurrent_ssd(*inputs, ids)) < 1e-12

    x, dt, A, B, C, D = inputs
    for row in range(2):
        for document in ids[row].unique():
            here = ids[row] == document
            alone = chunked_ssd(
                x[row : row + 1, here],
                dt[row : row + 1, here],
                A,
                B[row : row + 1, here],
                C[row : row + 1, here],
                D,
                16,
            )
            torch.testing.assert_close(packed[row : row + 1, here], alone, rtol=1e-10, atol=1e-10)


def test_gradients_equal_those_of_the_recurrence():
    first, second = (scan_inputs(length=40, dtype=torch.float64) for _ in range(2))
    for tensor in (*first, *second):
        tensor.requires_grad_()
    ids = documents(2, 40)
    weight = torch.randn(2, 40, 4, 8, dtype=torch.float64)
    (chunked_ssd(*first, 16, ids) * weight).sum().backward()
    (recurrent_ssd(*second, ids) * weight).sum().backward()
    for name, one, two in zip(("x", "dt", "A", "B", "C", "D"), first, second, strict=True):
        assert relative(one.grad, two.grad) < 1e-10, name


def test_gradients_stay_finite_under_very_fast_decay():
    x, dt, A, B, C, D = scan_inputs()
    dt = (dt * 100).requires_grad_()
    chunked_ssd(x, dt, A, B, C, D, 64).sum().backward()
    assert dt.grad is not None
    assert dt.grad.isfinite().all()


def test_half_precision_inputs_keep_decays_in_single_precision():
    inputs = scan_inputs(length=256)
    x, dt, A, B, C, D = inputs
    half = chunked_ssd(x.bfloat16(), dt, A, B.bfloat16(), C.bfloat16(), D, 64)
    assert half.dtype == torch.bfloat16
    assert relative(half, recurrent_ssd(*inputs)) < 0.02


@pytest.mark.parametrize("ids", [None, documents(2, 77)])
def test_packed_rows_are_scanned_like_their_parts(ids):
    x, dt, A, B, C, D = scan_inputs()
    rows = torch.cat([tensor.flatten(2) for tensor in (x, B, C)], dim=-1)
    assert torch.equal(
        scan(rows, dt, A, D, 2, 16, 16, ids),
        chunked_ssd(x, dt, A, B, C, D, 16, ids).flatten(2),
    )
