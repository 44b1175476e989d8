"""Linear maps with prepacked weights compute what the plain ones do."""

import platform
from typing import Any

import pytest
import torch
from corpusmill.classifiers.prepacked_linear import PrepackedLinear, prepack
from torch import nn


class Odd(nn.Linear):
    """A linear map of another class, which may compute something else."""


def test_a_model_computes_the_same_with_its_weights_prepacked():
    torch.manual_seed(1)
    model: Any = nn.Sequential(
        nn.Linear(24, 48),
        nn.Sequential(nn.GELU(), nn.Linear(48, 8, bias=False)),
        Odd(8, 8),
        nn.Linear(8, 3).double(),
    ).eval()
    x = torch.randn(2, 7, 24)
    first = model[:3]
    with torch.inference_mode():
        expected = first(x)
        prepack(model)
        torch.testing.assert_close(first(x), expected, rtol=1e-5, atol=1e-6)
    if platform.machine() in ("x86_64", "AMD64") and torch.backends.mkldnn.is_available():
        inner: Any = model[1]
        assert [type(module) for module in (model[0], inner[1])] == [
            PrepackedLinear,
            PrepackedLinear,
        ]
        assert (model[0].weight.shape, model[0].weight.dtype) == ((48, 24), torch.float32)
    assert [type(module) for module in (model[2], model[3])] == [Odd, nn.Linear]


@pytest.mark.parametrize("rows", [1, 5, 600])
def test_any_number_of_rows_is_computed(rows):
    linear = nn.Linear(16, 32)
    model = nn.Sequential(linear)
    x = torch.randn(rows, 16)
    with torch.inference_mode():
        prepack(model)
        torch.testing.assert_close(model(x), linear(x), rtol=1e-5, atol=1e-6)
