"""vLLM under an evaluation, as far as it goes without vLLM: settings, ties, engines that die."""

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError, EngineError
from corpusmill.stages.engines import vllm as vllm_engine
from corpusmill.stages.evaluate import stage, vllm
from corpusmill.stages.evaluate.stage import Evaluate

from tests.evaluation.tiny_models import TINY, llama_folder


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"vllm": {"tensor_paralel_size": 2}}, r"evaluate\.vllm\.tensor_paralel_size"),
        ({"vllm": {"in_flight": 0}}, r"evaluate\.vllm\.in_flight is 0"),
        ({"vllm": {"model": "x"}}, r"vllm\.model is set; leave it out: the model is the stage"),
        ({"vllm": {"kind": "vllm"}}, r"vllm\.kind is set; leave it out"),
        ({"vllm": {"context": 64}}, r"vllm\.context is set; set evaluate\.context instead"),
        ({"vllm": {"dtype": "auto"}}, r"vllm\.dtype is set; set evaluate\.dtype instead"),
        ({"vllm": {"in_flight": 9}, "runtime": "auto"}, "vllm is set, and runtime is auto"),
    ],
)
def test_settings_that_vllm_cannot_have_are_refused_at_once(settings, says):
    with pytest.raises(CorpusmillError, match=says):
        Evaluate(**{"runtime": "vllm", **settings})


def test_vllm_reads_two_tokens_less_than_a_model_declares(tmp_path):
    folder = llama_folder(tmp_path / "model")

    def read(context):
        settings = Evaluate(runtime="vllm", context=context)
        tokenizer = settings.checked_tokenizer(str(folder))
        return settings.reading(tokenizer, settings.model(folder, tokenizer)).context

    assert [read(context) for context in (None, 64, 126)] == [126, 64, 126]
    with pytest.raises(CorpusmillError, match="can read 126 tokens at most; set it to 126 or less"):
        read(127)
    settings = Evaluate(runtime="vllm")
    with pytest.raises(CorpusmillError, match="is no model for vLLM; name the output of"):
        settings.model(tmp_path, settings.checked_tokenizer(str(TINY)))


def test_a_missing_vllm_or_one_for_other_devices_is_missed_before_the_run(monkeypatch):
    there: dict[str, object] = {}
    monkeypatch.setattr(importlib.util, "find_spec", there.get)
    with pytest.raises(EngineError, match="vLLM is not installed here"):
        Evaluate(runtime="vllm").refuse_early(here=True)
    Evaluate(runtime="vllm").refuse_early(here=False)
    Evaluate().refuse_early(here=True)
    there["vllm"] = object()
    Evaluate(runtime="vllm").refuse_early(here=True)
    monkeypatch.setattr(stage, "runs_on_cpu", lambda: False)
    with pytest.raises(EngineError, match="this vLLM is for GPUs; set"):
        Evaluate(runtime="vllm", device="cpu").refuse_early(here=True)
    monkeypatch.setattr(stage, "runs_on_cpu", lambda: True)
    Evaluate(runtime="vllm", device="cpu").refuse_early(here=True)


@pytest.mark.parametrize(
    ("values", "likeliest"),
    [({7: -0.5}, True), ({7: -0.5, 3: -0.5}, True), ({7: -0.6, 3: -0.5}, False)],
)
def test_a_token_that_ties_with_the_likeliest_is_the_likeliest(values, likeliest):
    step = {token: SimpleNamespace(logprob=value, rank=2) for token, value in values.items()}
    assert vllm._likelihood(step, 7) == (values[7], likeliest)


class Engines:
    """Engines by number. `died` of them die of their third request."""

    in_flight = 2

    def __init__(self, folder, died):
        self.model, self.died, self.number = str(folder), died, 0

    def context_length(self):
        return 128

    def started(self, dead=None):
        if vllm_engine.running.get("mortal") in (None, dead):
            self.number += 1
            vllm_engine.running["mortal"] = SimpleNamespace(
                number=self.number, asked=0, shutdown=lambda: None
            )
        return vllm_engine.running["mortal"]

    async def likelihoods(self, model, request):
        model.asked += 1
        if model.number <= self.died and model.asked == 3:
            raise vllm._Died
        return [(-float(token), token == 1) for token in request.token_ids[1:]]


@pytest.mark.parametrize(("died", "started"), [(0, 1), (1, 2), (2, 3)])
def test_an_engine_that_dies_is_replaced_and_never_used_again(tmp_path, monkeypatch, died, started):
    monkeypatch.setattr(vllm_engine, "running", {})
    engines: Any = Engines(llama_folder(tmp_path / "model"), died)
    monkeypatch.setattr(vllm, "_likelihoods", engines.likelihoods)
    scorer = vllm.VLLMScorer(engines)
    rows_N, places_N = torch.arange(5), torch.zeros(5, dtype=torch.long)
    asked = (torch.ones(5, 1, dtype=torch.long), rows_N, places_N, torch.arange(5))
    if died == 2:
        with pytest.raises(
            EngineError, match=r"died twice.*lower evaluate\.context, evaluate\.vllm"
        ):
            scorer.token_scores(*asked)
    found_N, greedy_N = scorer.token_scores(*asked)
    assert found_N.tolist() == [0, -1, -2, -3, -4]
    assert greedy_N.tolist() == [False, True, False, False, False]
    assert engines.number == started
