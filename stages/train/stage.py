"""Train a model as a stage: one shard of work, with receipts and manifests like any other.

Training keeps its checkpoints in the shard's scratch folder. So an interrupted run goes on from the
last one. The last checkpoint becomes the stage's output.
"""

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes, Reads, Stage
from corpusmill.stages.evaluate.stage import Evaluate
from corpusmill.stages.pack.stage import Pack
from corpusmill.trainer.config import FREE_ON_RESUME
from corpusmill.vision.config import VisionTrainConfig
from pydantic import PositiveInt, model_validator

if TYPE_CHECKING:
    from corpusmill.trainer.config import TrainConfig
    from corpusmill.trainer.model import HybridModel
    from corpusmill.trainer.parts import Read
    from corpusmill.trainer.records import StepRecord

CONFIG = "config.json"
CHECKPOINT = "checkpoint"
LOG, PICTURE, EVENTS = "log.jsonl", "loss.svg", "tensorboard"
SEQUENCES = "sequences.json"  # what each packing makes of the data
FIGURES = "figures.json"  # of the gauge


class Train(VisionTrainConfig, GlobalStage):
    """Train a hybrid on the token shards of a pack stage."""

    name: ClassVar[str] = "train"
    version: ClassVar[int] = 4
    account: ClassVar[Account] = Account.MANY_TO_ONE
    reads: ClassVar[Reads] = Reads.TOKENS
    free_settings: ClassVar[tuple[str, ...]] = (
        *FREE_ON_RESUME,
        *VisionTrainConfig.start_folders,
        "gauge",
        "gauge_every",
        "gauge_last",
    )

    gauge: Evaluate | None = None
    """What is measured while the model trains: tasks that are scored by log-likelihood, and
    held-out text, as in `evaluate`. Needs the tokenizer. Null: nothing.
    """
    gauge_every: PositiveInt = 1000
    """Steps between measurements. There is one after the last step, too."""
    gauge_last: PositiveInt = 5
    """The means of so many last measurements stand beside the last one."""

    @model_validator(mode="after")
    def _gauge_can_measure(self) -> Self:
        if self.gauge is None:
            return self
        if self.gauge.tokenizer is None:
            raise RecipeError("gauge.tokenizer is missing", "name the folder of the tokenizer")
        if not self.gauge.tasks and not self.gauge.held_out:
            raise RecipeError(
                "gauge measures nothing", "name gauge.tasks or gauge.held_out, or leave out gauge"
            )
        if self.shard_ranks > 1:
            raise RecipeError(
                "a model that is sharded over processes cannot be measured while it trains",
                "leave out gauge, or set shard_ranks to 1",
            )
        return self

    def refuse_early(self, here: bool) -> None:
        if self.gauge is not None:
            self.gauge.gauge_tasks()
        if not here:
            return
        self.refuse_missing_packages()
        needs_gpu = self.device not in ("auto", "cpu") or self.cuda_graph is True
        if needs_gpu or self.num_workers > 1 or self.precision != "plain":
            from corpusmill.trainer.ranks import refuse_machine

            refuse_machine(self)

    def doubt_after(self, before: Stage) -> str:
        # It trains as long as the data uses no later token, so this is no error.
        if not isinstance(before, Pack) or before.vocabulary_size() <= self.model.vocab_size:
            return ""
        return (
            f"{before.tokenizer} has {before.vocabulary_size()} tokens, "
            f"the model knows {self.model.vocab_size}: if the data holds one of the others, "
            f"training stops before its first step; set model.vocab_size to at least "
            f"{before.vocabulary_size()}"
        )

    def depends_on(self) -> str:
        """What the first weights are. Raises ModelError if their model has another shape."""
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
    from corpusmill.trainer.checkpoint import STATE
    from corpusmill.trainer.parts import Gauging
    from corpusmill.trainer.records import StepRecord, read_records
    from corpusmill.trainer.token_shards import TOKENIZER
    from corpusmill.trainer.workers import run
    from corpusmill.vision.build import parts

    scratch = Path(shard.scratch)
    shards = [
        storage.local_copy(artifact.path, scratch / "shards" / f"{number:06d}", artifact.size)
        for number, artifact in enumerate(shard.inputs)
    ]
    packed_with: dict[bytes, str] = {}
    for artifact, path in zip(shard.inputs, shards, strict=True):
        footer = pq.read_metadata(path)
        if "tokens" not in footer.schema.to_arrow_schema().names:
            raise CorpusmillError(f"{artifact.path} holds no tokens", "run pack on it first")
        if TOKENIZER in (footer.metadata or {}):
            packed_with.setdefault(footer.metadata[TOKENIZER], artifact.path)
        if len(packed_with) > 1:  # the trainer would name the copies
            one, other = packed_with.values()
            raise CorpusmillError(
                f"{other} was packed with another tokenizer than {one}",
                "run pack on all documents with the same tokenizer",
            )
        shard.count_rows(artifact, footer.num_rows)

    notes: list[str] = []

    def on_step(record: StepRecord) -> None:
        notes.extend([record.note] if record.note else [])
        text = "; ".join([f"steps, loss {record.loss:.3f}", *notes])
        shard.report(record.step, record.steps, text)

    for key in settings.start_folders:
        source = getattr(settings, key)
        if source is not None:
            names = _weights(source, scratch / key)
            init = _fetch(source, (CONFIG, STATE, *names), scratch / key)
            settings = settings.model_copy(update={key: str(init)})
    made = parts(settings)
    if settings.gauge is not None:
        gauging = Gauging(settings.gauge_every, partial(_reader, settings.gauge))
        made = dataclasses.replace(made, gauging=gauging)
    result = run(settings.training(), shards, scratch, on_step, made)
    for path in sorted(result.checkpoint.iterdir()):
        shard.keep(path, CHECKPOINT)
    # Speeds differ from run to run, so the log is no part of the receipt. What is measured does not
    # change the model, so figures are none either.
    local = result.log.parent
    others = sorted(local.glob(f"{EVENTS}/*"))
    if settings.gauge is not None:
        (local / FIGURES).write_text(_figures(read_records(result.log), settings.gauge_last))
        others.append(local / FIGURES)
    for path in (local / LOG, local / PICTURE, local / SEQUENCES, *others):
        target = storage.join(shard.folder, *path.relative_to(local).parts)
        with storage.atomic_writer(target) as file:
            file.write(path.read_bytes())
    account = Counts("train", rows_in=shard.rows_read, kept=result.documents, tokens=result.tokens)
    account.leave_out("held_out", result.held_out)
    account.leave_out("not_reached", result.not_reached)
    return [account]


def _reader(gauge: Evaluate, model: "HybridModel", config: "TrainConfig") -> "Read":
    from corpusmill.evaluation.gauge import named
    from corpusmill.stages.evaluate.gauge import gauge_for

    made = gauge_for(model, gauge, config.sequence_length)
    return lambda _step, model: named(made.read(model))


def _figures(records: "Sequence[StepRecord]", last: int) -> str:
    """Every figure at the last measurement, and its mean over the last ones, as JSON."""
    from corpusmill.evaluation.gauge import last_mean

    found = {record.step: record.figures for record in records if record.figures}
    if not found:
        raise CorpusmillError(
            "the training was finished before it had a gauge, so nothing was measured",
            "leave out gauge, and measure the model with evaluate",
        )
    step = max(found)
    means = last_mean(found, last)
    figures = {
        name: {"last": value, "mean": means[name][0], "deviation": means[name][1]}
        for name, value in found[step].items()
        if name in means
    }
    steps = sorted(found)[-last:]
    return json.dumps({"step": step, "mean_of_steps": steps, "figures": figures}, indent=1) + "\n"


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
