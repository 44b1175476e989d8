"""The trainer's verbs as stages of a recipe: `train` and `export`, each one shard of work, with receipts and manifests like any other.

This is where the pipeline knows the trainer; the stages that handle documents do not. Training keeps its checkpoints in the shard's
scratch folder, so an interrupted run goes on from the last one; the last checkpoint becomes the stage's output.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from manifests import storage
from manifests.config import config
from manifests.errors import InputError, ModelError, RecipeError
from manifests.find import finished_stages
from manifests.manifest import read_manifest
from manifests.receipt import Counts
from manifests.shard import Shard, read_parquet
from manifests.trace import sources
from pipeline.settings import build_settings
from stages.contract import Inputs, Pass, Passes
from trainer.config import TrainConfig

CHECKPOINT = "checkpoint"
LOG = "log.jsonl"


@config
class Train(TrainConfig):
    """Train a hybrid on the token shards of a pack stage. All keys are those of `trainer.config.TrainConfig`."""

    name: ClassVar[str] = "train"
    version: ClassVar[int] = 1
    reads: ClassVar[str] = "tokens"
    free_settings: ClassVar[tuple[str, ...]] = ("checkpoint_every", "keep", "log_every")

    def depends_on(self) -> str:
        return ""

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def passes(self, inputs: Inputs) -> Passes:
        yield Pass(
            name="train",
            shards={"model": inputs.documents},
            work=partial(_train, self),
            final=True,
            holds_engine=True,
            cpus=self.threads or 1,
            gpus=0 if self.device == "cpu" else 1,
        )


@config
class Export:
    """Write a checkpoint as a folder that transformers and vLLM load as NemotronHForCausalLM.

    tokenizer: the folder of the tokenizer that the data was packed with (`step:pack/tokenizer`). dtype: of the weights that are written.
    context_length: the longest input that readers expect; the training length by default.
    """

    tokenizer: str
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    context_length: int | None = None

    name: ClassVar[str] = "export"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.context_length is not None and self.context_length < 1:
            raise RecipeError(f"context_length is {self.context_length}", "give a positive number or leave it out")

    def depends_on(self) -> str:
        return hashlib.sha256("".join(map(storage.digest_of, self.tokenizer_files())).encode()).hexdigest()

    def tokenizer_files(self) -> list[str]:
        """The tokenizer's files that there are. Raises ModelError if tokenizer.json is not among them."""
        from trainer.export import TOKENIZER_FILES

        files = [storage.join(self.tokenizer, name) for name in TOKENIZER_FILES]
        if not storage.exists(files[0]):
            raise ModelError(
                f"{self.tokenizer} holds no {TOKENIZER_FILES[0]}",
                "name the folder of the tokenizer that packed the data",
            )
        return [path for path in files if storage.exists(path)]

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def passes(self, inputs: Inputs) -> Passes:
        yield Pass(name="export", shards={"model": inputs.documents}, work=partial(_export, self), final=True)


def _train(settings: Train, shard: Shard) -> list[Counts]:
    from trainer.train import StepRecord, train

    scratch = Path(shard.scratch)
    shards = [
        _local_copy(artifact.path, scratch / "shards" / f"{number:06d}", artifact.size)
        for number, artifact in enumerate(shard.inputs)
    ]
    rows = sum(artifact.rows for artifact in shard.inputs)

    def on_step(record: StepRecord) -> None:
        shard.report(record.step, record.steps, f"steps, loss {record.loss:.3f}")

    result = train(settings, shards, scratch, on_step)
    for path in sorted(result.checkpoint.iterdir()):
        _keep(shard, path, CHECKPOINT)
    with storage.atomic_writer(
        storage.join(shard.folder, LOG)
    ) as log:  # speeds differ from run to run: no part of the receipt
        log.write(result.log.read_bytes())
    unused = {"held_out": result.held_out, "not_reached": rows - result.documents - result.held_out}
    excluded = {reason: number for reason, number in unused.items() if number}
    return [Counts("train", rows_in=rows, kept=result.documents, excluded=excluded, tokens=result.tokens)]


