"""Figures while a model trains: as from a folder, and averaged over checkpoints."""

import pytest
import torch
from corpusmill.evaluation import task as task_files
from corpusmill.evaluation.gauge import Gauge, last_mean
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
    def lines(value):
        return [Line("t", "", "accuracy", value, 0.1, 50)]

    curve = {100: lines(0.0), 200: lines(0.2), 300: lines(0.4)}
    (line,) = last_mean(curve, 2)
    assert line.value == pytest.approx(0.3)
    assert line.error == pytest.approx(0.02**0.5)
    assert last_mean({100: lines(0.5), 200: []}, 2) == []
    assert last_mean(curve, 1)[0].error is None
