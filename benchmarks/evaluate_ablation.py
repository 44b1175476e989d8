"""A small ablation on a CPU, for `evaluate.py`: shipped samples, a model of 0.4 M parameters.

The arms are reference text alone, and reference text with math and code. A tenth of each sample's
documents is held out by a hash. The proof on real data is `proof.py`.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.package_data import package_file
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import artifact_of
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.ablate.page import COMPARISON, SUMMARY
from corpusmill.stages.evaluate.rows import read_rows

SOURCES = ("reference", "math", "code")
ARMS = {"reference": ("reference",), "reference_math_code": SOURCES}
TINY = str(package_file("models", "tiny"))
TRAIN: dict[str, Any] = {
    "model": {
        "pattern": "M-*-",
        "hidden_size": 48,
        "ffn_size": 96,
        "attention_heads": 2,
        "key_value_heads": 1,
        "head_dim": 24,
        "mamba_heads": 4,
        "mamba_head_dim": 24,
        "mamba_groups": 2,
        "mamba_state": 16,
        "vocab_size": 4096,
        "chunk_size": 64,
    },
    "sequence_length": 256,
    "batch_size": 8,
    "steps": 40,
    "warmup_steps": 4,
    "learning_rate": 1.0e-2,
    "threads": 1,
    "device": "cpu",
}


def measure_ablation(folder: Path, seeds: int = 3) -> dict[str, list[float]]:
    """`ablation.ARM` -> bits per byte, the mean over the held-out samples, and its half-width over
    seeds. Prints the table.
    """
    held_out = {source: [str(_split(source, folder))] for source in SOURCES}
    arms = {}
    for arm, sources in ARMS.items():
        inputs = tuple(str(folder / f"{source}-training.jsonl") for source in sources)
        arms[arm] = str(folder / arm)
        run_step(Step("pack", "pack", inputs, {"tokenizer": TINY}), (), arms[arm], InlineRunner())
    gauge = {"held_out": held_out, "domain_column": "domain", "tokenizer": TINY, "prefix": "eos"}
    settings = {
        "arms": arms,
        "train": TRAIN,
        "gauge": {**gauge, "limit": 8},
        "seeds": list(range(seeds)),
        "readings": 4,
        "last": 2,
    }
    output = str(folder / "ablate")
    run_step(Step("ablate", "ablate", (), settings), (), output, InlineRunner())
    print(f"\n{storage.read_bytes(storage.join(output, SUMMARY)).decode()}")
    figures = json.loads(storage.read_bytes(storage.join(output, COMPARISON)))["figures"]
    return {
        f"ablation.{figure['arm']}": [round(figure["value"], 4), round(figure["half_width"], 4)]
        for figure in figures
        if figure["task"] == "mean of texts"
    }


def _split(source: str, folder: Path) -> Path:
    """Write a sample's documents to two files; the held-out one is returned."""
    sides = {side: (folder / f"{source}-{side}.jsonl").open("w") for side in ("held", "training")}
    for path in sorted(package_file("samples", source).glob("*.jsonl.zst")):
        for row in read_rows(Shard("rows", (), str(folder)), artifact_of(str(path))):
            assert isinstance(row, dict)
            held = hashlib.sha256(row["text"].encode()).digest()[0] < 26
            line = json.dumps({"id": row["id"], "text": row["text"][:8000]})
            sides["held" if held else "training"].write(line + "\n")
    for file in sides.values():
        file.close()
    return folder / f"{source}-held.jsonl"
