"""train with a gauge: figures in the log, the mean of the last ones, and the same model."""

import importlib.util
import json

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.settings import build_settings
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe, run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.report.page import render
from corpusmill.stages.train.stage import Train, _figures

from tests.evaluation.tiny_models import TINY
from tests.stages.ablate.arms import TRAIN, filtered, gauge, packed, sums

needs_8_bits = pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 9),
    reason="the GPU has no 8-bit products",
)


def train(output, shards, **settings):
    step = Step("train", "train", (str(shards),), {**TRAIN, **settings})
    return run_step(step, (), str(output), InlineRunner())


@pytest.fixture
def shards(tmp_path):
    return packed(tmp_path / "sums", sums(0, 30))


def test_figures_stand_in_the_log_and_change_nothing(tmp_path, shards):
    plain = train(tmp_path / "plain", shards)
    measured = train(
        tmp_path / "measured", shards, gauge=gauge(tmp_path), gauge_every=5, gauge_last=2
    )
    assert [output.digest for output in measured.outputs] == [
        output.digest for output in plain.outputs
    ]
    records = list(map(json.loads, (tmp_path / "measured" / "log.jsonl").open()))
    curve = {record["step"]: record["figures"] for record in records if record["figures"]}
    assert list(curve) == [5, 10, 12]
    name = "sums/bits_per_byte"
    assert curve[12][name] < curve[5][name]
    found = json.loads((tmp_path / "measured" / "figures.json").read_text())
    assert (found["step"], found["mean_of_steps"]) == (12, [10, 12])
    figure = found["figures"][name]
    assert figure["last"] == curve[12][name]
    assert figure["mean"] == pytest.approx((curve[10][name] + curve[12][name]) / 2)
    assert figure["deviation"] > 0
    assert "sums/bits_per_byte: " in render(str(tmp_path / "measured"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gauge": {"tokenizer": None}}, r"gauge\.tokenizer is missing"),
        ({"gauge": {"held_out": {}}}, "gauge measures nothing"),
        ({"num_workers": 2, "shard_ranks": 2}, "sharded over processes cannot be measured"),
        ({"gauge": {"tasks": ["gsm8k"]}}, "the task gsm8k generates its answers"),
        ({"device": "cuda:99"}, "there is no device cuda:99 here"),
        ({"num_workers": 2, "device": "cuda:99"}, "there is no device cuda:99 here"),
        ({"track": ["wandb"]}, r"wandb is not installed"),
    ],
)
def test_what_cannot_work_is_found_before_an_earlier_stage_runs(
    tmp_path, shards, changes, words, monkeypatch
):
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest, find=importlib.util.find_spec: (
            None if name == "wandb" else find(name, *rest)
        ),
    )
    settings = {**TRAIN, **changes, "gauge": {**gauge(tmp_path), **changes.get("gauge", {})}}
    settings["gauge"] = {"tokenizer": "step:pack/tokenizer", **settings["gauge"]}
    lines = str(shards.with_suffix(".jsonl"))
    steps = (
        Step("pack", "pack", (lines,), {"tokenizer": str(TINY)}),
        Step("train", "train", (), settings),
    )
    with pytest.raises(CorpusmillError, match=words):
        run_recipe(
            Recipe("tried", (), steps), str(tmp_path / "out"), InlineRunner(), lambda *_: None
        )
    assert not (tmp_path / "out" / "pack" / "manifest.json").exists()


def test_devices_of_another_machine_are_not_looked_for_here(tmp_path):
    stage = build_settings(Train, {**TRAIN, "device": "cuda:99", "track": ["wandb"]})
    stage.refuse_early(here=False)


EIGHT_BITS = {
    "model": {**TRAIN["model"], "mamba_heads": 16, "head_dim": 16},  # multiples of 16 throughout
    "device": "auto",
    "precision": "fp8",
    "fp8_plain_layers": 0,
}


def stand_for_an_a100(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "An A100")


def test_a_gpu_without_products_in_8_bits_is_found_early(monkeypatch):
    stand_for_an_a100(monkeypatch)
    stage = build_settings(Train, {**TRAIN, **EIGHT_BITS})
    with pytest.raises(CorpusmillError, match=r"An A100 has no products in 8 bits; set precision"):
        stage.refuse_early(here=True)
    stage.refuse_early(here=False)


@needs_8_bits
def test_a_finished_stage_needs_no_such_gpu_again(tmp_path, shards, monkeypatch):
    settings = {**EIGHT_BITS, "steps": 2}
    made = train(tmp_path / "out", shards, **settings)
    stand_for_an_a100(monkeypatch)
    assert train(tmp_path / "out", shards, **settings) == made
    with pytest.raises(CorpusmillError, match=r"An A100 has no products in 8 bits"):
        train(tmp_path / "new", shards, **settings)


def test_a_task_without_items_is_named(tmp_path, shards):
    settings = gauge(tmp_path)
    (tmp_path / "held-sums.jsonl").write_text("")
    with pytest.raises(CorpusmillError, match=r"task sums has no item to ask.*held-sums\.jsonl"):
        train(tmp_path / "out", shards, gauge=settings)


def test_a_training_that_was_finished_before_has_nothing_to_measure(tmp_path, shards):
    with pytest.raises(CorpusmillError, match="finished before it had a gauge"):
        _figures([], last=5)


def test_held_out_text_may_be_a_stage_folder(tmp_path, shards):
    settings = gauge(tmp_path)
    train(tmp_path / "files", shards, gauge=settings)
    folder = filtered(tmp_path / "filtered", sums(40, 44))
    settings["held_out"]["sums"] = [str(folder)]
    train(tmp_path / "folder", shards, gauge=settings)
    # Only its documents are read: neither its README.md nor what it excluded.
    made = [tmp_path / name / "figures.json" for name in ("files", "folder")]
    assert made[0].read_bytes() == made[1].read_bytes()
