"""The annotate stage in the pipeline, against a real HTTP server that grades well and badly."""

import json
import re
import time

import corpusmill
import pytest
from corpusmill.manifests.errors import EngineError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.package_data import package_file
from corpusmill.manifests.receipt import read_receipt
from corpusmill.pipeline.execute import Job, execute
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.report.page import render
from corpusmill.stages.annotate.stage import Annotate
from corpusmill.stages.contract import Inputs
from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.stages.engines.openai import OpenAIEngine

from tests.stages.engines.scripted_server import answer, serving
from tests.stages.synthesize.test_synthesize import (
    PROSE,
    document,
    rows_of,
    sentence,
    tokenizer_folder,  # noqa: F401 - a fixture
    write_shards,
)

GOOD = {"why": "It teaches.", "educational": 4}
REPLIES = {
    "good": answer(json.dumps(GOOD), chat=True),
    "fenced": answer(f"```json\n{json.dumps(GOOD)}\n```", chat=True),
    "thought": answer(f"<think>\nHm, 2?\n</think>\n{json.dumps(GOOD)}", chat=True),
    "talks": answer(f"Sure! {json.dumps(GOOD)}", chat=True),
    "prose": answer("I would give it a 4.", chat=True),
    "list": answer("[4]", chat=True),
    "deep": answer("[" * 100_000, chat=True),
    "high": answer('{"why": "", "educational": 6}', chat=True),
    "half": answer('{"why": "", "educational": 3.5}', chat=True),
    "spelt": answer('{"why": "", "educational": "4"}', chat=True),
    "true": answer('{"why": "", "educational": true}', chat=True),
    "lacks": answer('{"why": ""}', chat=True),
    "cut": answer('{"why": "it goes on', "length", chat=True),
    "nothing": answer("", chat=True),
    "refused": (400, {}, b"prompt is too long"),
}


def grading(prompt, attempt):
    """The reply for the page's first word."""
    return REPLIES.get(prompt.rpartition("Page:\n")[2].split()[0], answer("Hello!", chat=True))


def stage_at(server, folder, **settings) -> Annotate:
    engine = OpenAIEngine(
        url=server.url,
        model="big",
        tokenizer_name=folder,
        api="chat",
        backoff_seconds=0.0,
        attempts=2,
    )
    return Annotate(engine=engine, **settings)


def run(stage, documents, folder):
    job = Job(stage, ("annotate",), {"annotate": {}}, Inputs(str(folder), documents), ())
    return execute(job, InlineRunner())


def named(*names: str):
    return [document(name, f"{name} {PROSE}", level=None) for name in names]


def test_good_answers_become_labels_and_bad_ones_say_why(
    tmp_path,
    tokenizer_folder,  # noqa: F811
):
    documents = write_shards(tmp_path, {"in/00.parquet": named(*REPLIES)})
    with serving(grading) as server:
        manifest = run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
    names = {document(name)["id"]: name for name in REPLIES}
    kept = {names[row["id"]]: row for row in rows_of(tmp_path / "out", "documents")}
    assert list(kept) == ["good", "fenced", "thought"]
    assert {row["label_educational"] for row in kept.values()} == {4}
    assert kept["good"]["label_why"] == "It teaches."
    reasons = {names[row["id"]]: row["reason"] for row in rows_of(tmp_path / "out", "excluded")}
    assert reasons == {
        "talks": "annotate.text_around_json",
        "prose": "annotate.no_json",
        "list": "annotate.no_json",
        "deep": "annotate.no_json",
        "high": "annotate.out_of_range",
        "half": "annotate.out_of_range",
        "spelt": "annotate.out_of_range",
        "true": "annotate.out_of_range",
        "lacks": "annotate.property_missing",
        "cut": "annotate.cut_off",
        "nothing": "annotate.empty",
        "refused": "error_annotate.request",
    }
    assert manifest.conserved
    assert (manifest.totals[0].rows_in, manifest.totals[0].kept) == (len(REPLIES), 3)
    assert manifest.measures["labels"] == {
        "educational": {str(grade): 3 * (grade == 4) for grade in range(6)}
    }
    took = manifest.measures["usage"]["prompts"]["educational"]
    assert (took["rows"], took["kept"]) == (len(REPLIES), 3)
    assert took["output_tokens"] == 3 * (len(REPLIES) - 1)
    assert verify(str(tmp_path / "out")).problems == []
    page = " ".join(re.sub(r"<[^>]*>", " ", render(str(tmp_path / "out"))).split())
    assert "educational out, 3 documents, mean 4.00 label documents 0 0 1 0 2 0 3 0 4 3 5 0" in page
    assert f"educational out {len(REPLIES)} 3 " in page  # asked and kept, before the tokens


