"""The verb evaluate: every item accounted for, figures written, bad models and tasks refused."""

import json
import platform

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.evaluation import task as task_files
from corpusmill.evaluation.models import load
from corpusmill.manifests.errors import CorpusmillError, ModelError
from corpusmill.manifests.looking.verify import verify
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

from tests.command_line import corpusmill
from tests.evaluation.tiny_models import (
    TINY,
    VOCABULARY,
    add_tokenizer,
    hybrid_folder,
    hybrid_model,
    llama_folder,
)

CHOICE = """
name: quiz
kind: multiple_choice
files: [{path: quiz.jsonl}]
context: "{{ question }}"
choices: choices
gold: gold
domain: subject
"""
LAST = """
name: word
kind: last_word
files: [{path: word.jsonl}]
context: "{{ context }}"
continuation: " {{ word }}"
"""
SUMS = """
name: sums
kind: answer
files: [{path: sums.jsonl}]
context: "{{ question }}"
answer: answer
max_tokens: 4
compare: number
"""
CODE = """
name: code
kind: code
files: [{path: code.jsonl}]
context: "{{ prompt }}"
program: "{{ test }}\\n"
max_tokens: 2
"""
ROWS: dict[str, list[dict[str, object]]] = {
    "quiz": [
        {"question": "One", "choices": ["a", "bee"], "gold": 0, "subject": "x"},
        {"question": "Two", "choices": ["a", "bee"], "gold": 5, "subject": "x"},
        {"question": "long " * 200, "choices": ["a", "b"], "gold": 1, "subject": "y"},
        {"question": "Three", "choices": ["red", "blue", "green"], "gold": 2, "subject": "y"},
    ],
    "word": [{"context": "It was the best of", "word": "times"}],
    "sums": [{"question": "1 + 1 =", "answer": "2"}, {"question": "2 + 2 =", "answer": 4}],
    "code": [
        {"prompt": "x", "test": "assert 1"},
        {"prompt": "x", "test": "while True: pass"},
        {"prompt": "x", "test": "open('f', 'w')"},
    ],
}


@pytest.fixture
def tasks(tmp_path):
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, text in {"quiz": CHOICE, "word": LAST, "sums": SUMS, "code": CODE}.items():
        (folder / f"{name}.yaml").write_text(text)
        lines = [json.dumps(row) for row in ROWS[name]]
        (folder / f"{name}.jsonl").write_text("\n".join([*lines, ""]))
    load.cache_clear()
    return folder


def evaluate(model, output, **settings):
    step = Step("evaluate", "evaluate", (str(model),), {"device": "cpu", **settings})
    return run_step(step, (), str(output), InlineRunner())


def items(output, task):
    return pq.read_table(output / "items" / f"{task}.parquet").to_pylist()


def figures(output, task):
    found = json.loads((output / "summary" / f"{task}.json").read_text())
    return {(line["domain"], line["metric"]): line for line in found["lines"]}, found


def test_a_model_that_reads_images_is_refused_up_front(tasks, tmp_path):
    folder = hybrid_folder(tmp_path / "model")
    found = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**found, "model_type": "internvl"}))
    with pytest.raises(ModelError, match=r"reads images; .*give the export of its language model"):
        evaluate(folder, tmp_path / "out", tasks=[str(tasks / "quiz.yaml")])


def test_every_item_ends_as_a_row_with_a_score_or_a_reason(tasks, tmp_path):
    manifest = evaluate(
        hybrid_folder(tmp_path / "model"), tmp_path / "out", tasks=[str(tasks / "quiz.yaml")]
    )
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept, counts.failed) == (4, 2, 1)
    assert (counts.excluded, counts.failures) == ({"too_long": 1}, {"error_item": 1})
    rows = items(tmp_path / "out", "quiz")
    assert [row["reason"] for row in rows] == [None, "error_item", "too_long", None]
    assert rows[1]["detail"] == "gold is 5, and there are 2 choices"
    assert rows[2]["detail"].endswith("tokens, the model has 128")
    assert len(rows[3]["loglikelihoods"]) == 3
    assert rows[3]["bytes"] == [3, 4, 5]
    lines, found = figures(tmp_path / "out", "quiz")
    assert lines["", "accuracy"]["items"] == 2
    assert lines["y", "gold_bits_per_byte"]["items"] == 1
    assert found["unscored"] == {"too_long": 1, "error_item": 1}
    assert not verify(str(tmp_path / "out")).problems


