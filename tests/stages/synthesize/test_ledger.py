"""Answers survive a kill, and nothing else is taken for an answer."""

import os
import time
from dataclasses import replace

import pytest
from corpusmill.manifests.receipt import this_worker
from corpusmill.stages.engines.contract import Completion, Request, failed
from corpusmill.stages.synthesize.ledger import ledger

REQUEST = Request((1, 2, 3), ({"role": "user", "content": "x"},), 40, 0.5, 0.9, 7, ("END",))
ANSWER = Completion("a river\nand a \ud83d half", "stop", 3, 9)


def test_an_answer_is_there_for_the_next_run_and_an_error_is_not(tmp_path):
    with ledger(str(tmp_path / "s")) as first:
        first.add(REQUEST, ANSWER)
        first.add(replace(REQUEST, seed=8), failed("no answer within 600 s"))
    with ledger(str(tmp_path / "s")) as second:
        assert second.get(REQUEST) == ANSWER
        assert second.get(replace(REQUEST, seed=8)) is None


def test_the_time_of_each_run_is_kept_with_its_answers(tmp_path):
    for seed in (1, 2):
        with ledger(str(tmp_path)) as known:
            time.sleep(0.02)
            known.add(replace(REQUEST, seed=seed), ANSWER)
            time.sleep(0.02)
            known.add(replace(REQUEST, seed=seed + 10), ANSWER)
    with ledger(str(tmp_path)) as known:
        (first, started, seconds), (second, later, _) = known.earlier
    assert first == second == this_worker()
    assert seconds >= 0.04
    assert later >= started + seconds - 0.002


@pytest.mark.parametrize(
    "change",
    [
        {"token_ids": (1, 2)},
        {"messages": ({"role": "user", "content": "y"},)},
        {"max_tokens": 41},
        {"temperature": 0.6},
        {"top_p": 1.0},
        {"seed": 8},
        {"stop": ()},
    ],
)
def test_another_request_has_no_answer(tmp_path, change):
    with ledger(str(tmp_path)) as known:
        known.add(REQUEST, ANSWER)
    with ledger(str(tmp_path)) as known:
        assert known.get(REQUEST) == ANSWER
        assert known.get(replace(REQUEST, **change)) is None


def test_every_length_of_a_torn_tail_costs_the_last_answer_only(tmp_path):
    with ledger(str(tmp_path)) as known:
        known.add(REQUEST, ANSWER)
        whole = os.path.getsize(tmp_path / "answers.jsonl")
        known.add(replace(REQUEST, seed=8), ANSWER)
    data = (tmp_path / "answers.jsonl").read_bytes()
    for length in [*range(whole, len(data) - 1, 7), len(data) - 2]:
        (tmp_path / "answers.jsonl").write_bytes(data[:length])
        with ledger(str(tmp_path)) as again:
            assert again.get(REQUEST) == ANSWER
            assert again.get(replace(REQUEST, seed=8)) is None
            again.add(replace(REQUEST, seed=9), ANSWER)
        with ledger(str(tmp_path)) as after:
            assert after.get(REQUEST) == after.get(replace(REQUEST, seed=9)) == ANSWER


def test_an_answer_that_lost_its_line_end_alone_is_whole(tmp_path):
    with ledger(str(tmp_path)) as known:
        known.add(REQUEST, ANSWER)
    file = tmp_path / "answers.jsonl"
    file.write_bytes(file.read_bytes()[:-1])
    with ledger(str(tmp_path)) as again:
        assert again.get(REQUEST) == ANSWER
        again.add(replace(REQUEST, seed=8), ANSWER)
    with ledger(str(tmp_path)) as after:
        assert after.get(REQUEST) == after.get(replace(REQUEST, seed=8)) == ANSWER


def test_a_damaged_answer_is_asked_for_again(tmp_path):
    with ledger(str(tmp_path)) as known:
        known.add(REQUEST, ANSWER)
        known.add(replace(REQUEST, seed=8), ANSWER)
    file = tmp_path / "answers.jsonl"
    file.write_bytes(file.read_bytes().replace(b"river", b"rover", 1))
    with ledger(str(tmp_path)) as again:
        assert again.get(REQUEST) is None
        assert again.get(replace(REQUEST, seed=8)) == ANSWER
