"""Products that add up a step's gradients make those that autograd makes, or better ones."""

import json

import pytest
import torch
from corpusmill.trainer import gradient_sums
from corpusmill.trainer import train as training
from corpusmill.trainer.layers import Linear
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.train import train
from torch import Tensor

MICRO_BATCHES = (torch.arange(24).view(2, 12), torch.arange(40, 64).view(2, 12))


def gradients_of_a_step(model: HybridModel) -> dict[str, Tensor]:
    model.round_weights()
    model.zero_grad()
    model.empty_sums()
    for tokens in MICRO_BATCHES:
        model(tokens).float().square().mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("fp8", "compiled", "recompute"),
    [
        (False, False, False),
        (False, True, False),
        (True, False, True),
        (True, True, False),
        (False, True, True),
    ],
)
def test_a_step_has_the_gradients_of_autograd(small_model, fp8, compiled, recompute):
    model = HybridModel(small_model)
    if recompute:
        model.recompute(["mamba", "attention", "ffn"])
    initialise(model, 0)
    if fp8:
        model.use_fp8("tensor", plain_layers=1)
    expected = gradients_of_a_step(model)
    model.sum_gradients()
    torch._dynamo.reset()
    for layer in model.backbone.layers:
        if compiled:
            layer.forward = torch.compile(layer.forward, backend="aot_eager", fullgraph=True)
    for seed in (1, 0):  # another step first: nothing of it may stay
        initialise(model, seed)
        found = gradients_of_a_step(model)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-7)


def test_the_sum_is_not_rounded_to_16_bits():
    torch.manual_seed(0)
    x, dy = (torch.randn(512, size).bfloat16() for size in (32, 48))
    plain, summing = Linear(32, 48), Linear(32, 48)
    summing.load_state_dict(plain.state_dict())
    summing.sum_gradients(torch.bfloat16)
    summing.empty_sum()
    for _ in range(3):
        for module in (plain, summing):
            y = module(x)
            assert y.dtype == torch.bfloat16
            y.backward(dy)
    exact = 3 * dy.double().t() @ x.double()
    gradients = [module.weight.grad for module in (plain, summing)]
    errors = [
        ((found - exact).norm() / exact.norm()).item() for found in gradients if found is not None
    ]
    assert errors[1] < 1e-6 < 1e-3 < errors[0]


def test_weights_are_cast_anew_in_every_step(
    write_shards, random_documents, make_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(gradient_sums, "take", lambda dtype, device: True)
    forms: list[Tensor] = []
    forward = Linear.forward

    def checked(self: Linear, x: Tensor) -> Tensor:
        if self.in_16_bits is not None and torch.is_grad_enabled():
            assert torch.equal(self.in_16_bits, self.weight.detach().bfloat16())
            forms.append(self.in_16_bits.clone())
        return forward(self, x)

    monkeypatch.setattr(Linear, "forward", checked)
    config = make_config(dtype="bfloat16", micro_batch_size=2, steps=3, learning_rate=3e-2)
    train(config, write_shards(random_documents), tmp_path / "run")
    calls = len(forms) // 3  # of a step
    assert calls
    assert not torch.equal(forms[0], forms[calls])
    assert not torch.equal(forms[calls], forms[2 * calls])


@pytest.fixture
def sums_made(monkeypatch) -> set[bool]:
    """Whether the steps of a run had sums of gradients, and left something in them."""
    found: set[bool] = set()
    optimise = training.optimise

    def watched(optimizer, rate, summed_loss, *others):
        result = optimise(optimizer, rate, summed_loss, *others)
        layers = summed_loss.model.backbone.layers.modules()
        sums = [module.gradient_sum for module in layers if isinstance(module, Linear)]
        assert sums
        found.update(made is not None and bool(made.any()) for made in sums)
        return result

    monkeypatch.setattr(training, "optimise", watched)
    return found


def test_a_run_has_the_losses_of_a_run_without(
    write_shards, random_documents, make_config, tmp_path, monkeypatch, sums_made
):
    curves = []
    for in_use in (False, True):
        monkeypatch.setattr(gradient_sums, "take", lambda dtype, device, used=in_use: used)
        sums_made.clear()
        config = make_config(micro_batch_size=2, eval_fraction=0.2, eval_every=2)
        log = train(config, write_shards(random_documents), tmp_path / str(in_use)).log
        assert sums_made == {in_use}
        records = [json.loads(line) for line in log.read_text().splitlines()]
        curves.append([r[key] for r in records for key in ("loss", "held_out_loss") if r.get(key)])
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)


@pytest.mark.gpu
def test_on_a_gpu_the_sums_are_those_of_autograd(device_run):
    plain, summed = device_run(False), device_run(True)
    assert summed == pytest.approx(plain, rel=2e-3)


@pytest.fixture
def device_run(write_shards, random_documents, make_config, tmp_path, monkeypatch, sums_made):
    """Losses of a compiled run on a GPU, in bf16, with three micro-batches a step."""

    def run(in_use: bool) -> list[float]:
        monkeypatch.setattr(gradient_sums, "IN_USE", in_use)
        sums_made.clear()
        config = make_config(
            device="cuda", compile=True, batch_size=6, micro_batch_size=2, steps=12
        )
        log = train(config, write_shards(random_documents), tmp_path / str(in_use)).log
        assert sums_made == {in_use}
        return [json.loads(line)["loss"] for line in log.read_text().splitlines()]

    return run
