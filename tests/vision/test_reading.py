"""Reading an image goes on from its tokens as stock transformers does."""

import io

import numpy as np
import pytest
import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.vision.build import load_export
from corpusmill.vision.export import export
from corpusmill.vision.pixels import ImageError
from corpusmill.vision.reading import PageReader
from PIL import Image

SPECIAL = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}


@pytest.fixture
def folder(model, tokenizer, tmp_path):
    return export(model, tokenizer, tmp_path / "export", SPECIAL, 256, "float32")


def picture(seed, size=(56, 56)):
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def test_text_is_that_of_stock_transformers(model, folder):
    from transformers import AutoModelForImageTextToText

    stock = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    reader = PageReader.load(folder)
    images = [picture(0), picture(1, (56, 112)), picture(2)]
    read = dict(reader.read(images, 12))
    assert len(set(read.values())) > 1
    for index, image in enumerate(images):
        prompt = reader._prompt(image, "", 12)
        embedded = prompt.embedded
        assert embedded is not None
        with torch.inference_mode():
            made = stock.generate(
                inputs_embeds=embedded.unsqueeze(0),
                attention_mask=torch.ones(1, len(prompt.token_ids), dtype=torch.long),
                max_new_tokens=12,
                do_sample=False,
            )[0].tolist()
        ended = made.index(1) if 1 in made else len(made)
        assert read[index] == reader.tokenizer.decode(made[:ended])


def test_a_question_stands_behind_the_image_as_packing_puts_it(model, folder):
    reader = PageReader.load(folder)
    bare = reader._prompt(picture(0), "", 4).token_ids
    asked = reader._prompt(picture(0), "t7 <img> t9", 4).token_ids
    assert asked == (*bare, 7, 2, 9)  # what looks like a mark is an unknown word
    both = dict(reader.read([picture(0)] * 2, 12, ["t7", "t30 t31"]))
    assert dict(reader.read([picture(0)], 12, ["t30 t31"]))[0] == both[1] != both[0]


def test_an_export_loads_again_with_the_same_weights(model, folder):
    again = load_export(folder)
    wanted = dict(model.named_parameters())
    assert again.image_token == model.image_token
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, wanted[name]), name


def test_a_bad_image_has_its_reason(folder):
    with pytest.raises(ImageError, match="unreadable"):
        list(PageReader.load(folder).read([b"no image"], 4))


def test_another_tokenizer_is_refused(folder, tokenizer):
    with pytest.raises(ModelError, match="image token"):
        PageReader.load(folder, tokenizer)
