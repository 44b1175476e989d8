"""AdamW's groups and its stored moments."""

import pytest
import torch
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.optim import Optimizer, is_decayed, parts_of


def test_only_matrices_are_decayed(small_model):
    decayed = {
        name for name, p in HybridModel(small_model).named_parameters() if is_decayed(name, p)
    }
    mixers = "backbone.layers.{}.mixer.{}.weight"
    assert decayed == {
        "backbone.embeddings.weight",
        "lm_head.weight",
        *(mixers.format(0, name) for name in ("in_proj", "out_proj")),
        *(mixers.format(1, name) for name in ("q_proj", "k_proj", "v_proj", "o_proj")),
        *(mixers.format(2, name) for name in ("up_proj", "down_proj")),
    }


def test_without_gradient_a_step_shrinks_matrices_and_leaves_the_rest(make_config, small_model):
    model = HybridModel(small_model)
    initialise(model, 0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = Optimizer(model, make_config(weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1)
    for name, parameter in model.named_parameters():
        factor = 1 - 0.1 * 0.5 if is_decayed(name, parameter) else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor, msg=name)


def test_restored_moments_continue_exactly(make_config, small_model):
    def step(model, optimizer):
        model(torch.arange(16)[None]).square().mean().backward()
        optimizer.step(1e-2)
        optimizer.zero_grad()

    first = HybridModel(small_model)
    initialise(first, 0)
    optimizer = Optimizer(first, make_config())
    step(first, optimizer)
    step(first, optimizer)

    second = HybridModel(small_model)
    second.load_state_dict(first.state_dict())
    other = Optimizer(second, make_config())
    other.restore({name: mean.clone() for name, mean in optimizer.moments().items()}, steps=2)
    step(first, optimizer)
    step(second, other)
    for (name, one), two in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two), name


@pytest.fixture
def muon(make_config, small_model):
    """A model with random gradients, and its optimiser."""
    model = HybridModel(small_model)
    initialise(model, 0)
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model, Optimizer(model, make_config(optimizer="muon", weight_decay=0.0))


def change(model, optimizer, rate: float) -> dict[str, torch.Tensor]:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step(rate)
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


IN_PROJ = "backbone.layers.0.mixer.in_proj.weight"


def test_muon_moves_matrices_of_layers_orthogonally_and_by_the_size_of_adamw(muon):
    model, optimizer = muon
    moved = change(model, optimizer, 1e-2)
    up = moved["backbone.layers.2.mixer.up_proj.weight"]
    singular = torch.linalg.svdvals(up)
    assert singular.max() < 2.5 * singular.min()
    assert up.square().mean().sqrt() == pytest.approx(1e-2 * 0.2, rel=0.2)
    for name in ("backbone.embeddings.weight", "backbone.norm_f.weight", "lm_head.weight"):
        size = moved[name].abs()  # AdamW's first step is the rate, whatever the gradient
        torch.testing.assert_close(size, torch.full_like(size, 1e-2), rtol=1e-3, atol=0)
    kinds = {name.split(".")[0] for name in optimizer.moments()}
    assert kinds == {"momentum", "exp_avg", "exp_avg_sq"}


def test_muon_takes_each_part_of_in_proj_on_its_own(muon, small_model):
    model, optimizer = muon
    parts = parts_of(IN_PROJ, small_model)
    assert parts == [32, 32, 16, 16, 4]  # z, x, B, C, dt
    parameter = dict(model.named_parameters())[IN_PROJ]
    with torch.no_grad():
        parameter.grad[:32] *= 1000  # a map with large gradients does not drown the others
    moved = change(model, optimizer, 1e-2)[IN_PROJ].split(parts)
    for part in moved:
        singular = torch.linalg.svdvals(part)  # a square one may have some near 0
        assert singular.max() < 2.5 * singular.quantile(0.2)


def test_restored_momentum_continues_exactly(muon, make_config, small_model):
    model, optimizer = muon
    optimizer.step(1e-2)
    other_model = HybridModel(small_model)
    other_model.load_state_dict(model.state_dict())
    other = Optimizer(other_model, optimizer.config)
    other.restore({name: mean.clone() for name, mean in optimizer.moments().items()}, steps=1)
    for one, two in zip(model.parameters(), other_model.parameters(), strict=True):
        two.grad = one.grad.clone()
    moved, expected = change(other_model, other, 1e-2), change(model, optimizer, 1e-2)
    for name, value in expected.items():
        assert torch.equal(moved[name], value), name
