"""Train a model as a stage: one shard of work, with receipts and manifests like any other.

Training keeps its checkpoints in the shard's scratch folder. So an interrupted run goes on from the
last one. The last checkpoint becomes the stage's output.
"""

from functools import partial
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.trainer.config import FREE_ON_RESUME, TrainConfig

CHECKPOINT = "checkpoint"
LOG = "log.jsonl"


class Train(TrainConfig, GlobalStage):
    """Train a hybrid on the token shards of a pack stage."""

    name: ClassVar[str] = "train"
    version: ClassVar[int] = 2
    account: ClassVar[Account] = Account.MANY_TO_ONE
    reads: ClassVar[Reads] = Reads.TOKENS
    free_settings: ClassVar[tuple[str, ...]] = FREE_ON_RESUME

    def passes(self, inputs: Inputs) -> Passes:
        yield Pass(
            name="train",
            shards={"model": inputs.documents},
            work=partial(_train, self),
            final=True,
            holds_engine=True,
            cpus=self.num_workers * (self.threads or 1),
            gpus=0 if self.device == "cpu" else self.num_workers,
        )


def _train(settings: Train, shard: Shard) -> list[Counts]:
    from corpusmill.trainer.train import StepRecord
    from corpusmill.trainer.workers import run

    scratch = Path(shard.scratch)
    shards = [
        storage.local_copy(artifact.path, scratch / "shards" / f"{number:06d}", artifact.size)
        for number, artifact in enumerate(shard.inputs)
    ]
    for artifact, path in zip(shard.inputs, shards, strict=True):
        shard.count_rows(artifact, pq.read_metadata(path).num_rows)

    def on_step(record: StepRecord) -> None:
        shard.report(record.step, record.steps, f"steps, loss {record.loss:.3f}")

    result = run(settings, shards, scratch, on_step)
    for path in sorted(result.checkpoint.iterdir()):
        shard.keep(path, CHECKPOINT)
    # Speeds differ from run to run, so the log is no part of the receipt.
    with storage.atomic_writer(storage.join(shard.folder, LOG)) as log:
        log.write(result.log.read_bytes())
    account = Counts("train", rows_in=shard.rows_read, kept=result.documents, tokens=result.tokens)
    account.leave_out("held_out", result.held_out)
    account.leave_out("not_reached", result.not_reached)
    return [account]
