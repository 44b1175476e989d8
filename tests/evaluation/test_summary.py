"""Figures and their errors, by hand."""

import math

import pytest
from corpusmill.evaluation.questions import Question
from corpusmill.evaluation.results import of_scores
from corpusmill.evaluation.scoring import Score
from corpusmill.evaluation.summary import summary
from corpusmill.evaluation.task import ChoiceTask, ItemFile, TextTask

FILES = (ItemFile(path="x"),)
CHOICE = ChoiceTask(name="c", files=FILES, choices="choices", gold="gold")
TEXT = TextTask(name="t", files=FILES)


def scored(values, gold=0, choices=("a", "bb", "cccc"), task=CHOICE, domain=""):
    question = Question(0, "0", domain, choices=choices, gold=gold)
    return of_scores(task, question, [Score(value, False, 1) for value in values])


def test_the_choice_per_byte_may_differ_and_the_first_of_equal_ones_counts():
    record = scored([-4.0, -6.0, -8.0], gold=2)
    assert (record["chosen"], record["chosen_per_byte"]) == (0, 2)
    assert (record["right"], record["right_per_byte"]) == (False, True)
    assert scored([-4.0, -4.0, -9.0])["chosen"] == 0


def test_bytes_are_counted_and_not_characters():
    record = scored([-2.0, -2.0], choices=("é", "e"))
    assert record["bytes"] == [2, 1]
    assert record["chosen_per_byte"] == 0


def test_accuracy_has_the_standard_error_of_a_mean():
    records = [scored([-1.0, -2.0, -3.0], gold=gold) for gold in (0, 0, 1, 2)]
    line = summary("multiple_choice", records)[0]
    assert (line.value, line.items) == (0.5, 4)
    assert line.error == pytest.approx(math.sqrt((4 * 0.25 / 3) / 4))


def test_bits_of_the_right_choice_are_per_byte():
    lines = {
        line.metric: line
        for line in summary("multiple_choice", [scored([0, -math.log(16), 0], gold=1)])
    }
    assert lines["gold_bits_per_byte"].value == pytest.approx(4 / 2)
    assert lines["gold_bits_per_byte"].error is None


def test_texts_are_summed_over_windows_and_weighted_by_their_bytes():
    records = [
        scored([-math.log(2) * 4] * 2, choices=("x" * 8,), task=TEXT, domain="a"),
        scored([-math.log(2) * 8], choices=("x" * 2,), task=TEXT, domain="b"),
    ]
    lines = {line.domain: line for line in summary("text", records)}
    assert lines[""].value == pytest.approx(16 / 10)
    assert (lines["a"].value, lines["b"].value) == pytest.approx((1.0, 4.0))


def test_what_is_not_a_number_has_no_score():
    record = scored([-1.0, math.nan, -2.0])
    assert record["reason"] == "error_not_finite"
    assert summary("multiple_choice", [record]) == []
