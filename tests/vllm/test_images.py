"""A model that reads images, exported and served by stock vLLM, against stock transformers."""

import base64
import io
import json
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from corpusmill.trainer.shape import HybridConfig
from corpusmill.vision.config import VisionConfig
from corpusmill.vision.export import export
from corpusmill.vision.model import VisionLanguageModel, initialise_vision
from corpusmill.vision.pixels import open_image, tiles
from corpusmill.vision.tokens import with_image_tokens
from PIL import Image, ImageDraw

from tests.stages.engines import tiny_model
from tests.vllm.serving import served

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

CONTEXT = 256
VISION = VisionConfig(
    hidden_size=32, layers=2, heads=4, ffn_size=64, tile_size=56, max_tiles=4, tile_tags=False
)
QUESTION = "The river"
PATH = Path(__file__).parent / "with_torchvision"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An export whose image and text both decide the answer."""
    work = tmp_path_factory.mktemp("images")
    tokenizer = tiny_model.save_tokenizer(work / "tokenizer", chat_template=None)
    files = {path.name: path.read_bytes() for path in tokenizer.iterdir()}
    _, marks = with_image_tokens(files)
    text = HybridConfig(
        pattern="M-M*-",
        hidden_size=64,
        ffn_size=128,
        attention_heads=2,
        key_value_heads=1,
        head_dim=64,
        mamba_heads=4,
        mamba_head_dim=32,
        mamba_groups=1,
        mamba_state=32,
        vocab_size=tiny_model.VOCABULARY + 8,
        chunk_size=64,
    )
    model = VisionLanguageModel(text, VISION, marks.place).eval()
    initialise_vision(model, seed=3)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    special: dict[str, int | None] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    return export(model, tokenizer, work / "export", special, CONTEXT, "float32")


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    """The address of a vLLM server (the command of docs/vision.md), in float32."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    options = ("--mamba-block-size", str(CONTEXT), "--dtype", "float32")
    path = os.pathsep.join(filter(None, [str(PATH), os.environ.get("PYTHONPATH")]))
    with served(folder, "reader", CONTEXT, log, options, {"PYTHONPATH": path}) as url:
        yield url


@pytest.fixture(scope="module")
def stock(folder) -> Iterator[tuple[Any, Any]]:
    """(model, tokenizer) of stock transformers, which imports torchvision if it is there."""
    before, supported = list(sys.path), torch.cpu._is_avx512_bf16_supported
    kept = runpy.run_path(str(PATH / "sitecustomize.py"))  # its operators live as long as this
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    yield model.eval(), AutoTokenizer.from_pretrained(folder)
    del kept
    # Engines that later tests start inherit the path, and would find torchvision without operators.
    sys.path[:], torch.cpu._is_avx512_bf16_supported = before, supported


def page(text: str, size: tuple[int, int]) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((4, 4), text, fill="black")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def asked(server: str, image: bytes, tokens: int) -> list[dict[str, Any]]:
    """The greedy answer to an image and a question: its tokens with log-probabilities."""
    address = "data:image/png;base64," + base64.b64encode(image).decode()
    content = [
        {"type": "image_url", "image_url": {"url": address}},
        {"type": "text", "text": QUESTION},
    ]
    answer = httpx.post(
        f"{server}/chat/completions",
        json={
            "model": "reader",
            "messages": [{"role": "user", "content": content}],
            "max_tokens": tokens,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": 5,
            "return_tokens_as_token_ids": True,
        },
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["choices"][0]["logprobs"]["content"]
    return found


def numbered(entries: list[dict[str, Any]]) -> dict[int, float]:
    """Token id -> log-probability."""
    return {int(entry["token"].removeprefix("token_id:")): entry["logprob"] for entry in entries}


@pytest.mark.parametrize("size", [(56, 56), (130, 60), (60, 120)])
def test_log_probabilities_with_an_image_equal_those_of_transformers(server, stock, size):
    model, tokenizer = stock
    image = page("a mill", size)
    answer = asked(server, image, 12)
    _, pixels = tiles(open_image(image), VISION)
    places = len(pixels) * VISION.tokens_per_tile
    marked = "<img>" + "<IMG_CONTEXT>" * places + "</img>" + QUESTION
    prompt = tokenizer(marked, add_special_tokens=False)["input_ids"]
    mean, deviation = (
        np.array(of).reshape(1, 3, 1, 1) for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    normalised = torch.from_numpy(((pixels / 255.0 - mean) / deviation).astype(np.float32))
    chosen = [next(iter(numbered([entry]))) for entry in answer]
    with torch.inference_mode():
        logits = model(
            input_ids=torch.tensor([[*prompt, *chosen]]), pixel_values=normalised
        ).logits[0]
    logs = logits[len(prompt) - 1 : -1].log_softmax(-1)
    assert chosen == logs.argmax(-1).tolist()
    for entry, expected in zip(answer, logs, strict=True):
        for token, log in numbered(entry["top_logprobs"]).items():
            assert abs(log - expected[token].item()) < 1e-3


def test_a_blanked_image_changes_the_answer(server):
    seen = asked(server, page("a mill", (56, 56)), 1)
    blank = asked(server, page("", (56, 56)), 1)
    first, second = (numbered(answer[0]["top_logprobs"]) for answer in (seen, blank))
    assert max(abs(log - second.get(token, -99)) for token, log in first.items()) > 0.02


def test_a_file_that_is_no_image_is_refused_and_the_server_goes_on(server):
    address = "data:image/png;base64," + base64.b64encode(b"\x89PNG broken").decode()
    content = [{"type": "image_url", "image_url": {"url": address}}]
    body = {"model": "reader", "messages": [{"role": "user", "content": content}]}
    refused = httpx.post(f"{server}/chat/completions", content=json.dumps(body), timeout=60)
    assert refused.status_code in (400, 415, 422, 500)
    assert asked(server, page("", (56, 56)), 1)
