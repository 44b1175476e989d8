"""An evaluation in vLLM gives the scores and answers of the trainer's own model."""

import json

import pyarrow.parquet as pq
import pytest
import torch
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.evaluate.vllm import VLLMScorer

from tests.vllm.conftest import CONTEXT, SENTENCES
from tests.vllm.test_replaced_engine import kill_its_process

TASKS = {
    "quiz": """
kind: multiple_choice
context: "{{ question }}"
choices: choices
gold: gold
""",
    "letters": """
kind: multiple_choice
context: "Which one? {{ question }}"
choices: "['A', 'B', 'C']"
gold: gold
""",
    "whole": "kind: text\ntext: \"{{ question }} {{ choices | join(' ') }}\"\n",
    "answers": 'kind: answer\ncontext: "{{ question }}"\nanswer: choices\nmax_tokens: 8\n',
}


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_scores_and_answers_are_those_of_the_trainers_model(exported, embedded, tmp_path):
    rows = [
        {"question": question, "choices": SENTENCES[:3], "gold": number % 3}
        for number, question in enumerate(
            ["The river", "A mould", "", "Bread " * 40, "sea " * 2000]
        )
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in TASKS.items():
        head = f"name: {name}\nfiles: [{{path: rows.jsonl}}]\n"
        (tmp_path / f"{name}.yaml").write_text(head + text)
    # The settings of `embedded`, so that its engine serves here, too.
    settings = {
        "tasks": [str(tmp_path / f"{name}.yaml") for name in TASKS],
        "context": CONTEXT - 2,
        "dtype": "float32",
        "device": "cpu",
    }
    found = {}
    for runtime, more in (("trainer", {}), ("vllm", {"vllm": {"enforce_eager": True}})):
        step = Step(
            "evaluate", "evaluate", (str(exported),), {**settings, "runtime": runtime, **more}
        )
        run_step(step, (), str(tmp_path / runtime), InlineRunner())
        found[runtime] = {
            name: pq.read_table(tmp_path / runtime / "items" / f"{name}.parquet").to_pylist()
            for name in TASKS
        }
    for name in TASKS:
        for mine, other in zip(found["vllm"][name], found["trainer"][name], strict=True):
            values, expected = mine.pop("loglikelihoods"), other.pop("loglikelihoods")
            assert mine == other
            assert values is None or values == pytest.approx(expected, abs=1e-3)
    assert [row["reason"] for row in found["vllm"]["quiz"]] == [None] * 4 + ["too_long"]
    assert all(row["answer"] for row in found["vllm"]["answers"][:4])


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_an_engine_that_dies_is_replaced_before_the_next_task(embedded):
    scorer = VLLMScorer(embedded)
    ids = embedded.tokenizer().text_ids(" ".join(SENTENCES))
    tokens_1T, places_T = torch.tensor([ids[:-1]]), torch.arange(len(ids) - 1)
    asked = (tokens_1T, torch.zeros_like(places_T), places_T, torch.tensor(ids[1:]))
    before_T, likeliest_T = scorer.token_scores(*asked)
    first = embedded.started()
    kill_its_process()
    after_T, again_T = scorer.token_scores(*asked)
    assert embedded.started() is not first
    assert torch.allclose(before_T, after_T, atol=1e-4)
    assert torch.equal(likeliest_T, again_T)
