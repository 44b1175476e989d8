"""A training sequence is traced with the settings as they were read for the run, however the recipe spelled them."""

import json

from pipeline.recipe import Recipe, Step
from pipeline.run import run_recipe
from pipeline.runner import InlineRunner
from pipeline.training import trace_sequence
from tests.command_line import ROOT

MODEL = {
    "pattern": "M*-", "hidden_size": 16, "ffn_size": 16, "attention_heads": 2, "key_value_heads": 1, "head_dim": 8, "mamba_heads": 2,
    "mamba_head_dim": 16, "mamba_groups": 1, "mamba_state": 8, "chunk_size": 16, "vocab_size": 4096,
}  # fmt: skip


def test_a_number_that_the_recipe_gives_as_text_or_as_a_float_is_no_obstacle(tmp_path):
    rows = [{"id": f"d{number}", "text": f"The river rose on day {number}. " * 20} for number in range(8)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "model": MODEL, "sequence_length": 32, "batch_size": 2, "steps": 1.0, "learning_rate": "1e-4", "device": "cpu", "threads": 1,
    }  # fmt: skip
    steps = (
        Step("pack", "pack", (), {"tokenizer": str(ROOT / "models" / "tiny")}),
        Step("train", "train", (), settings),
    )
    run_recipe(
        Recipe("r", (str(tmp_path / "a.jsonl"),), steps), str(tmp_path / "out"), InlineRunner(), lambda *_: None
    )
    assert trace_sequence(str(tmp_path / "out"), "0")["documents"][0]["start"] == 0
