"""Train a model as a stage: one shard of work, with receipts and manifests like any other.

Training keeps its checkpoints in the shard's scratch folder. So an interrupted run goes on from the
last one. The last checkpoint becomes the stage's output.
"""

import hashlib
import tempfile
from functools import partial
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.trainer.config import FREE_ON_RESUME
from corpusmill.vision.config import VisionTrainConfig

CONFIG = "config.json"
CHECKPOINT = "checkpoint"
LOG, PICTURE, EVENTS = "log.jsonl", "loss.svg", "tensorboard"


class Train(VisionTrainConfig, GlobalStage):
    """Train a hybrid on the token shards of a pack stage."""

    name: ClassVar[str] = "train"
    version: ClassVar[int] = 3
    account: ClassVar[Account] = Account.MANY_TO_ONE
    reads: ClassVar[Reads] = Reads.TOKENS
    free_settings: ClassVar[tuple[str, ...]] = (
        *FREE_ON_RESUME,
        *VisionTrainConfig.start_folders,
    )

    def depends_on(self) -> str:
        """What the first weights are. Raises ModelError if their model has another shape."""
        self.refuse_missing_packages()
        digests = []
        with tempfile.TemporaryDirectory() as folder:
            if self.init_from is not None:
                from corpusmill.trainer.importing import refuse_other_shape

                refuse_other_shape(_fetch(self.init_from, (CONFIG,), Path(folder)), self.model)
            for number, source in enumerate(filter(None, (self.init_from, self.init_vision_from))):
                digests += [
                    storage.digest_of(storage.join(source, name))
                    for name in _weights(source, Path(folder, str(number)))
                ]
        return hashlib.sha256("".join(digests).encode()).hexdigest() if digests else ""

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
    from corpusmill.trainer.records import StepRecord
    from corpusmill.trainer.workers import run
    from corpusmill.vision.build import parts

    scratch = Path(shard.scratch)
    shards = [
        storage.local_copy(artifact.path, scratch / "shards" / f"{number:06d}", artifact.size)
        for number, artifact in enumerate(shard.inputs)
    ]
    for artifact, path in zip(shard.inputs, shards, strict=True):
        footer = pq.read_metadata(path)
        if "tokens" not in footer.schema.to_arrow_schema().names:
            raise CorpusmillError(f"{artifact.path} holds no tokens", "run pack on it first")
        shard.count_rows(artifact, footer.num_rows)

    def on_step(record: StepRecord) -> None:
        shard.report(record.step, record.steps, f"steps, loss {record.loss:.3f}")

    for key in settings.start_folders:
        source = getattr(settings, key)
        if source is not None:
            names = _weights(source, scratch / key)
            init = _fetch(source, (CONFIG, *names), scratch / key)
            settings = settings.model_copy(update={key: str(init)})
    result = run(settings.training(), shards, scratch, on_step, parts(settings))
    for path in sorted(result.checkpoint.iterdir()):
        shard.keep(path, CHECKPOINT)
    # Speeds differ from run to run, so the log is no part of the receipt.
    local = result.log.parent
    for path in (local / LOG, local / PICTURE, *sorted(local.glob(f"{EVENTS}/*"))):
        target = storage.join(shard.folder, *path.relative_to(local).parts)
        with storage.atomic_writer(target) as file:
            file.write(path.read_bytes())
    account = Counts("train", rows_in=shard.rows_read, kept=result.documents, tokens=result.tokens)
    account.leave_out("held_out", result.held_out)
    account.leave_out("not_reached", result.not_reached)
    return [account]


def _fetch(source: str, names: tuple[str, ...], folder: Path) -> Path:
    """A local folder with files of the folder `source`, as far as they are there."""
    if not storage.is_remote(source):
        return Path(storage.local(source))
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = storage.join(source, name)
        if storage.exists(path):
            storage.local_copy(path, folder)
    return folder


def _weights(source: str, folder: Path) -> list[str]:
    """The names of a model folder's weight files."""
    from corpusmill.trainer.importing import INDEX, WEIGHTS, weight_files

    if not storage.exists(storage.join(source, INDEX)):
        return [WEIGHTS]
    return [path.name for path in weight_files(_fetch(source, (INDEX,), folder))]
