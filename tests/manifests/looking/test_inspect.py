"""inspect: names and order of rows, reasons of failures, empty results, interrupted runs."""

import json

import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.looking.inspect import funnel, stage_rows
from corpusmill.manifests.looking.tables import reasons_text, remarks, row_remarks, stage_line
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.manifest import Manifest, read_manifest
from corpusmill.manifests.receipt import Counts
from corpusmill.pipeline.recipe import Step, load_recipe
from corpusmill.pipeline.run import run_recipe, run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.columns.cuts import restore

from tests.command_line import corpusmill


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "in").mkdir()
    lines = [
        json.dumps({"id": str(number), "text": f"{number} some text " * 40}) for number in range(3)
    ]
    (tmp_path / "in" / "x.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "in" / "y.jsonl").write_text(lines[0].replace("0", "9") + "\n{no json\n")
    return tmp_path


def run(folder, verb, read, written, name=None, **settings):
    step = Step(verb, name or verb, (), settings)
    return run_step(step, (str(folder / read),), str(folder / written), InlineRunner())


def test_two_stages_of_one_kind_are_told_apart(texts):
    run(texts, "extract", "in", "out/extract")
    run(texts, "dedup", "out/extract", "out/exact")
    run(texts, "dedup", "out/exact", "out/fuzzy", name="fuzzy")
    rows = funnel(str(texts / "out")).rows
    assert [row.name for row in rows] == ["extract", "exact (dedup)", "fuzzy (dedup)"]
    assert [(row.as_json()["stage"], row.as_json().get("step")) for row in rows] == [
        ("extract", None),
        ("dedup", "exact"),
        ("dedup", "fuzzy"),
    ]


def test_failed_rows_have_their_reasons(texts):
    manifest = run(texts, "extract", "in", "out/extract")
    (row,) = funnel(str(texts / "out")).rows
    assert (row.failed, row.failures) == (1, {"error_read.json": 1})
    assert row.as_json()["failures"] == {"error_read.json": 1}
    assert read_manifest(str(texts / "out" / "extract")).digest == manifest.digest


def test_a_stage_that_a_path_in_the_settings_leads_to_comes_first(texts):
    run(texts, "extract", "in", "out/extract")
    run(texts, "tokenizer", "out/extract", "out/zz", vocab_size=270)
    run(texts, "pack", "out/extract", "out/aa", tokenizer=str(texts / "out" / "zz" / "tokenizer"))
    assert [row.name for row in funnel(str(texts / "out")).rows] == [
        "extract",
        "zz (tokenizer)",
        "aa (pack)",
    ]
    assert verify(str(texts / "out")).problems == []


def test_a_stage_that_kept_nothing_names_what_it_did_not_use():
    for unused, end in (({"not_reached": 3}, " (not_reached 3)"), ({}, "")):
        counts = Counts("synthesize", rows_in=3, unused=unused)
        manifest = Manifest(["synthesize"], {}, {}, "", totals=[counts], verbs=["synthesize"])
        (row,) = stage_rows(manifest)
        assert list(row_remarks(row)) == [f"warning: synthesize kept no document{end}"]


def test_a_stage_that_kept_nothing_says_so(texts):
    manifest = run(texts, "extract", "in", "out/extract", min_text_chars=10_000)
    warning = "warning: extract kept no document (page.too_short 4, error_read.json 1)"
    assert stage_line("out", manifest).splitlines()[1].strip() == warning
    assert list(remarks(funnel(str(texts / "out")))) == [warning]
    after = run(texts, "dedup", "out/extract", "out/dedup")
    assert "dedup kept no document (it got none)" in stage_line("out", after)


def test_quarantined_shards_are_counted_by_inspect_and_named_by_verify(texts):
    (texts / "in" / "z.parquet").write_bytes(b"no parquet")
    arguments = ["--input", "in", "--output", "out/extract", "--runner", "inline"]
    assert corpusmill("extract", *arguments, cwd=texts).returncode == 3
    table = corpusmill("inspect", "out", cwd=texts).stdout
    assert "1 (+1 shards)" in table
    assert "quarantined: shard z of extract: " in table
    verified = corpusmill("verify", "out", cwd=texts)
    assert verified.returncode == 3
    named, line = verified.stdout.splitlines()
    assert named.startswith("shard z of extract (out/extract) is quarantined: ")
    assert line.endswith(
        "all hold; 1 shard is quarantined, its documents are missing: run the stage again to retry"
    )


def test_an_interrupted_stage_is_told_with_what_is_done(texts):
    run(texts, "extract", "in", "out/extract")
    (texts / "out" / "extract" / "manifest.json").unlink()
    (texts / "out" / "extract" / "receipts" / "extract" / "y.json").write_text("{")
    result = corpusmill("inspect", "out", cwd=texts)
    assert result.returncode == 0
    assert result.stdout.strip() == (
        "out/extract is not finished: 1 shards done, 1 receipts damaged; "
        "run the same command again to go on"
    )
    found = json.loads(corpusmill("inspect", "out/extract", "--json", cwd=texts).stdout)
    assert found["stages"] == []
    assert found["unfinished"][0]["done"] == {"extract": 1}


def test_a_stage_whose_input_has_changed_is_marked(texts):
    run(texts, "extract", "in", "out/extract")
    run(texts, "dedup", "out/extract", "out/dedup")
    run(texts, "filter", "out/dedup", "out/filter", families=[])
    assert funnel(str(texts / "out")).outdated == {}
    (texts / "in" / "more.jsonl").write_text('{"id": "more", "text": "More text about rivers."}\n')
    run(texts, "extract", "in", "out/extract")
    said = list(remarks(funnel(str(texts / "out"))))
    assert said == [
        "outdated: dedup read extract, which has changed since; run dedup again",
        "outdated: filter read dedup, which has changed since; run filter again",
    ]


def test_a_changed_input_outside_the_folder_is_marked_too(texts):
    run(texts, "extract", "in", "one/extract")
    run(texts, "dedup", "one/extract", "two/dedup")
    assert funnel(str(texts / "two")).outdated == {}
    (texts / "in" / "more.jsonl").write_text('{"id": "more", "text": "More text about rivers."}\n')
    run(texts, "extract", "in", "one/extract")
    assert list(remarks(funnel(str(texts / "two")))) == [
        "outdated: dedup read extract, which has changed since; run dedup again"
    ]


def test_all_reasons_are_shown_where_they_are_asked_for():
    reasons = {f"r{number}": 9 - number for number in range(6)}
    assert reasons_text(reasons, {}) == "r0 9, r1 8, r2 7, r3 6, and 2 more"
    assert reasons_text(reasons, {}, None).endswith("r3 6, r4 5, r5 4")


@pytest.mark.parametrize("filter_alone", [True, False])
def test_edits_of_a_filter_are_counted_and_can_be_undone_in_a_fused_run_too(tmp_path, filter_alone):
    prose = (
        "The river rises in the hills to the north of the town and runs to the sea.\n"
        "People have lived beside it for as long as anyone can say, and most of them still do.\n"
        "In spring the water is high, so the lower road is closed with a wooden gate.\n"
        "A ferry takes carts across when the bridge is not to be trusted.\n"
        "Older maps show a mill that nobody alive remembers.\n"
        "Its wheel lies in the mud below the weir, where children look for it every summer."
    )
    text = f"Menu\n\n# Rivers\n\n{prose}\n\n```\nx = {{1}}\n```\n\nWe use cookies."
    (tmp_path / "x.jsonl").write_text(
        "\n".join(json.dumps({"id": name, "text": t}) for name, t in (("a", text), ("b", prose)))
    )
    recipe = {
        "name": "edits",
        "inputs": [str(tmp_path / "x.jsonl")],
        "stages": [{"extract": {"language_threshold": 0}}, "filter"],
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    output = tmp_path / "out"
    if filter_alone:
        run(tmp_path, "extract", "x.jsonl", "out/extract", language_threshold=0)
        run(tmp_path, "filter", "out/extract", "out/filter")
    else:
        run_recipe(
            load_recipe(str(tmp_path / "recipe.yaml")), str(output), InlineRunner(), lambda *_: None
        )
    row = funnel(str(output)).rows[-1]
    assert (row.stage, row.kept, row.edited, row.cut_bytes) == ("filter", 2, 1, 23)
    assert row.as_json()["edited"] == 1
    assert "1 edited, 23 B cut" in corpusmill("inspect", "out", cwd=tmp_path).stdout
    (path,) = (output / "filter" / "documents").glob("*.parquet")
    kept = pq.read_table(path).to_pylist()
    assert [restore(row["text"], row["filter_cuts"]) for row in kept] == [text, prose]
    assert "```\nx = {1}\n```" in kept[0]["text"]
