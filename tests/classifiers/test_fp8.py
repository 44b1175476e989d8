"""Products in 8 bits: their bounds hold, and vectors and grades stay near those of fp32."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from corpusmill.classifiers.encoder import EncoderSettings, LoadedEncoder
from corpusmill.classifiers.fp8 import (
    Fp8Linear,
    most_of_map,
    most_of_norm,
    refuse_gpu,
    refuse_widths,
)
from corpusmill.classifiers.packed_batches import Packer
from corpusmill.manifests.errors import ModelError
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tests.classifiers.test_packed_encoder import TEXTS, TOKENS
from tests.classifiers.tiny_encoders import write_encoder

WIDTH, INNER = 32, 64


@pytest.fixture
def norm():
    """A LayerNorm with a few loud channels, as trained ones have."""
    made = torch.nn.LayerNorm(WIDTH)
    torch.nn.init.normal_(made.weight, mean=1.0, std=0.3)
    torch.nn.init.normal_(made.bias, std=0.2)
    made.weight.data[3], made.bias.data[7] = 9.0, -6.0
    return made.requires_grad_(False)


@pytest.fixture
def linear():
    return torch.nn.Linear(WIDTH, INNER).requires_grad_(False)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_no_output_of_a_norm_or_of_the_map_behind_it_exceeds_its_bound(norm, linear):
    spikes = 100 * torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)])
    x = norm(torch.cat([torch.randn(1000, WIDTH), spikes]))
    assert 0.9 * most_of_norm(norm) < x.abs().max() <= most_of_norm(norm)
    assert linear(x).abs().max() <= most_of_map(norm, linear)


def test_a_vector_that_lies_along_a_weight_reaches_the_bound_of_the_map(norm, linear):
    worst = (linear.weight * norm.weight).norm(dim=1).argmax()
    along = linear.weight[worst] * norm.weight
    along = along - along.mean()  # all that a LayerNorm lets through
    reached = linear(norm(torch.stack([along, -along]))).abs().max()
    assert 0.9 * most_of_map(norm, linear) < reached


def test_the_product_is_that_of_rounded_values(norm, linear):
    x = norm(torch.randn(200, WIDTH))
    made = Fp8Linear(linear.weight, linear.bias, most_of_norm(norm))
    found, exact = made(made.rounded(x)), linear(x)
    assert made.rounded(x).dtype == torch.float8_e4m3fn
    # Three bits of mantissa: a rounded value is off by a sixteenth at most, a sum by less.
    off = (found - exact).norm() / (exact - linear.bias).norm()
    assert 0.005 < off < 0.06


def test_inputs_beyond_the_bound_are_cut_and_never_become_nan(linear):
    made = Fp8Linear(linear.weight, linear.bias, torch.tensor(2.0))
    far = torch.tensor([[1e30, -1e30, 2.0] + [0.0] * (WIDTH - 3)])
    assert (made.rounded(far).float() * made.input_scale)[0, :3].tolist() == [2.0, -2.0, 2.0]
    assert torch.isfinite(made(made.rounded(far))).all()


def test_a_weight_of_zeros_gives_the_bias():
    bias = torch.randn(INNER)
    made = Fp8Linear(torch.zeros(INNER, WIDTH), bias, torch.tensor(1.0))
    torch.testing.assert_close(made(made.rounded(torch.randn(3, WIDTH))), bias.expand(3, -1))


def rows(folder, *, pooling, fp8, batch_tokens=100):
    kind = AutoModel if pooling else AutoModelForSequenceClassification
    packer = Packer(
        kind.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
        pooling=pooling,
        normalise=pooling is not None,
        max_tokens=TOKENS,
        batch_tokens=batch_tokens,
        device="cpu",
        fp8=fp8,
    )
    return packer.rows(TEXTS)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_in_8_bits_are_near_those_of_fp32(tmp_path, kind, pooling):
    folder = write_encoder(tmp_path, kind=kind, spread=0.3, layers=3)
    exact = rows(folder, pooling=pooling, fp8=False)
    found = rows(folder, pooling=pooling, fp8=True)
    cosines = (exact * found).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.min() < 0.99999  # something was rounded
    between = exact @ exact.T
    assert between.min() < 0.9  # the texts differ by more than rounding does


def test_vectors_in_8_bits_do_not_depend_on_the_batch(tmp_path):
    folder = write_encoder(tmp_path, spread=0.3, layers=3)
    single = rows(folder, pooling="mean", fp8=True, batch_tokens=1)
    together = rows(folder, pooling="mean", fp8=True, batch_tokens=10_000)
    assert (single * together).sum(axis=1).min() > 0.9999


def test_grades_in_8_bits_are_near_those_of_fp32(tmp_path):
    folder = write_encoder(tmp_path, outputs=1, spread=0.3, layers=3)
    exact, found = (rows(folder, pooling=None, fp8=fp8)[:, 0] for fp8 in (False, True))
    assert 0 < np.abs(found - exact).max() < 0.1 * np.ptp(exact)


def body(width=WIDTH, inner=INNER):
    return SimpleNamespace(config=SimpleNamespace(hidden_size=width, intermediate_size=inner))


@pytest.mark.parametrize(("gpu", "refused"), [((8, 0), True), ((8, 9), False), ((9, 0), False)])
def test_gpus_without_8_bits_are_refused(monkeypatch, gpu, refused):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "this GPU")
    if refused:
        with pytest.raises(ModelError, match="this GPU has no products in 8 bits"):
            refuse_gpu()
    else:
        refuse_gpu()


def test_widths_that_8_bits_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="multiples of 16"):
        refuse_widths(body(width=312))


@pytest.mark.parametrize("precision", ["plain", "fp8"])
def test_encoders_that_cannot_be_packed_are_refused_in_8_bits(tmp_path, monkeypatch, precision):
    settings = EncoderSettings(encoder=write_encoder(tmp_path), precision=precision)
    loaded = LoadedEncoder(
        AutoModel.from_pretrained(settings.encoder),
        AutoTokenizer.from_pretrained(settings.encoder, truncation_side="left"),
        "cuda",
    )
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    if precision == "plain":
        assert not loaded.packs(settings)
    else:
        with pytest.raises(ModelError, match="set precision to plain"):
            loaded.packs(settings)


def test_an_old_gpu_is_named_before_the_encoder(tmp_path, monkeypatch):
    settings = EncoderSettings(encoder=write_encoder(tmp_path), precision="fp8")
    model = AutoModel.from_pretrained(settings.encoder)
    loaded = LoadedEncoder(model, AutoTokenizer.from_pretrained(settings.encoder), "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    with pytest.raises(ModelError, match="Tesla T4 has no products in 8 bits"):
        loaded.packs(settings)
