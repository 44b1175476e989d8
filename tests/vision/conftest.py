"""A small vision-language model and a tokenizer for it."""

import json

import pytest
import torch
from corpusmill.trainer.shape import HybridConfig
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.model import VisionLanguageModel, initialise_vision
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

WORDS = 60  # of the tokenizer, before the tokens of images


@pytest.fixture
def vision():
    return VisionConfig(
        hidden_size=32, layers=2, heads=4, ffn_size=64, tile_size=56, max_tiles=4, tile_tags=False
    )


@pytest.fixture
def text():
    return HybridConfig(
        pattern="M-M*-",
        hidden_size=48,
        ffn_size=80,
        attention_heads=4,
        key_value_heads=2,
        head_dim=16,
        mamba_heads=6,
        mamba_head_dim=16,
        mamba_groups=2,
        mamba_state=8,
        vocab_size=WORDS + 4,
        chunk_size=16,
    )


@pytest.fixture
def model(text, vision):
    """Weights well away from their first values, so that every part decides the logits."""
    model = VisionLanguageModel(text, vision, image_token=WORDS + 2).eval()
    initialise_vision(model, seed=3)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture
def tokenizer(tmp_path):
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    vocabulary = {"<s>": 0, "</s>": 1, **{f"t{number}": number for number in range(2, WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="t2"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
