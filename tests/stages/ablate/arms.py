"""Two small arms: sums, and lists of words; and settings of a model that learns them in a test."""

import json
from pathlib import Path
from typing import Any

from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

from tests.evaluation.tiny_models import TINY, VOCABULARY
from tests.stages.small_corpus import run, write_shard

WORDS = ["stone", "river", "lamp", "green", "seven", "cloud", "paper", "north"]


def sums(first: int, last: int) -> list[str]:
    return [
        " ".join(f"{one} + {two} = {one + two}." for two in range(12)) for one in range(first, last)
    ]


def lists(first: int, last: int) -> list[str]:
    return [
        " ".join(WORDS[(one * 3 + two * two) % len(WORDS)] for two in range(60))
        for one in range(first, last)
    ]


def write_lines(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def packed(folder: Path, texts: list[str]) -> Path:
    """The output of pack."""
    lines = write_lines(folder.with_suffix(".jsonl"), texts)
    step = Step("pack", "pack", (str(lines),), {"tokenizer": str(TINY)})
    run_step(step, (), str(folder), InlineRunner())
    return folder


TRAIN: dict[str, Any] = {
    "model": {
        "pattern": "M*-",
        "hidden_size": 16,
        "ffn_size": 32,
        "attention_heads": 2,
        "key_value_heads": 1,
        "head_dim": 8,
        "mamba_heads": 2,
        "mamba_head_dim": 8,
        "mamba_groups": 1,
        "mamba_state": 8,
        "chunk_size": 16,
        "vocab_size": VOCABULARY,
    },
    "sequence_length": 64,
    "batch_size": 4,
    "steps": 12,
    "warmup_steps": 1,
    "learning_rate": 0.02,
    "threads": 1,
    "device": "cpu",
    "checkpoint_every": 3,
}


def gauge(tmp_path: Path) -> dict[str, Any]:
    """Held-out text of both kinds."""
    return {
        "held_out": {
            "sums": [str(write_lines(tmp_path / "held-sums.jsonl", sums(40, 44)))],
            "lists": [str(write_lines(tmp_path / "held-lists.jsonl", lists(40, 44)))],
        },
        "domain_column": "domain",
        "tokenizer": str(TINY),
        "prefix": "eos",
    }


def filtered(folder: Path, texts: list[str]) -> Path:
    """The output of filter, which keeps `texts` and excludes ten short ones."""
    both = [*texts, *(f"no {number}" for number in range(10))]
    rows = [{"id": f"id-{number}", "text": text} for number, text in enumerate(both)]
    given = write_shard(folder.with_suffix(".parquet"), rows)
    rule = {"name": "short", "statistic": "words", "comparison": "<", "threshold": 5}
    run("filter", {"families": [], "rules": [rule]}, folder, given)
    return folder