def _export(settings: Export, shard: Shard) -> list[Counts]:
    from trainer.export import export

    state = [artifact.path for artifact in shard.inputs if artifact.name == "state.json"]
    if len(state) != 1:
        raise ModelError("the input of export holds no checkpoint", "name the output folder of train")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        checkpoint = work / CHECKPOINT
        for artifact in shard.inputs:
            _local_copy(artifact.path, checkpoint)
        tokenizer = work / "tokenizer"
        for path in settings.tokenizer_files():
            _local_copy(path, tokenizer)
        export(checkpoint, tokenizer, work / "model", settings.dtype, settings.context_length)
        for file in sorted((work / "model").iterdir()):
            _keep(shard, file, "")
    return [Counts("export", rows_in=1, kept=1)]


def trace_sequence(root: str, number: str) -> dict[str, Any]:
    """The documents (id, token span, source, origin) of training sequence `number`. Raises InputError if `root` trained no model or not
    on so many sequences."""
    from trainer.data import PackedStream
    from trainer.token_shards import catalogue

    if not number.isdecimal():
        raise InputError(f"{number!r} is no number of a sequence", "write sequence:0, sequence:1, ...")
    trained = [manifest for manifest in finished_stages(root) if manifest.verbs[-1] == "train"]
    if not trained:
        raise InputError(f"{root} holds no trained model", "give the output folder of a run that trains")
    manifest = trained[0]
    settings = build_settings(Train, next(iter(manifest.config.values())), "train")
    packed = [artifact for parent in manifest.parents for artifact in read_manifest(parent.path).documents()]
    with tempfile.TemporaryDirectory() as temporary:
        shards = [
            _local_copy(artifact.path, Path(temporary) / f"{number:06d}") for number, artifact in enumerate(packed)
        ]
        corpus = catalogue(shards, settings.sequence_length, settings.eval_fraction)
        stream = PackedStream(corpus, settings.seed, settings.pack, settings.shuffle_window)
        trained_on = settings.step_count(stream.epoch_rows) * settings.batch_size
        if int(number) >= trained_on:
            raise InputError(
                f"there is no sequence:{number}: the model was trained on {trained_on:,} sequences",
                f"give sequence:0 to sequence:{trained_on - 1}",
            )
        spans = stream.documents_of(int(number))
    ids = {span.id for span in spans}
    found = sources(root, ids)
    names = _packed_sources(packed, ids)
    parents = sources(root, {source["parent"] for source in found.values() if "parent" in source})
    documents = []
    for span in spans:
        source = found.get(span.id, {})
        document = {"id": span.id, "start": span.span[0], "end": span.span[1], **source, "source": names.get(span.id)}
        if "parent" in source:
            document["parent"] = {"id": source["parent"], **parents.get(source["parent"], {})}
        documents.append(document)
    return {"sequence": int(number), "tokens": settings.sequence_length, "documents": documents}


def _packed_sources(packed: Iterable[storage.Artifact], ids: set[str]) -> dict[str, str]:
    """id -> the name under which the document was packed: the blend's source, or else the document's own."""
    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, str] = {}
    for artifact in packed:
        for table in read_parquet(artifact, ["id", "source"]):
            rows = table.filter(pc.is_in(table["id"], value_set=wanted))
            found.update(zip(rows["id"].to_pylist(), rows["source"].to_pylist(), strict=True))
    return found


def _local_copy(path: str, folder: Path, size: int = -1) -> Path:
    """`path` where local programs can open it by its own name in `folder`: a link to a local file, a copy of a remote one.

    size: in bytes; a copy that has it, from an earlier attempt, is not fetched again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.rsplit("/", 1)[-1]
    if not storage.is_remote(path):
        target.unlink(missing_ok=True)
        target.symlink_to(Path(storage.local(path)).resolve())
    elif not target.exists() or target.stat().st_size != size:
        _copy(path, str(target))
    return target


def _keep(shard: Shard, path: Path, where: str) -> None:
    """Copy a finished local file into the stage's folder and vouch for it."""
    shard.outputs.append(_copy(str(path), storage.join(shard.folder, where, path.name)))


def _copy(path: str, target: str) -> storage.Artifact:
    with storage.atomic_writer(target) as sink, storage.open_read(path) as source:
        shutil.copyfileobj(source, sink, 8 << 20)  # type: ignore[misc]
    return storage.Artifact(target, sink.digest, sink.size)
