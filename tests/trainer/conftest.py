"""A model small enough to train in a test, and token shards that are made in the test."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.shape import HybridConfig

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("tokens", pa.list_(pa.int32())),
        ("n_prompt", pa.int32()),
        ("source", pa.string()),
    ]
)


@pytest.fixture
def small_model() -> HybridConfig:
    """Three layers, one of each kind, with two groups and shared key/value heads."""
    return HybridConfig(
        pattern="M*-",
        hidden_size=32,
        ffn_size=64,
        attention_heads=2,
        key_value_heads=1,
        head_dim=16,
        mamba_heads=4,
        mamba_head_dim=8,
        mamba_groups=2,
        mamba_state=8,
        chunk_size=16,
        vocab_size=64,
    )


@pytest.fixture
def write_shards(tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes documents (lists of token ids) into Parquet shards and returns their paths.

    Document i has the id `doc-i`.
    """

    def write(
        documents: list[list[int]],
        prompts: list[int] | None = None,
        shards: int = 2,
        documents_per_row_group: int = 4,
        folder: str = "pack",
    ) -> list[Path]:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        rows = [
            {
                "id": f"doc-{i}",
                "tokens": tokens,
                "n_prompt": prompts[i] if prompts else 0,
                "source": "test",
            }
            for i, tokens in enumerate(documents)
        ]
        paths = []
        for shard in range(shards):
            path = target / f"shard-{shard:03d}.parquet"
            part = rows[shard * len(rows) // shards : (shard + 1) * len(rows) // shards]
            pq.write_table(
                pa.Table.from_pylist(part, SCHEMA), path, row_group_size=documents_per_row_group
            )
            paths.append(path)
        return paths

    return write


@pytest.fixture
def random_documents() -> list[list[int]]:
    """Thirty documents of 2 to 40 tokens below 64."""
    rng = random.Random(7)
    return [[rng.randrange(64) for _ in range(rng.randint(2, 40))] for _ in range(30)]


@pytest.fixture
def make_config(small_model: HybridConfig) -> Callable[..., TrainConfig]:
    """A quick run on one CPU thread; keywords change it."""

    def make(**changes: Any) -> TrainConfig:
        values: dict[str, Any] = {
            "model": small_model,
            "sequence_length": 16,
            "batch_size": 4,
            "steps": 6,
            "learning_rate": 3e-3,
            "warmup_steps": 2,
            "seed": 1,
            "device": "cpu",
            "threads": 1,
            "checkpoint_every": 2,
            "log_every": 1,
        }
        return TrainConfig(**{**values, **changes})

    return make