def test_a_row_is_the_document_itself_and_says_where_its_labels_come_from(
    tmp_path,
    tokenizer_folder,  # noqa: F811
):
    (source,) = named("good")
    documents = write_shards(tmp_path, {"in/00.parquet": [source]})
    with serving(grading) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
        ((_, _, body),) = server.seen
    (row,) = rows_of(tmp_path / "out", "documents")
    assert {name: row[name] for name in source} == source
    annotation = row["annotation"]
    assert (annotation["start"], annotation["end"]) == (0, len(source["text"]))
    assert (annotation["prompt"], annotation["model"]) == ("educational", "big")
    assert (annotation["prompt_tokens"], annotation["output_tokens"]) == (7, 3)
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["educational"] == {"type": "integer", "enum": [0, 1, 2, 3, 4, 5]}
    assert schema["required"] == ["why", "educational"]
    assert (body["temperature"], body["seed"]) == (0, annotation["seed"])


def test_of_a_long_document_the_beginning_is_read(tmp_path, tokenizer_folder):  # noqa: F811
    text = "good " + " ".join(map(sentence, range(400)))
    documents = write_shards(tmp_path, {"in/00.parquet": [document("good", text, level=None)]})
    with serving(grading) as server:
        run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
        ((_, _, body),) = server.seen
    (row,) = rows_of(tmp_path / "out", "documents")
    assert row["text"] == text
    read = body["messages"][-1]["content"].rpartition("Page:\n")[2]
    assert text.startswith(read)
    assert 1000 < len(read) == row["annotation"]["end"] < len(text)


def test_a_sample_is_drawn_over_all_shards(tmp_path, tokenizer_folder):  # noqa: F811
    rows = [document(f"d{number}", f"good {sentence(number)}") for number in range(30)]
    documents = write_shards(tmp_path, {"in/00.parquet": rows[:20], "in/01.parquet": rows[20:]})
    with serving(grading) as server:
        stage = stage_at(server, tokenizer_folder, max_documents=6)
        manifest = run(stage, documents, tmp_path / "out")
        assert len(server.seen) == 6
    assert manifest.totals[0].unused == {"annotate.not_drawn": 24}
    files = [row["file"] for row in rows_of(tmp_path / "out", "documents")]
    assert [files.count(f"documents/0{shard}.parquet") for shard in (0, 1)] == [4, 2]


def test_a_server_that_fails_stops_the_stage_and_the_next_run_asks_for_the_rest(
    tmp_path,
    tokenizer_folder,  # noqa: F811
):
    documents = write_shards(
        tmp_path,
        {"in/00.parquet": [document(f"d{n}", f"good {sentence(n)}") for n in range(12)]},
    )
    answered: list[str] = []

    def poor(prompt, attempt):
        if len(answered) == 7:
            return 402, {}, b"no credit"
        time.sleep(0.05)
        answered.append(prompt)
        return grading(prompt, attempt)

    with serving(poor) as server:
        stage = stage_at(server, tokenizer_folder)
        stage = stage.model_copy(
            update={"engine": stage.engine.model_copy(update={"in_flight": 1})}
        )
        with pytest.raises(EngineError, match="no credit"):
            run(stage, documents, tmp_path / "out")
        server.behave = grading
        before = len(server.seen)
        manifest = run(stage, documents, tmp_path / "out")
        assert len(server.seen) - before == 5
    assert manifest.totals[0].kept == 12
    receipt = read_receipt(str(tmp_path / "out"), "annotate", "00")
    assert receipt is not None
    ((_, _, seconds),) = receipt.earlier
    assert seconds >= 7 * 0.05
    took = manifest.measures["usage"]
    assert took["engine_hours"] * 3600 == pytest.approx(receipt.seconds + seconds, abs=0.005)
    assert took["output_tokens_per_second"] < 3 * 12 / seconds


