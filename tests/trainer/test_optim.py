"""AdamW's groups and its stored moments."""

import torch
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.optim import Optimizer, is_decayed


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
