"""The embedded engine: the answers of stock transformers, and no row depends on its neighbours."""

import dataclasses
import json
import shutil

import pytest
import torch
from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines import embedded, transformers
from corpusmill.stages.engines.contract import in_order
from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.trainer.generation.generator import Generator
from transformers import AutoModelForCausalLM

from tests.stages.engines import tiny_model
from tests.stages.engines.seeded import TEXTS, requests_of


@pytest.fixture(scope="module")
def engine(model_folder):
    return EmbeddedEngine(model=str(model_folder), device="cpu", batch_size=3)


def test_greedy_answers_are_those_of_stock_transformers(engine, model_folder):
    stock = TransformersEngine(model=str(model_folder), device="cpu")
    requests = requests_of(engine, temperature=0.0, max_tokens=40)
    answers = in_order(engine, requests)
    assert answers == in_order(stock, requests)
    assert len({answer.text for answer in answers}) > 1


def test_requests_are_pulled_as_there_is_room(engine):
    """Each slot holds one request; an answered one is replaced at once."""
    requests = requests_of(engine, TEXTS * 2)
    pulled = []

    def stream():
        for number, request in enumerate(requests):
            pulled.append(number)
            yield dataclasses.replace(request, max_tokens=40 if number == 0 else 3 + number)

    ends = [(index, len(pulled)) for index, _ in engine.answers(stream())]
    assert sorted(index for index, _ in ends) == list(range(12))
    assert all(count <= place + 1 + engine.batch_size for place, (_, count) in enumerate(ends))
    assert ends[-1][0] != 0 or ends[0][0] != 0


def test_a_request_beyond_the_context_fails_alone(model_folder):
    engine = EmbeddedEngine(model=str(model_folder), device="cpu", context=20)
    texts = ["a", "water and salt " * 10, "b", "water and salt " * 10]
    answers = in_order(engine, requests_of(engine, texts, max_tokens=6))
    assert [answer.finish_reason for answer in answers] == ["length", "error", "length", "error"]
    assert "the model has 20" in answers[1].error


def test_the_end_token_of_the_models_files_ends_an_answer(engine, model_folder, tmp_path):
    [request] = requests_of(engine, ["bread"], temperature=0.0)
    with torch.no_grad():
        from transformers import AutoModelForCausalLM

        stock = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
        chosen = int(stock(torch.tensor([request.token_ids])).logits[0, -1].argmax())
    folder = shutil.copytree(model_folder, tmp_path / "ending")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(
        json.dumps({**settings, "eos_token_id": [2, chosen]})
    )
    [ended] = in_order(EmbeddedEngine(model=str(folder), device="cpu"), [request])
    assert (ended.text, ended.finish_reason, ended.n_output_tokens) == ("", "stop", 1)


def test_a_gpu_without_memory_gets_fewer_rows_at_a_time(model_folder, monkeypatch):
    """The memory of this one ends at two rows, or at one long answer."""
    step = Generator._step

    def short_of_memory(self, rows, news):
        if len(rows) > 2 or any(row.prompt.max_tokens == 13 for row in rows):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, rows, news)

    engine = EmbeddedEngine(model=str(model_folder), device="cpu", batch_size=16)
    requests = requests_of(engine, TEXTS * 2)
    expected = in_order(engine, requests)
    requests[4] = dataclasses.replace(requests[4], max_tokens=13)
    monkeypatch.setattr(Generator, "_step", short_of_memory)
    answers = in_order(engine, requests)
    assert "not enough memory for this request" in answers.pop(4).error
    assert answers == [*expected[:4], *expected[5:]]


def test_a_model_that_finds_no_memory_says_what_to_lower(model_folder):
    engine = EmbeddedEngine(model=str(model_folder), device="cpu", batch_size=10**11)
    requests = requests_of(EmbeddedEngine(model=str(model_folder), device="cpu"), ["bread"])
    with pytest.raises(EngineError, match=r"too little memory for .*lower the engine.s batch_size"):
        in_order(engine, requests)


def full(*_arguments, **_settings):
    raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("kind", "load", "loader", "name"),
    [
        (EmbeddedEngine, embedded.load_generator, Generator, "load"),
        (TransformersEngine, transformers._load, AutoModelForCausalLM, "from_pretrained"),
    ],
)
def test_a_gpu_that_is_full_while_the_model_loads_says_what_to_lower(
    model_folder, monkeypatch, kind, load, loader, name
):
    engine = kind(model=str(model_folder), device="cpu", batch_size=5)
    requests = requests_of(engine, ["bread"])
    load.cache_clear()
    monkeypatch.setattr(loader, name, full)
    with pytest.raises(EngineError, match=r"GPU has too little memory.*5 requests.*batch_size"):
        in_order(engine, requests)


def test_a_stop_string_ends_the_text(engine):
    [request] = requests_of(engine, ["bread"])
    text = in_order(engine, [request])[0].text
    stopped = in_order(engine, [dataclasses.replace(request, stop=("", text[5:8]))])[0]
    assert (stopped.text, stopped.finish_reason) == (text[: text.index(text[5:8])], "stop")


def test_a_model_of_another_architecture_is_sent_to_the_transformers_engine(tmp_path):
    tiny_model.save_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"of type 'llama'; .*write `kind: transformers`"):
        EmbeddedEngine(model=str(tmp_path)).identity()


def test_an_absent_folder_is_named_with_the_mend():
    with pytest.raises(ModelError, match=r"no model folder ./nowhere; check the path"):
        EmbeddedEngine(model="./nowhere").identity()


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU where there is none")
def test_asking_for_an_absent_gpu_is_refused(model_folder):
    engine = EmbeddedEngine(model=str(model_folder), device="cuda")
    with pytest.raises(EngineError, match="no GPU here; set the device"):
        in_order(engine, requests_of(engine, ["a"]))
