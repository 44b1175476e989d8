"""Products with a fixed weight, whatever form it is kept in."""

import platform

import pytest
import torch
from corpusmill.trainer.generation.fixed_weights import fp16_holds, product

FP32 = (torch.device("cpu"), torch.float32)


def weight(bf16: bool, scale: float = 0.1) -> torch.Tensor:
    made = torch.randn(40, 24, generator=torch.Generator().manual_seed(3)) * scale
    return made.bfloat16().float() if bf16 else made


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_a_product_is_that_of_the_weight(bf16, rows):
    x = torch.randn(2, rows, 24, generator=torch.Generator().manual_seed(4))
    exact = x.double() @ weight(bf16).double().T
    with torch.inference_mode():
        found = product(weight(bf16), FP32)(x)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-6)


def test_fp16_holds_what_was_stored_in_bf16():
    assert fp16_holds(weight(bf16=True))
    assert fp16_holds(weight(bf16=True, scale=1e-5))
    assert not fp16_holds(weight(bf16=False))
    assert not fp16_holds(weight(bf16=True, scale=1e6))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="forms of x86 processors")
@pytest.mark.parametrize("bf16", [False, True])
def test_a_cpu_keeps_a_form_of_its_own(bf16):
    made = product(weight(bf16), FP32)
    if bf16:
        assert "linear_dynamic_fp16" in str(made)
    else:
        assert "lambda" in str(made)
