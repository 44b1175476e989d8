"""Figures while a model trains: as from a folder, and averaged over checkpoints."""

import pytest
import torch
from corpusmill.evaluation import task as task_files
from corpusmill.evaluation.gauge import Gauge, last_mean, named
from corpusmill.evaluation.questions import build
from corpusmill.evaluation.run import Reading
from corpusmill.evaluation.summary import Line

from tests.evaluation.test_scoring import Letters
from tests.evaluation.tiny_models import hybrid_model

TASK = """
name: words
kind: last_word
files: [{path: words.jsonl}]
context: "{{ context }}"
continuation: " {{ word }}"
"""


def test_a_gauge_follows_the_model_and_leaves_it_as_it_was():
    task = task_files.parse(TASK.encode(), "/words.yaml")
    questions = build(task, [{"context": "one two", "word": "three"}], {})
    gauge = Gauge([(task, questions)], Reading(Letters(), (), 1, None))
    model = hybrid_model().train()
    before = gauge.read(model)
    assert gauge.read(model) == before
    assert model.training
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    assert gauge.read(model) != before


def test_the_last_checkpoints_give_a_mean_and_a_spread():
    curve = {100: {"t/accuracy": 0.0}, 200: {"t/accuracy": 0.2}, 300: {"t/accuracy": 0.4}}
    assert last_mean(curve, 2)["t/accuracy"] == pytest.approx((0.3, 0.02**0.5))
    assert last_mean(curve, 1) == {"t/accuracy": (0.4, None)}
    assert last_mean({100: {"t/accuracy": 0.5}, 200: {}}, 2) == {}


def test_a_figure_has_a_name():
    lines = [Line("t", "", "accuracy", 0.5, 0.1, 50), Line("t", "web", "accuracy", 0.4, 0.1, 20)]
    assert named(lines) == {"t/accuracy": 0.5, "t/web/accuracy": 0.4}
