"""`diff` says which documents moved, and which setting or input did it."""

import json
import shutil

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.looking.diff import MISSING, diff
from corpusmill.pipeline.recipe import Recipe, Step
from corpusmill.pipeline.run import run_recipe
from corpusmill.pipeline.runner import InlineRunner

from tests.command_line import corpusmill
from tests.report.small_run import RULE, make_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, and one of the same input with a stricter rule."""
    folder = tmp_path_factory.mktemp("diff")
    first, second = make_run(folder), str(folder / "strict")
    steps = (
        Step("extract", "extract", (), {"min_text_chars": 0}),
        Step("filter", "filter", (), {"families": [], "rules": [{**RULE, "threshold": 40}]}),
        Step("dedup", "dedup"),
    )
    recipe = Recipe("r", (str(folder / "in.jsonl"),), steps)
    run_recipe(recipe, second, InlineRunner(), lambda *_: None)
    return first, second


def test_a_run_is_the_same_as_itself(runs):
    assert [item.state for item in diff(runs[0], runs[0])] == ["same"] * 3


def test_the_setting_that_did_it_is_named_and_what_moved(runs):
    extract, filtered, dedup = diff(*runs)
    assert extract.state == "same"
    assert list(filtered.settings) == ["filter.rules"]
    assert "filter.rules" in filtered.cause
    assert filtered.rows == (7, 5)
    (move,) = filtered.moves
    assert (move.before, move.after, move.documents) == ("kept", "recipe.few_words", 2)
    assert len(move.ids) == 2
    assert not dedup.settings
    assert dedup.cause == "it read another filter"
    assert {(move.before, move.after, move.documents) for move in dedup.moves} == {
        ("kept", MISSING, 2)
    }


def test_only_counts_if_asked(runs):
    assert any(item.moves for item in diff(runs[0], runs[1]))
    assert not any(item.moves for item in diff(runs[0], runs[1], documents=False))


def test_two_folders_of_one_stage_may_have_any_names(runs):
    (found,) = diff(f"{runs[0]}/filter", f"{runs[1]}/filter")
    assert found.state == "differs"


def test_runs_without_a_common_stage_are_refused(runs, tmp_path):
    for name in ("extract", "filter"):
        shutil.copytree(f"{runs[1]}/{name}", tmp_path / f"my_{name}")
    with pytest.raises(InputError, match="no stage of the same name"):
        diff(runs[0], str(tmp_path))


def test_the_command_prints_it(runs, tmp_path):
    shown = corpusmill("diff", *runs, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "filter: 7 kept before, 5 after" in shown.stdout
    assert "kept -> recipe.few_words" in shown.stdout
    as_json = json.loads(corpusmill("diff", *runs, "--json", "--counts", cwd=tmp_path).stdout)
    assert [item["state"] for item in as_json] == ["same", "differs", "differs"]