def test_half_a_surrogate_pair_costs_its_row_only(tasks, tmp_path):
    with (tasks / "quiz.jsonl").open("a") as file:
        file.write('{"question": "\\ud800", "choices": ["a", "b"], "gold": 0, "subject": "x"}\n')
    evaluate(hybrid_folder(tmp_path / "model"), tmp_path / "out", tasks=[str(tasks / "quiz.yaml")])
    rows = items(tmp_path / "out", "quiz")
    assert (rows[4]["reason"], rows[3]["reason"]) == ("error_item", None)
    assert "half of a surrogate pair" in rows[4]["detail"]


def test_a_folder_of_tasks_may_be_named_without_a_slash(tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tasks.parent)
    assert [task.name for task in task_files.load(("tasks",))] == ["code", "quiz", "sums", "word"]
    with pytest.raises(CorpusmillError, match="there is no task 'taskz'"):
        task_files.load(("taskz",))


def test_a_model_with_a_table_of_positions_reads_no_further(tasks, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=VOCABULARY, n_positions=128, n_embd=8, n_layer=1, n_head=1)
    assert config.tie_word_embeddings
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "model")
    add_tokenizer(tmp_path / "model")
    named = [str(tasks / "quiz.yaml")]
    with pytest.raises(CorpusmillError, match="the model can read 128 tokens at most"):
        evaluate(tmp_path / "model", tmp_path / "far", tasks=named, context=1000)
    evaluate(tmp_path / "model", tmp_path / "out", tasks=named, context=64)
    assert "the model has 64" in items(tmp_path / "out", "quiz")[2]["detail"]


def test_the_manifest_names_the_model_and_the_items(tasks, tmp_path):
    model = hybrid_folder(tmp_path / "model")
    manifest = evaluate(model, tmp_path / "out", tasks=[str(tasks / "word.yaml")])
    parents = {parent.path.rsplit("/", 1)[-1] for parent in manifest.parents}
    assert {"model.safetensors", "config.json", "word.jsonl"} <= parents
    again = evaluate(model, tmp_path / "out", tasks=[str(tasks / "word.yaml")])
    assert again.digest == manifest.digest
    assert (again.work.made, again.work.reused) == (0, 1)


def test_another_task_is_scored_alone(tasks, tmp_path):
    (tmp_path / "held.jsonl").write_text('{"text": "A short text."}\n')
    model, held_out = hybrid_folder(tmp_path / "model"), {"ours": [str(tmp_path / "held.jsonl")]}
    one, two = str(tasks / "word.yaml"), str(tasks / "quiz.yaml")
    output = tmp_path / "out"
    evaluate(model, output, tasks=[one])
    before = (output / "items" / "word.parquet").stat()
    with pytest.raises(CorpusmillError, match=r"evaluate\.limit was .*--replace"):
        evaluate(model, output, tasks=[one, two], limit=1)
    more = {"tasks": [two, one], "held_out": held_out}
    grown = evaluate(model, output, **more)
    assert (grown.work.made, grown.work.reused) == (2, 1)
    after = (output / "items" / "word.parquet").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert grown.digest == evaluate(model, tmp_path / "at_once", **more).digest
    assert not verify(str(output)).problems

    (tasks / "quiz.yaml").write_text(CHOICE.replace("{{ question }}", "Say: {{ question }}"))
    again = evaluate(model, output, **more)
    assert (again.work.made, again.work.reused) == (1, 2)
    with pytest.raises(CorpusmillError, match=r"1 of its inputs are not read any more .*--replace"):
        evaluate(model, output, tasks=[one], held_out=held_out)
    assert figures(output, "ours")[0]["", "bits_per_byte"]["items"] == 1


def test_held_out_text_is_told_apart_by_source(tmp_path):
    table = pa.table({"text": ["A short text.", "Another one. " * 60], "source": ["web", "code"]})
    pq.write_table(table, tmp_path / "held.parquet")
    load.cache_clear()
    evaluate(
        hybrid_folder(tmp_path / "model"),
        tmp_path / "out",
        held_out={"ours": [str(tmp_path / "held.parquet")]},
    )
    lines, _ = figures(tmp_path / "out", "ours")
    assert {domain for domain, _ in lines} == {"", "web", "code"}
    rows = items(tmp_path / "out", "ours")
    assert rows[1]["tokens"][0] > 128  # longer than the context, and scored whole
    bits = sum(-row["loglikelihoods"][0] for row in rows) / 0.6931471805599453
    assert lines["", "bits_per_byte"]["value"] == pytest.approx(bits / (13 + 780))


