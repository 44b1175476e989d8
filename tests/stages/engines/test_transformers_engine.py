"""The embedded engine: a row's text does not depend on the other rows of its batch."""

import dataclasses
import json
import shutil

import pytest
import torch
from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines import model_folder as folders
from corpusmill.stages.engines import transformers
from corpusmill.stages.engines.contract import in_order
from corpusmill.stages.engines.sampling import SeededSampling, keep_nucleus
from corpusmill.stages.engines.transformers import TransformersEngine

from tests.stages.engines.seeded import TEXTS, requests_of


@pytest.fixture(scope="module")
def engine(model_folder):
    return TransformersEngine(model=str(model_folder), device="cpu", batch_size=4)


def test_each_row_is_cut_at_its_own_limit(engine):
    short, long = requests_of(engine, ["bread", "water"])
    answers = in_order(
        engine, [dataclasses.replace(short, max_tokens=3), dataclasses.replace(long, max_tokens=9)]
    )
    assert [(answer.finish_reason, answer.n_output_tokens) for answer in answers] == [
        ("length", 3),
        ("length", 9),
    ]


def test_an_end_token_ends_the_answer(engine, model_folder):
    from corpusmill.stages.engines import transformers as module

    model = module._load(str(model_folder), "cpu", "auto", 1)
    request = requests_of(engine, ["bread"], temperature=0.0)[0]
    plain = in_order(engine, [request])[0]
    with torch.no_grad():
        chosen = model(torch.tensor([request.token_ids])).logits[0, -1].argmax()
    model.generation_config.eos_token_id = [2, int(chosen)]
    try:
        ended = in_order(engine, [request])[0]
    finally:
        model.generation_config.eos_token_id = 2
    assert plain.finish_reason == "length"
    assert (ended.text, ended.finish_reason, ended.n_output_tokens) == ("", "stop", 1)


def test_what_the_models_files_say_about_sampling_changes_nothing(engine, model_folder, tmp_path):
    import json
    import shutil

    other = shutil.copytree(model_folder, tmp_path / "model")
    settings = json.loads((other / "generation_config.json").read_text())
    settings |= {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2, "do_sample": True}
    settings |= {"temperature": 0.7, "top_k": 20, "eos_token_id": [2, 7]}
    (other / "generation_config.json").write_text(json.dumps(settings))
    penalised = TransformersEngine(model=str(other), device="cpu", batch_size=4)
    requests = requests_of(engine, TEXTS, max_tokens=30)
    expected = in_order(engine, requests)
    found = in_order(penalised, requests)
    assert [answer.text for answer in found if answer.finish_reason == "length"] == [
        theirs.text
        for theirs, ours in zip(expected, found, strict=True)
        if ours.finish_reason == "length"
    ]
    assert sum(answer.finish_reason == "length" for answer in found) >= 3


def test_a_stop_string_ends_the_text(engine):
    request = requests_of(engine, ["bread"])[0]
    text = in_order(engine, [request])[0].text
    stopped = in_order(engine, [dataclasses.replace(request, stop=(text[5:8],))])[0]
    assert (stopped.text, stopped.finish_reason) == (text[: text.index(text[5:8])], "stop")


def test_a_request_beyond_the_context_fails_alone(model_folder):
    engine = TransformersEngine(model=str(model_folder), device="cpu", context=20)
    answers = in_order(
        engine, requests_of(engine, ["a", "water and salt " * 10, "b"], max_tokens=6)
    )
    assert [answer.finish_reason for answer in answers] == ["length", "error", "length"]
    assert "the model has 20" in answers[1].error


def test_the_context_is_what_the_model_declares(engine):
    assert engine.context_length() == 2048


def test_a_batch_that_is_too_large_for_the_gpu_is_halved(engine, monkeypatch):
    generate = transformers._generate_batch

    def short_of_memory(model, tokenizer, batch):
        if len(batch) > 1 or batch[0].seed == 102:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(model, tokenizer, batch)

    requests = requests_of(engine, TEXTS)
    expected = in_order(engine, requests)
    monkeypatch.setattr(transformers, "_generate_batch", short_of_memory)
    answers = in_order(engine, requests)
    assert "not enough memory for this request" in answers.pop(2).error
    assert answers == [*expected[:2], *expected[3:]]


def test_a_machine_that_is_full_while_the_model_loads_says_what_to_lower(
    model_folder, tmp_path, monkeypatch
):
    from transformers import AutoModelForCausalLM

    other = shutil.copytree(model_folder, tmp_path / "model")  # not loaded in this process before
    monkeypatch.setattr(
        AutoModelForCausalLM, "from_pretrained", lambda *_, **__: torch.empty(1 << 60)
    )
    engine = TransformersEngine(model=str(other), device="cpu", batch_size=4)
    with pytest.raises(EngineError, match=r"machine has too little memory.*lower the engine.s"):
        in_order(engine, requests_of(engine, ["a"]))


def test_the_identity_follows_the_weights_and_not_the_path(model_folder, tmp_path):
    copy = shutil.copytree(model_folder, tmp_path / "elsewhere" / model_folder.name)
    assert folders.identity(str(copy)) == folders.identity(str(model_folder))
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert folders.identity(str(copy)) != folders.identity(str(model_folder))


def test_the_identity_follows_the_tokens_that_end_an_answer(model_folder, tmp_path):
    copy = shutil.copytree(model_folder, tmp_path / model_folder.name)
    file = copy / "generation_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "eos_token_id": [2, 5]}))
    assert folders.identity(str(copy)) != folders.identity(str(model_folder))


def test_a_hybrid_is_known_by_its_settings(model_folder, tmp_path):
    assert folders.is_hybrid(str(model_folder))
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 64}')
    assert not folders.is_hybrid(str(tmp_path))


def test_an_absent_folder_is_named_with_the_mend():
    with pytest.raises(ModelError, match=r"no model folder ./nowhere; check the path"):
        TransformersEngine(model="./nowhere").identity()


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="holds no weights"):
        TransformersEngine(model=str(tmp_path)).identity()


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU where there is none")
def test_asking_for_an_absent_gpu_is_refused(model_folder):
    engine = TransformersEngine(model=str(model_folder), device="cuda")
    with pytest.raises(EngineError, match=r"no GPU here; set engine\.device"):
        in_order(engine, requests_of(engine, ["a"]))


def test_seeded_sampling_draws_from_the_nucleus_in_proportion():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    draws = torch.zeros(4)
    for seed in range(4000):
        draws[SeededSampling([1.0], [0.9], [seed], "cpu")(torch.empty(1, 0), logits).argmax()] += 1
    expected = torch.tensor([0.5, 0.3, 0.15, 0.0]) / 0.95
    assert torch.allclose(draws / 4000, expected, atol=0.025)
    assert draws[3] == 0


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    kept = [
        int(torch.isfinite(keep_nucleus(logits, torch.tensor([p]))).sum())
        for p in (1e-6, 0.49, 0.6, 0.9, 1.0)
    ]
    assert kept == [1, 1, 2, 3, 4]
