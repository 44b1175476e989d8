"""`blend --dry-run`: the quotas of the blend itself, and nothing written."""

import json

import pytest
from corpusmill.cli import app
from corpusmill.pipeline.forecast import forecast_blend
from corpusmill.pipeline.recipe import Step
from typer.testing import CliRunner

from tests.stages.small_corpus import documents, run, small_tokenizer, write_shard


@pytest.fixture
def settings(tmp_path):
    web = write_shard(tmp_path / "web/00000.parquet", documents("web", 300))
    math = write_shard(tmp_path / "math/00000.parquet", documents("math", 60))
    return {
        "sources": {
            "web": {"input": web, "category": "web"},
            "math": {"input": math, "category": "math"},
        },
        "phases": [
            {"name": "one", "length": 1, "weights": {"web": 3, "math": 1}},
            {"name": "two", "length": 1, "weights": {"web": 1, "math": 1}},
        ],
        "tokens": 4000,
    }


def test_it_foretells_what_the_blend_gives(tmp_path, settings):
    found = forecast_blend(Step("blend", "blend", (), settings), str(tmp_path / "blend"))
    run("blend", settings, tmp_path / "blend")
    plan = json.loads((tmp_path / "blend/plan.json").read_text())
    for line in found.lines:
        (phase,) = (one for one in plan["phases"] if one["name"] == line.phase)
        given = phase["sources"][line.source]
        assert line.tokens == pytest.approx(given["tokens"], abs=80)
        assert line.asked_share == given["asked_share"]
        assert bool(line.short) == given["capped"]
    assert [(line.phase, line.source) for line in found.lines if line.short] == [("two", "math")]


def test_documents_without_a_count_are_estimated_from_a_sample(tmp_path):
    raw = tmp_path / "raw.jsonl"
    rows = documents("raw", 600)
    raw.write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows))
    tokenizer = small_tokenizer(tmp_path / "tokenizer")
    settings = {"sources": {"raw": {"input": str(raw)}}, "tokenizer": tokenizer}
    found = forecast_blend(Step("blend", "blend", (), settings), str(tmp_path / "blend"))
    run("blend", settings, tmp_path / "blend")
    plan = json.loads((tmp_path / "blend/plan.json").read_text())
    assert found.estimated == ("raw",)
    assert found.tokens == pytest.approx(plan["tokens"], rel=0.05)


def test_the_command_prints_a_table_and_writes_nothing(tmp_path, settings):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"stages": [{"blend": settings}]}))
    command = ["blend", "-c", str(recipe), "-o", str(tmp_path / "out/blend"), "--dry-run"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "short of its share" in result.output
    assert "short of the 4,000 tokens asked for" not in result.output
    assert not (tmp_path / "out").exists()
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert {line["phase"] for line in found["lines"]} == {"one", "two"}
