"""Our 8-bit linear map against torchao's, both emulated on a CPU: the same roundings, so the same
numbers.
"""

import pytest
import torch
from corpusmill.trainer import fp8
from torch import nn

pytest.importorskip("torchao")


@pytest.mark.parametrize(("scaling", "recipe"), [("tensor", "tensorwise"), ("row", "rowwise")])
def test_outputs_and_gradients_are_those_of_torchao(scaling, recipe):
    from torchao.float8 import Float8LinearConfig, convert_to_float8_training

    torch.manual_seed(0)
    config = Float8LinearConfig.from_recipe_name(recipe)
    object.__setattr__(config, "emulate", True)  # a CPU has no 8-bit products
    object.__setattr__(config, "round_scales_to_power_of_2", False)  # its rowwise recipe does
    layer = nn.Linear(64, 96, bias=False)
    theirs = convert_to_float8_training(nn.Sequential(nn.Linear(64, 96, bias=False)), config=config)
    theirs.load_state_dict(nn.Sequential(layer).state_dict())
    x = torch.randn(32, 64) * torch.logspace(-2, 1, 32)[:, None]  # rows of very different size
    dy = torch.randn(32, 96) * 1e-3
    ours_x, theirs_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    weight = layer.weight
    y = fp8.linear(ours_x, weight, scaling)
    y.backward(dy)
    expected = theirs(theirs_x)
    expected.backward(dy)
    exact = x @ weight.T
    pairs = {
        "y": (y, expected),
        "dx": (ours_x.grad, theirs_x.grad),
        "dw": (weight.grad, theirs[0].weight.grad),
    }
    for name, (one, other) in pairs.items():
        assert (one - other).norm() <= 1e-4 * other.norm(), name
    assert (y - exact).norm() > 1e-3 * exact.norm()  # something was rounded
