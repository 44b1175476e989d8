"""An export is the same model in stock transformers, and its processor cuts the same tiles."""

import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.export import export, image_processor
from corpusmill.vision.model import VisionLanguageModel
from corpusmill.vision.pixels import MEAN, STANDARD_DEVIATION, open_image, tiles

SPECIAL = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}


@pytest.fixture
def folder(model, tokenizer, tmp_path):
    return export(model, tokenizer, tmp_path / "export", SPECIAL, 256, "float32")


def test_logits_equal_those_of_stock_transformers(model, folder):
    from transformers import AutoModelForImageTextToText

    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    stock, info = loaded
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokens = torch.tensor([[5, 6, *[model.image_token] * 8, 7, 8, 9]])
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = model(tokens, pixels=pixels)
        theirs = stock.eval()(input_ids=tokens, pixel_values=pixels).logits
        blank = model(tokens, pixels=torch.zeros_like(pixels))
    assert (ours - theirs).abs().max() < 1e-4
    assert (ours - blank).abs().max() > 1e-2


def test_the_tokenizer_knows_the_marks_of_images(model, folder):
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(folder)
    assert loaded.context_image_token_id == model.image_token
    assert loaded("t5 <IMG_CONTEXT> t6", add_special_tokens=False)["input_ids"] == [
        5,
        model.image_token,
        6,
    ]


def test_an_image_in_a_conversation_has_its_place(folder):
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(folder)
    content: Any = [{"type": "image"}, {"type": "text", "text": "read this"}]
    text = loaded.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    assert text == "<IMG_CONTEXT>read this"


@pytest.mark.parametrize("size", [(56, 56), (130, 60), (90, 200), (333, 111)])
def test_stock_processor_cuts_the_same_tiles(size):
    from PIL import Image
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import (
        GotOcr2ImageProcessorPil,
    )

    config = VisionConfig(tile_size=56, max_tiles=4)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    image = open_image(file.getvalue())
    settings = {k: v for k, v in image_processor(config).items() if k != "image_processor_type"}
    stock = GotOcr2ImageProcessorPil(**settings)(image, return_tensors="np")["pixel_values"]
    grid, ours = tiles(image, config)
    mean, deviation = (np.array(of).reshape(1, 3, 1, 1) for of in (MEAN, STANDARD_DEVIATION))
    normalised = (ours / 255.0 - mean) / deviation
    assert len(ours) == grid.tiles
    assert np.abs(normalised - stock).max() < 1e-4


def test_the_projector_of_the_report_is_not_exported(text, tokenizer, tmp_path):
    model = VisionLanguageModel(text, VisionConfig(projector="report"), 62)
    with pytest.raises(ModelError, match="projector: internvl"):
        export(model, tokenizer, tmp_path / "export", SPECIAL, 256)


def test_another_tokenizer_is_refused(model, tokenizer, tmp_path):
    vocabulary = json.loads((tokenizer / "tokenizer.json").read_text())
    vocabulary["model"]["vocab"]["more"] = 60
    (tokenizer / "tokenizer.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ModelError, match="image token"):
        export(model, tokenizer, tmp_path / "export", SPECIAL, 256)
