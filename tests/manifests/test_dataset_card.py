"""The `datasets` library loads a stage's folder as it is."""

import json

import pytest
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from datasets import load_dataset


def test_a_stage_that_kept_nothing_does_not_give_its_excluded_rows_as_documents(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "Short."}\n')
    step = Step("extract", "extract", (), {"min_text_chars": 1000})
    folder = str(tmp_path / "out")
    run_step(step, (str(tmp_path / "in.jsonl"),), folder, InlineRunner())
    cache = str(tmp_path / "cache")
    excluded = load_dataset(folder, "excluded", split="train", cache_dir=cache)
    assert excluded["reason"][:] == ["page.too_short"]
    # The library has no datasets without rows. It says so.
    with pytest.raises(ValueError, match="no data"):
        load_dataset(folder, split="train", cache_dir=cache)


def test_a_stages_folder_is_a_dataset(tmp_path):
    rows = [{"id": str(n), "text": "A sentence about the river. " * n} for n in (1, 40, 50)]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    step = Step("extract", "extract", (), {"min_text_chars": 100})
    folder = str(tmp_path / "out")
    run_step(step, (str(tmp_path / "in.jsonl"),), folder, InlineRunner())
    cache = str(tmp_path / "cache")
    kept = load_dataset(folder, split="train", cache_dir=cache)
    assert (kept.num_rows, "reason" in kept.column_names) == (2, False)
    excluded = load_dataset(folder, "excluded", split="train", cache_dir=cache)
    assert excluded["reason"][:] == ["page.too_short"]
