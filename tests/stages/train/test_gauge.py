"""train with a gauge: figures in the log, the mean of the last ones, and the same model."""

import json

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.report.page import render

from tests.stages.ablate.arms import TRAIN, gauge, packed, sums


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


def test_a_gauge_without_a_tokenizer_is_refused(tmp_path, shards):
    settings = {**gauge(tmp_path), "tokenizer": None}
    with pytest.raises(CorpusmillError, match=r"gauge\.tokenizer is missing"):
        train(tmp_path / "out", shards, gauge=settings)
