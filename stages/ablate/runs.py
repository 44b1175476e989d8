"""One small run: train it, measure it while it trains, and keep what was measured."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.evaluation.comparison import Items, Key, Run, tops_and_bottoms
from corpusmill.evaluation.gauge import named
from corpusmill.evaluation.summary import summary
from corpusmill.manifests import storage
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.ablate.small_runs import SmallRuns, TaskFiles
from corpusmill.stages.ablate.stage import Ablate
from corpusmill.stages.evaluate.gauge import gauge_for
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.parts import TEXT, Gauging, Read
from corpusmill.trainer.workers import run

if TYPE_CHECKING:
    from corpusmill.trainer.records import StepRecord
    from corpusmill.trainer.train import TrainResult

CURVES, SCORED, READINGS = "curves", "items", "readings"
SHARES = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        ("domain", pa.string()),
        ("metric", pa.string()),
        ("top", pa.float64()),
        ("bottom", pa.float64()),
    ]
)


def train_arm(settings: Ablate, tasks: TaskFiles, shard: Shard) -> list[Counts]:
    """Write the curves and the items of one run. Returns its account of documents and tokens."""
    facts = json.loads(shard.shard_settings)
    scratch = Path(shard.scratch)
    files = shard.inputs[: facts["files"]]
    shards = [
        storage.local_copy(file.path, scratch / "shards" / f"{number:06d}", file.size)
        for number, file in enumerate(files)
    ]
    for file, path in zip(files, shards, strict=True):
        shard.count_rows(file, pq.read_metadata(path).num_rows)

    result = measured_run(settings, tasks, shard, shards, facts)
    account = Counts(Ablate.name, rows_in=shard.rows_read, kept=result.documents)
    account.tokens = result.tokens
    account.leave_out("held_out", result.held_out)
    account.leave_out("not_reached", result.not_reached)
    return [account]


def measured_run(
    settings: SmallRuns,
    tasks: TaskFiles,
    shard: Shard,
    shards: Sequence[Path],
    facts: Mapping[str, Any],
) -> "TrainResult":
    """Train on local token shards, and write the curves and the items of the run.

    tasks: what is measured. facts: `arm`, `seed` and `epochs`, which go into the curves.
    """
    scratch = Path(shard.scratch)
    config = settings.train.model_copy(update={"seed": facts["seed"]})

    def on_step(record: "StepRecord") -> None:
        shard.report(record.step, record.steps, f"steps, loss {record.loss:.3f}")

    gauging = Gauging(settings.every, partial(_reader, settings, tasks, scratch / READINGS))
    parts = dataclasses.replace(TEXT, gauging=gauging)
    result = run(config, shards, scratch, on_step, parts)
    found = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((scratch / READINGS).iterdir())
    ]
    curves = {
        **{name: facts[name] for name in ("arm", "seed", "epochs")},
        "steps": result.steps,
        "tokens": result.tokens,
        "readings": [{name: one[name] for name in ("step", "figures")} for one in found],
    }
    shard.file(CURVES, f"{shard.name}.json", json.dumps(curves).encode() + b"\n")
    with shard.parquet(SCORED, SHARES) as output:
        output.write(_last_items([one["items"] for one in found[-settings.last :]]))
    return result


def _reader(
    settings: SmallRuns,
    tasks: TaskFiles,
    folder: Path,
    model: HybridModel,
    config: TrainConfig,
) -> Read:
    """What measures the model. Each reading becomes a file, so that a resumed run has them all."""
    gauge = gauge_for(model, settings.gauge, config.sequence_length, tasks)
    folder.mkdir(parents=True, exist_ok=True)

    def read(step: int, model: HybridModel) -> Mapping[str, float]:
        lines, items = [], []
        for task, records in gauge.records(model):
            lines += summary(task.kind, records)
            for record in records:
                if record.get("reason") is None:
                    for metric, share in tops_and_bottoms(task.kind, record).items():
                        items.append(
                            (task.name, record["row"], record["domain"] or "", metric, *share)
                        )
        figures = [(line.task, line.domain, line.metric, line.value) for line in lines]
        path = folder / f"{step:08d}.json"
        written = path.with_suffix(".writing")
        written.write_text(json.dumps({"step": step, "figures": figures, "items": items}))
        written.rename(path)
        return named(lines)

    return read


def _last_items(readings: Sequence[Sequence[Sequence[Any]]]) -> pa.Table:
    """Items that all readings have, each with the mean of its tops."""
    tops: dict[tuple[Any, ...], list[float]] = {}
    for items in readings:
        for *name, top, bottom in items:
            tops.setdefault((*name, bottom), []).append(top)
    rows = [
        (*name, float(np.mean(found)), bottom)
        for (*name, bottom), found in tops.items()
        if len(found) == len(readings)
    ]
    columns = zip(*rows, strict=True) if rows else [[]] * len(SHARES)
    return pa.table([list(column) for column in columns], schema=SHARES)


def read_run(curves: Mapping[str, Any], items: pa.Table) -> Run:
    """A run, from what `train_arm` wrote."""
    readings = [
        {Key(task, domain, metric): value for task, domain, metric, value in one["figures"]}
        for one in curves["readings"]
    ]
    shares: dict[Key, list[tuple[int, float, float]]] = {}
    for item in items.to_pylist():
        for domain in {"", item["domain"]}:
            key = Key(item["task"], domain, item["metric"])
            shares.setdefault(key, []).append((item["row"], item["top"], item["bottom"]))
    arrays = {
        key: Items(*map(np.array, zip(*sorted(found), strict=True)))
        for key, found in shares.items()
    }
    return Run(curves["arm"], curves["seed"], readings, arrays)
