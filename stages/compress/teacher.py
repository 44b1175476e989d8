"""What the teacher predicts, stored: the work of two passes.

`rows` writes the training sequences, once, a file for each shard of `targets`. So a worker of
`targets` reads no more than its own sequences, and keeps its teacher between shards.
"""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.compress.sample import enough_memory, local_shards
from corpusmill.stages.engines.model_folder import local_folder

if TYPE_CHECKING:
    from corpusmill.compression.distillation import Teacher
    from corpusmill.stages.compress.stage import Compress
    from corpusmill.trainer.config import Precision, TrainConfig
    from corpusmill.trainer.rows import Row

ROWS, TARGETS = "work/rows", "work/targets"
SCHEMA = pa.schema([("tokens", pa.list_(pa.int32())), ("document_ids", pa.list_(pa.int32()))])


def write_rows(settings: "Compress", shard: Shard) -> list[Counts]:
    """Write the sequences that students will train on, in their order."""
    from corpusmill.trainer.data import PackedStream
    from corpusmill.trainer.token_shards import catalogue

    assert settings.distillation is not None
    paths = local_shards(shard, shard.inputs)
    corpus = catalogue(paths, settings.sequence_length, settings.eval_fraction, fitted=False)
    config = _config(settings)
    stream = PackedStream(corpus, config.seed, config.pack, config.shuffle_window)
    for name, (start, stop) in json.loads(shard.shard_settings).items():
        with shard.parquet(ROWS, SCHEMA, name=name, temporary=True) as output:
            for row in map(stream.row, range(start, stop)):
                output.write(pa.table([[row.tokens], [row.document_ids]], schema=SCHEMA))
    return []


def store_targets(settings: "Compress", shard: Shard) -> list[Counts]:
    """Write what the parent predicts in the sequences of a file."""
    from corpusmill.compression.targets import SCHEMA as STORED
    from corpusmill.compression.targets import stored_rows
    from corpusmill.trainer.loader import collate

    assert settings.distillation is not None
    assert settings.distillation.targets is not None
    k = settings.distillation.targets.top_k
    rows = list(_read_rows(shard.inputs[0]))
    with enough_memory(settings):
        folder = Path(local_folder(settings.parent))
        changed = (folder / "config.json").stat().st_mtime_ns
        precision = settings.distillation.teacher_precision
        teacher = _teacher(folder, changed, precision, _config(settings).model_dump_json())
        with shard.parquet(f"{TARGETS}/{shard.name}", STORED) as output:
            for start in range(0, len(rows), settings.batch_size):
                shard.report(start, len(rows), "sequences")
                some = rows[start : start + settings.batch_size]
                batch = collate(some).to(teacher.head.device)
                output.write(stored_rows(teacher, some, batch, k))
    return []


def release_teacher() -> None:
    """Forget the loaded teacher: its device is needed for training."""
    _teacher.cache_clear()


def _read_rows(artifact: Artifact) -> "Iterator[Row]":
    from corpusmill.trainer.rows import Row

    for table in read_parquet(artifact):
        for tokens, ids in zip(*(table[name] for name in SCHEMA.names), strict=True):
            token_T, id_T = (value.values.to_numpy() for value in (tokens, ids))
            yield Row(token_T, np.zeros(len(id_T), dtype=np.bool_), id_T, ())


def _config(settings: "Compress") -> "TrainConfig":
    """The settings of the students' runs; data, device and numbers are those of all of them."""
    assert settings.distillation is not None
    folder = Path(local_folder(settings.parent))
    shape = settings.parent_shape()
    return settings.distillation.training(settings, shape, folder, settings.distillation.tokens)


@functools.lru_cache(maxsize=1)
def _teacher(folder: Path, _changed: int, precision: "Precision", config: str) -> "Teacher":
    """The teacher of a folder on its device. One process loads it once."""
    from corpusmill.compression.distillation import Teacher
    from corpusmill.compression.parent import load_model
    from corpusmill.trainer import fp8
    from corpusmill.trainer.config import TrainConfig
    from corpusmill.trainer.ranks import compute_dtype, find_device

    run = TrainConfig(**json.loads(config))
    device = find_device(run.device)
    model = load_model(folder, device, compute_dtype(run.dtype, device))
    return Teacher(model, run, fp8.SCALINGS.get(precision))
