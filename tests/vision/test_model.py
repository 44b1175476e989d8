"""The vision-language model: shapes, sizes of the published models, and what an image changes."""

import pytest
import torch
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.presets import NEMOTRON_H_8B, NEMOTRON_H_56B
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.encoder import join_patches
from corpusmill.vision.model import VisionLanguageModel, parameter_counts

PLACES = 4  # tokens of a tile


def tokens_with_tiles(model, tiles):
    """One row: three words, then the places of `tiles` tiles, then three words."""
    places = [model.image_token] * (tiles * PLACES)
    return torch.tensor([[5, 6, 7, *places, 8, 9, 10]])


def test_four_neighbours_become_one_token():
    # A 4 x 4 image whose patches hold their number.
    patches = torch.arange(16.0).reshape(1, 16, 1)
    joined = join_patches(patches)
    assert joined.tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]


def test_a_tile_takes_the_tokens_that_the_report_names():
    # Section 4.1: 448 pixels in patches of 14, joined two by two, are 256 tokens of width 4096.
    config = VisionConfig()
    assert (config.tokens_per_tile, config.joined_size) == (256, 4096)


def test_encoder_has_the_parameters_of_internvit_300m(text):
    counts = parameter_counts(text, VisionConfig())
    assert 303e6 < counts["vision_tower"] < 305e6


@pytest.mark.parametrize(("shape", "hidden"), [(NEMOTRON_H_8B, 21504), (NEMOTRON_H_56B, 32768)])
def test_projectors_of_the_report(shape, hidden):
    # Two matrices, 4096 -> the FFN's width -> the model's width, and the norm's factors.
    counts = parameter_counts(shape, VisionConfig(projector="report"))
    assert counts["multi_modal_projector"] == 4096 + hidden * (4096 + shape.hidden_size)


def test_only_what_follows_an_image_depends_on_it(model):
    tokens = tokens_with_tiles(model, 2)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(2, 3, 56, 56, generator=generator)
    with torch.no_grad():
        seen, blank = model(tokens, pixels=pixels), model(tokens, pixels=torch.zeros_like(pixels))
    changed = (seen - blank).abs().amax(-1)[0]
    assert changed[:3].max() == 0
    assert changed[3:].min() > 1e-3


def test_a_second_tile_stands_behind_the_first(model):
    tokens = tokens_with_tiles(model, 2)
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    other = pixels.clone()
    other[1] += 1
    with torch.no_grad():
        before, after = model(tokens, pixels=pixels), model(tokens, pixels=other)
    changed = (before - after).abs().amax(-1)[0]
    assert changed[: 3 + PLACES].max() == 0
    assert changed[3 + PLACES :].min() > 1e-4


def test_padding_tiles_change_nothing(model):
    tokens = tokens_with_tiles(model, 1)
    pixels = torch.randn(3, 3, 56, 56, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(model(tokens, pixels=pixels), model(tokens, pixels=pixels[:1]))


def test_without_an_image_it_is_the_language_model(model):
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(model(tokens), HybridModel.forward(model, tokens))


def test_gradients_reach_every_part(text, vision):
    from corpusmill.vision.model import initialise_vision

    model = VisionLanguageModel(text, vision, 62)
    initialise_vision(model, 0)
    tokens = tokens_with_tiles(model, 1)
    model(tokens, pixels=torch.randn(1, 3, 56, 56)).square().mean().backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []
