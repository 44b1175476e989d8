"""Scans read by a model of ours: the stage gives what the reader alone reads in the same images."""

import io
import json

import numpy as np
import pytest
import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.pipeline.estimate import estimate_step
from corpusmill.pipeline.recipe import Step
from corpusmill.stages.engines import model_folder
from corpusmill.stages.ocr.page_images import Cutting, pieces_of
from corpusmill.vision.export import export
from corpusmill.vision.reading import PageReader
from PIL import Image

from tests.stages.ocr.scanned import drawn, pdf_of
from tests.stages.small_corpus import rows_of, run
from tests.vision.conftest import model, text, tokenizer, vision  # noqa: F401 - fixtures

SPECIAL = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
CUT = Cutting(by="lines", width=200, height=60)
MOST = 6  # tokens of an answer


@pytest.fixture
def folder(model, tokenizer, tmp_path):  # noqa: F811
    with torch.no_grad():
        model.lm_head.weight[1] *= -4  # some answers end
    return export(model, tokenizer, tmp_path / "export", SPECIAL, 256, "float32")


@pytest.fixture
def prompt(tmp_path):
    path = tmp_path / "prompt.md"
    limits = f"limits: {{max_input_tokens: 64, max_output_tokens: {MOST}}}"
    path.write_text(f"---\nname: plain\n{limits}\n---\n{{document}}\n")
    return str(path)


def test_each_piece_gets_the_answer_to_its_own_image(folder, prompt, tmp_path):
    images = [drawn(number)[0] for number in range(2)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(images[0])
    (tmp_path / "in/b.png").write_bytes(images[1])
    engine = {"kind": "embedded", "model": str(folder), "batch_size": 3, "device": "cpu"}
    settings = {"engine": engine, "cut": CUT.model_dump(), "prompt": prompt, "page_seconds": 0}
    run("ocr", {**settings, "min_read_share": 0}, tmp_path / "out", str(tmp_path / "in"))
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 2
    reader = PageReader.load(folder)
    for row, image in zip(rows, images, strict=True):
        picture = Image.open(io.BytesIO(image)).convert("RGB")
        pieces = pieces_of(picture, np.asarray(picture.convert("L")), CUT)
        asked = ((png, "", MOST) for _, _, png in pieces)
        answers = {index: answer for index, answer, _ in reader.answers(asked)}
        ends = [answers[index].finish_reason for index in range(len(pieces))]
        assert {"stop", "length"} == set(ends)
        assert len(row["pieces"]) == len(pieces)
        for number, piece in enumerate(row["pieces"]):
            answer = answers[number]
            if ends[number] == "length":
                assert piece["reason"] == "ocr.cut_off"
                assert answer.text.strip() in piece["detail"]
            elif any(map(str.isalnum, answer.text)):
                assert row["text"][piece["start"] : piece["end"]] == answer.text.strip()
            else:
                assert piece["reason"] == "ocr.empty"
        assert row["output_tokens"] == sum(len(answer.token_ids) for answer in answers.values())
        assert row["lineage"]["model"].startswith("export@")


def test_an_answer_ends_where_the_models_positions_end(model, tokenizer, tmp_path):  # noqa: F811
    with torch.no_grad():
        model.lm_head.weight[1] *= 0
    folder = export(model, tokenizer, tmp_path / "export", SPECIAL, 256, "float32")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").write_bytes(drawn(0)[0])
    settings = {
        "engine": {"kind": "embedded", "model": str(folder), "device": "cpu"},
        "cut": CUT.model_dump(),
        "page_seconds": 0,
    }
    step = Step("ocr", "ocr", (), settings)
    seen = estimate_step(step, [str(tmp_path / "in")], "none/ocr", 1, None, None, None).lines[0]
    image = seen.prompt_tokens // seen.requests
    config["text_config"]["max_position_embeddings"] = image + 5
    (folder / "config.json").write_text(json.dumps(config))
    model_folder._read.cache_clear()
    capped = estimate_step(step, [str(tmp_path / "in")], "none/ocr", 1, None, None, None).lines[0]
    assert capped.most_output_tokens == 5 * capped.requests
    assert f"an image takes {image} tokens, which leaves 5 of" in capped.remarks[0]
    run("ocr", settings, tmp_path / "out", str(tmp_path / "in"))
    (row,) = rows_of(tmp_path / "out", "excluded")
    assert row["reason"] == "ocr.cut_off"
    assert f"takes {image} tokens, which leaves 5 of" in row["detail"]
    assert row["output_tokens"] <= 5 * row["requests"]


def test_a_model_of_text_is_refused(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf_of([drawn(0)[0]]))
    settings = {"engine": {"kind": "embedded", "model": "package:models/tiny"}}
    with pytest.raises(ModelError, match="reads no images"):
        run("ocr", settings, tmp_path / "out", str(tmp_path / "a.pdf"))
