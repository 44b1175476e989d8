"""What a run will take, beside what the same run asks for."""

import json
from dataclasses import replace

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.pipeline.estimate import estimate_remarks, estimate_step
from corpusmill.pipeline.recipe import Step
from corpusmill.stages.annotate.stage import Annotate
from corpusmill.stages.synthesize.estimate import Estimate, Line
from corpusmill.stages.synthesize.judging import Judge

from tests.command_line import corpusmill
from tests.stages.engines.scripted_server import serving
from tests.stages.synthesize.test_synthesize import (
    PROSE,
    document,
    echo,
    run,
    sentence,
    stage_at,
    tokenizer_folder,  # noqa: F401 - a fixture
    write_shards,
)

ROWS = [
    *(document(f"l{number}", f"{sentence(number)} {PROSE}") for number in range(12)),
    document("long", " ".join(map(sentence, range(90)))),
    document("short", "No."),
    *(document(f"m{number}", level="medium") for number in range(9)),
]


@pytest.fixture
def files(tmp_path):
    return write_shards(tmp_path, {"in/00.parquet": ROWS[:9], "in/01.parquet": ROWS[9:]})


def test_with_all_documents_looked_at_it_is_what_the_run_asks(
    tmp_path,
    tokenizer_folder,  # noqa: F811
    files,
):
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder, routes={"low": ("rephrase", "faq")})
        lines, documents, sampled = stage.estimated(files, 200, {})
        assert server.seen == []
        run(stage, files, tmp_path / "out")
        asked = [body["messages"][-1]["content"] for _, _, body in server.seen]
    assert (documents, sampled) == (14, 14)
    requests = {line.prompt: line.requests for line in lines}
    assert requests["faq"] == sum("Begin with what somebody new" in text for text in asked)
    assert sum(requests.values()) == len(asked)
    assert {line.prompt: line.documents for line in lines} == {"rephrase": 13, "faq": 13}
    assert all(line.output_tokens <= line.most_output_tokens for line in lines)


def test_a_sample_stands_for_the_whole(tokenizer_folder, tmp_path):  # noqa: F811
    rows = [document(f"d{number}", f"{sentence(number)} {PROSE}") for number in range(60)]
    files = write_shards(
        tmp_path, {f"in/0{n}.parquet": rows[n * 20 : n * 20 + 20] for n in (0, 1, 2)}
    )
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder, max_documents=30)
        ((line,), documents, sampled) = stage.estimated(files, 9, {})
        ((whole,), _, _) = stage.estimated(files, 60, {})
    assert (documents, sampled) == (30, 9)
    assert (line.documents, line.requests) == (30, whole.requests)
    assert line.prompt_tokens == pytest.approx(whole.prompt_tokens, rel=0.02)


def test_the_lengths_of_answers_come_from_a_run_before(tokenizer_folder, files):  # noqa: F811
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder)
        before = {"rephrase": {"prompt_tokens": 1000, "output_tokens": 100}}
        ((line,), _, _) = stage.estimated(files, 200, before)
    assert line.from_run
    assert line.output_tokens == pytest.approx(line.prompt_tokens / 10, abs=1)


def test_a_judge_is_a_line_of_its_own(tokenizer_folder, files):  # noqa: F811
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder, judge=Judge())
        made, judged = stage.estimated(files, 200, {})[0]
    assert judged.prompt == "judge"
    assert judged.prompt_tokens > made.output_tokens
    assert not judged.from_run
    known = {"judge": {"rows": 10, "prompt_tokens": 900, "output_tokens": 70}}
    graded = stage.estimated(files, 200, known)[0][1]
    assert graded.from_run
    assert graded.output_tokens == 7 * graded.requests


def test_of_a_rubric_the_example_tells_how_long_an_answer_is(tokenizer_folder, files):  # noqa: F811
    with serving(echo) as server:
        engine = stage_at(server, tokenizer_folder).engine
        ((line,), documents, _) = Annotate(engine=engine).estimated(files, 200, {})
    assert (documents, line.documents, line.requests) == (len(ROWS), len(ROWS), len(ROWS))
    assert 10 * len(ROWS) < line.output_tokens < line.most_output_tokens


def test_hours_and_cost_follow_from_tokens_speed_and_price():
    line = Line("rephrase", 1, 1, 10, 36_000_000, 36_000_000, True)
    found = Estimate([line], 1, 1, 4, 1000.0, 2.5)
    assert (found.gpu_hours, found.hours, found.cost) == (10, 2.5, 25)
    assert estimate_remarks(found)[1:] == [
        "2.5 hours on 4 GPUs, 10 GPU hours (1,000 output tokens/s each)",
        "cost: 25.00",
    ]
    guessed = Estimate([replace(line, from_run=False)], 1, 1, 4, 1000.0, None)
    told = "tokens out are a guess for rephrase, by the length of the passage; "
    assert estimate_remarks(guessed)[-1] == told + "--like with a finished run knows better"
    assert estimate_remarks(guessed, "out")[-1] == told + "out has no answers of it"
    unknown = Estimate([line], 1, 1, 4, None, 2.5)
    assert (unknown.hours, unknown.cost) == (None, None)
    assert "give --tokens-per-second" in estimate_remarks(unknown)[1]


def test_documents_without_a_route_are_told(tokenizer_folder, files):  # noqa: F811
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder, routes={"high": ("rephrase",)})
        with pytest.raises(InputError, match="14 are `low`, 9 are `medium`; routes are `high`"):
            stage.estimated(files, 200, {})


def test_the_speed_of_a_finished_run_is_taken(tmp_path, tokenizer_folder, files):  # noqa: F811
    with serving(echo) as server:
        stage = stage_at(server, tokenizer_folder)
        manifest = run(stage, files, tmp_path / "out")
        settings = {"engine": stage.engine.model_dump(exclude_defaults=True) | {"kind": "openai"}}
        step = Step("synthesize", "synthesize", (), settings)
        inputs, where = [str(tmp_path / "in")], str(tmp_path / "none")
        found = estimate_step(step, inputs, where, 2, None, 3.0, str(tmp_path / "out"))
    used = manifest.measures["usage"]
    assert found.output_tokens_per_second == used["output_tokens_per_second"] > 0
    assert found.gpus == 2
    assert not (tmp_path / "none").exists()


def test_inputs_that_cannot_be_estimated_are_named(tmp_path, files):
    (tmp_path / "in" / "more.jsonl").write_text('{"text": "x"}\n')
    step, inputs = Step("synthesize", "synthesize", (), {}), [str(tmp_path / "in")]
    with pytest.raises(InputError, match=r"/in/more\.jsonl is JSON lines, not Parquet"):
        estimate_step(step, inputs, str(tmp_path / "out"), None, None, None, None)


def test_the_command_prints_and_writes_nothing(tmp_path, files):
    command = ["synthesize", "--estimate", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    done = corpusmill(*command, "--tokens-per-second", "100", "--json", cwd=tmp_path)
    shown = json.loads(done.stdout)
    assert shown["lines"][0]["prompt"] == "rephrase"
    assert shown["hours"] == pytest.approx(shown["lines"][0]["output_tokens"] / 100 / 3600)
    assert not (tmp_path / "out").exists()
    endless = corpusmill(*command, "--tokens-per-second", "1e400", cwd=tmp_path)
    assert endless.returncode == 2
    assert "it must be a finite number" in endless.stderr