def test_answers_are_generated_and_compared(tasks, tmp_path):
    evaluate(llama_folder(tmp_path / "model"), tmp_path / "out", tasks=[str(tasks / "sums.yaml")])
    rows = items(tmp_path / "out", "sums")
    assert [row["expected"] for row in rows] == ["2", "4"]
    assert all(row["answer"] is not None and row["right"] is False for row in rows)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter knows x86-64 only")
def test_code_runs_only_if_asked(tasks, tmp_path):
    model = llama_folder(tmp_path / "model")
    manifest = evaluate(model, tmp_path / "off", tasks=[str(tasks / "code.yaml")])
    assert manifest.totals[0].unused == {"code_not_run": 3}
    evaluate(
        model,
        tmp_path / "on",
        tasks=[str(tasks / "code.yaml")],
        run_code=True,
        code={"seconds": 1},
    )
    rows = items(tmp_path / "on", "code")
    assert [row["final"] for row in rows] == ["passed", "timeout", "PermissionError"]
    assert figures(tmp_path / "on", "code")[0]["", "pass@1"]["value"] == pytest.approx(1 / 3)


def test_a_model_without_tokenizer_says_so(tasks, tmp_path):
    model = hybrid_folder(tmp_path / "model", tokenizer=False)
    with pytest.raises(CorpusmillError, match=r"holds no tokenizer.*evaluate\.tokenizer"):
        evaluate(model, tmp_path / "out", tasks=[str(tasks / "word.yaml")])
    evaluate(model, tmp_path / "out", tasks=[str(tasks / "word.yaml")], tokenizer=str(TINY))
    assert items(tmp_path / "out", "word")[0]["reason"] is None


def test_a_folder_without_a_model_says_so(tasks, tmp_path):
    with pytest.raises(CorpusmillError, match=r"holds no model"):
        evaluate(tasks, tmp_path / "out", tasks=[str(tasks / "word.yaml")])


def test_nothing_to_measure_says_so(tmp_path):
    with pytest.raises(CorpusmillError, match="tasks is empty"):
        evaluate(tmp_path, tmp_path / "out")


def test_a_gauge_reads_from_memory_what_the_verb_reads_from_a_folder(tasks, tmp_path):
    from corpusmill.stages.evaluate.gauge import gauge_for
    from corpusmill.stages.evaluate.stage import Evaluate

    names = (str(tasks / "quiz.yaml"), str(tasks / "word.yaml"))
    evaluate(hybrid_folder(tmp_path / "model"), tmp_path / "out", tasks=list(names))
    model = hybrid_model()
    gauge = gauge_for(model, Evaluate(tasks=names, tokenizer=str(TINY)), 128)
    for line in gauge.read(model):
        there = figures(tmp_path / "out", line.task)[0][line.domain, line.metric]
        assert (line.items, line.value) == (there["items"], pytest.approx(there["value"]))
    with pytest.raises(CorpusmillError, match="sums generates its answers"):
        gauge_for(model, Evaluate(tasks=(str(tasks / "sums.yaml"),), tokenizer=str(TINY)), 128)
    with pytest.raises(CorpusmillError, match=r"gauge\.tokenizer is missing"):
        gauge_for(model, Evaluate(tasks=names), 128)


def test_the_command_prints_the_figures(tasks, tmp_path):
    model = hybrid_folder(tmp_path / "model")
    arguments = ("-t", tasks / "quiz.yaml", "--runner", "inline", "-q")
    done = corpusmill("evaluate", model, "-o", "out", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gold_bits_per_byte" in done.stdout
    assert "quiz: 2 domains are in out/summary/quiz.json" in done.stdout
    assert "quiz: without a score: too_long 1 (row 2: it needs 202 tokens" in done.stdout
    assert "error_item 1 (row 1: gold is 5, and there are 2 choices)" in done.stdout
    gone = corpusmill("evaluate", "./gone", "-o", "other", *arguments, cwd=tmp_path)
    assert gone.returncode == 2
    assert "there is no model folder ./gone" in gone.stderr