def test_only_kept_labels_count_wherever_the_output_lies(tmp_path, tokenizer_folder):  # noqa: F811
    documents = write_shards(tmp_path, {"in/00.parquet": named("good", "prose")})
    with serving(grading) as server:
        manifest = run(
            stage_at(server, tokenizer_folder), documents, tmp_path / "documents" / "out"
        )
    counted = manifest.measures["labels"]["educational"]
    assert {value: rows for value, rows in counted.items() if rows} == {"4": 1}
    took = manifest.measures["usage"]["prompts"]["educational"]
    assert (took["rows"], took["kept"]) == (2, 1)


def test_a_server_that_takes_no_schema_is_told_by_its_setting(
    tmp_path,
    tokenizer_folder,  # noqa: F811
):
    def plain(prompt, attempt):
        known = "response_format" not in server.seen[-1][2]
        return grading(prompt, attempt) if known else (400, {}, b"unknown field response_format")

    documents = write_shards(tmp_path, {"in/00.parquet": named("good")})
    with serving(plain) as server:
        with pytest.raises(EngineError, match=r"engine\.rename: \{response_format: null\}"):
            run(stage_at(server, tokenizer_folder), documents, tmp_path / "out")
        stage = stage_at(server, tokenizer_folder, structured_outputs=False)
        assert run(stage, documents, tmp_path / "plain").totals[0].kept == 1


def test_a_small_model_that_cannot_grade_leaves_reasons_and_no_labels(tmp_path):
    """The shipped model, which has only learnt to rewrite."""
    documents = write_shards(tmp_path, {"in/00.parquet": named("good", "bad")})
    stage = Annotate(engine=EmbeddedEngine(device="cpu"))
    manifest = run(stage, documents, tmp_path / "out")
    assert manifest.conserved
    reasons = {row["reason"] for row in rows_of(tmp_path / "out", "excluded")}
    assert reasons <= {"annotate.no_json", "annotate.cut_off", "annotate.text_around_json"}
    assert manifest.totals[0].kept == 0
    assert set(manifest.measures["labels"]["educational"].values()) == {0}


def test_a_classifier_learns_from_the_labels(tmp_path, tokenizer_folder):  # noqa: F811
    """annotate, then classify-train on its folder, then classify."""
    good = [
        f"The theorem says why the sum is even, and we prove it. {sentence(n)}" for n in range(40)
    ]
    bad = [f"Buy now and save on our great shop offers today. {sentence(n)}" for n in range(40)]
    (tmp_path / "pages.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in [*good, *bad])
    )
    corpusmill.run_stage(
        "extract",
        str(tmp_path / "extract"),
        inputs=[str(tmp_path / "pages.jsonl")],
        settings={"min_text_chars": 0},
    )

    def judge(prompt, attempt):
        grade = 4 if "theorem" in prompt.rpartition("Page:\n")[2] else 1
        return answer(json.dumps({"why": "", "educational": grade}), chat=True)

    with serving(judge) as server:
        engine = stage_at(server, tokenizer_folder).engine.model_dump(exclude_defaults=True)
        corpusmill.run_stage(
            "annotate",
            str(tmp_path / "annotate"),
            inputs=[str(tmp_path / "extract")],
            settings={"engine": {"kind": "openai", **engine}},
        )
    corpusmill.run_stage(
        "classify-train",
        str(tmp_path / "quality"),
        settings={
            "labelled": [str(tmp_path / "annotate")],
            "label_column": "label_educational",
            "held_out": 0.3,
            "statistics": False,
        },
    )
    report = json.loads((tmp_path / "quality" / "models" / "report.json").read_text())
    assert report["threshold"] == 3
    assert report["models"]["fasttext"]["held_out"]["auc"] > 0.95


@pytest.mark.parametrize(
    ("prompt", "message"),
    [("rephrase", r"prompts/rephrase\.md is no rubric"), ("educatonal", "did you mean")],
)
def test_a_prompt_that_is_no_rubric_is_refused(prompt, message):
    with pytest.raises(RecipeError, match=message):
        Annotate(prompt=prompt).rubric()


def test_a_rubric_that_joins_segments_is_refused(tmp_path):
    text = package_file("prompts", "educational.md").read_text(encoding="utf-8")
    joined = tmp_path / "joined.md"
    joined.write_text(text.replace("name: educational\n", "name: joined\njoin_segments: true\n"))
    with pytest.raises(RecipeError, match="joins segments"):
        Annotate(prompt=str(joined)).rubric()
