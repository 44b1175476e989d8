"""Products in 8 bits: rounded as the formats say, near the plain ones, the same run otherwise."""

import json

import pytest
import torch
import torch.nn.functional as F
from corpusmill.manifests.errors import RecipeError
from corpusmill.trainer import fp8
from corpusmill.trainer.model import HybridModel, Linear, initialise
from corpusmill.trainer.train import train

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
needs_hopper = pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 9),
    reason="the GPU has no 8-bit products",
)


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one.double() - other.double()).norm() / other.double().norm()).item()


def operands(outlier: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x (2, 24, 32) with one large row, weight (48, 32), a gradient of the result."""
    torch.manual_seed(0)
    x = torch.randn(2, 24, 32, device=DEVICE)
    x[0, 0] *= outlier
    return x, torch.randn(48, 32, device=DEVICE), torch.randn(2, 24, 48, device=DEVICE)


@pytest.mark.parametrize(("dtype", "largest"), [(fp8.E4M3, 448.0), (fp8.E5M2, 57344.0)])
def test_the_largest_value_becomes_the_largest_of_the_format(dtype, largest):
    x = torch.randn(16, 32) * 1e-5
    x8, scale = fp8.quantise(x, dtype, "tensor")
    assert x8.float().abs().max() == largest
    bits = {fp8.E4M3: 3, fp8.E5M2: 2}[dtype]
    normal = x.abs() > x.abs().max() * 1e-3
    error = (x8.float() * scale - x).abs() / x.abs()
    assert error[normal].max() <= 2.0 ** -(bits + 1) * 1.01


def test_each_row_has_its_own_scale():
    x = torch.tensor([[1.0, -2.0], [1e-3, 5e-4]])
    x8, scale = fp8.quantise(x, fp8.E4M3, "row")
    assert scale[:, 0].tolist() == pytest.approx([2 / 448, 1e-3 / 448])
    assert x8.float().abs().amax(1).tolist() == [448.0, 448.0]


@pytest.mark.parametrize("x", [torch.zeros(16, 16), torch.full((16, 16), 3e38)])
def test_the_ends_of_the_range_stay_finite(x):
    x8, scale = fp8.quantise(x, fp8.E4M3, "tensor")
    torch.testing.assert_close(x8.float() * scale, x, rtol=1e-3, atol=0)


@needs_hopper
@pytest.mark.parametrize("scaling", ["tensor", "row"])
def test_results_and_gradients_are_near_those_of_exact_products(scaling):
    x, weight, dy = operands()
    leaves = x.bfloat16().requires_grad_(), weight.requires_grad_()
    y = fp8.linear(*leaves, scaling)
    assert y.shape == (2, 24, 48)
    assert y.dtype == torch.bfloat16
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    y_exact = F.linear(*exact)
    found = [y, *torch.autograd.grad(y, leaves, dy.bfloat16())]
    wanted = [y_exact, *torch.autograd.grad(y_exact, exact, dy.double())]
    errors = [relative(one, other) for one, other in zip(found, wanted, strict=True)]
    assert errors[0] < 0.05
    assert max(errors[1:]) < (0.05 if scaling == "row" else 0.08)  # E5M2 has two bits
    assert min(errors) > 1e-3  # it does round


@needs_hopper
def test_a_scale_a_row_keeps_the_others_from_an_outlier():
    x, weight, _ = operands(outlier=1e7)
    exact = F.linear(x.double(), weight.double())[1]
    errors = {
        scaling: relative(fp8.linear(x.bfloat16(), weight, scaling)[1], exact)
        for scaling in ("tensor", "row")
    }
    assert errors["row"] < 0.05 < errors["tensor"]


@needs_hopper
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("scaling", ["tensor", "row"])
def test_the_compiler_takes_it_in_one_graph(scaling, before):
    x, weight, dy = operands()
    rounded = fp8.round_weight(weight, scaling) if before else None
    leaves = x.bfloat16().requires_grad_(), weight.requires_grad_()

    def run(function):
        y = function(*leaves, scaling, rounded)
        return [y, *torch.autograd.grad(y, leaves, dy.bfloat16())]

    backend = "inductor" if DEVICE == "cuda" else "aot_eager"
    compiled = torch.compile(fp8.linear, fullgraph=True, dynamic=False, backend=backend)
    for one, other in zip(run(compiled), run(fp8.linear), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


def test_two_layers_at_each_end_embedding_and_head_stay_plain(small_model, make_config):
    model = HybridModel(small_model.model_copy(update={"pattern": "M-M*-M-"}))
    model.use_fp8("tensor", make_config().fp8_plain_layers)
    in_8_bits = {name for name, module in model.named_modules() if getattr(module, "fp8", None)}
    layers = {name.split(".")[2] for name in in_8_bits}
    assert layers == {"2", "3", "4"}
    assert {name.rsplit(".")[-1] for name in in_8_bits} == {
        *("in_proj", "out_proj"),
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("up_proj", "down_proj"),
    }


def test_without_gradients_the_model_computes_as_readers_of_its_export_do(small_model):
    model = HybridModel(small_model)
    initialise(model, 0)
    tokens = torch.arange(16)[None]
    plain = model(tokens)
    model.use_fp8("tensor", plain_layers=0)
    with torch.no_grad():
        assert torch.equal(model(tokens), plain)
    assert not torch.equal(model(tokens), plain)


@pytest.mark.parametrize("precision", ["fp8", "fp8_rowwise"])
def test_a_run_in_8_bits_follows_the_plain_run(
    write_shards, make_config, small_model, tmp_path, precision
):
    shape = small_model.model_copy(update={"mamba_heads": 16, "mamba_head_dim": 8})
    shards = write_shards([[1, *([5, 9, 17, 33, 2] * 8), 3] for _ in range(16)])
    changes = {"model": shape, "steps": 60, "learning_rate": 1e-2, "sequence_length": 32}
    curves = []
    for name in ("plain", precision):
        config = make_config(**changes, precision=name, fp8_plain_layers=0, checkpoint_every=100)
        log = train(config, shards, tmp_path / name).log
        curves.append([json.loads(line)["loss"] for line in log.read_text().splitlines()])
    plain, rounded = curves
    assert rounded != plain
    assert rounded[-1] < 1.0 < rounded[0]
    assert rounded[-1] == pytest.approx(plain[-1], abs=0.3)


def test_sizes_that_a_gpu_cannot_take_are_refused(make_config, small_model):
    with pytest.raises(RecipeError, match=r"multiples of 16: mamba_heads .* gives 100"):
        make_config(precision="fp8", fp8_plain_layers=0)
    wide = small_model.model_copy(update={"mamba_heads": 16, "mamba_head_dim": 8})
    with pytest.raises(RecipeError, match="no layer in 8 bits"):
        make_config(precision="fp8", model=wide)


@pytest.mark.parametrize("scaling", ["tensor", "row"])
def test_weights_that_were_rounded_before_give_the_same_bits(small_model, scaling):
    model = HybridModel(small_model)
    initialise(model, 0)
    model.use_fp8(scaling, plain_layers=0)
    tokens = torch.arange(16)[None]

    def results() -> list[torch.Tensor]:
        y = model(tokens)
        return [y, *torch.autograd.grad(y.square().mean(), list(model.parameters()))]

    for seed in (1, 2):  # made, and then made anew in the same memory
        initialise(model, seed)
        model.round_weights()
        forms = [module.rounded for module in model.modules() if isinstance(module, Linear)]
        kept = results()
        for module in model.modules():
            if isinstance(module, Linear):
                module.rounded = None
        for one, other in zip(kept, results(), strict=True):
            assert torch.equal(one, other)
        for module in model.modules():
            if isinstance(module, Linear):
                module.rounded = forms.pop(0)
