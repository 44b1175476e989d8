"""The trainer's verbs as stages of a recipe: `train` and `export`, each one shard of work, with receipts and manifests like any other.

This is where the pipeline knows the trainer; the stages that handle documents do not. Training keeps its checkpoints in the shard's
scratch folder, so an interrupted run goes on from the last one; the last checkpoint becomes the stage's output.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from manifests import storage
from manifests.config import config
from manifests.errors import InputError, ModelError
from manifests.manifest import find_manifests, read_manifest
from manifests.receipt import Counts
from manifests.shard import Shard
from manifests.trace import sources
from stages.contract import Inputs, Pass, Passes
from trainer.config import TrainConfig, train_config_from

CHECKPOINT = "checkpoint"
LOG = "log.jsonl"


@config
class Train(TrainConfig):
    """Train a hybrid on the token shards of a pack stage. All keys are those of `trainer.config.TrainConfig`."""

    name: ClassVar[str] = "train"
    version: ClassVar[int] = 1

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

    scratch = _local_scratch(shard)
    shards = [
        _local_copy(artifact.path, scratch / "shards" / f"{number:06d}")
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
    if storage.is_remote(shard.folder):
        shutil.rmtree(scratch)
    return [Counts("train", rows_in=rows, kept=rows, tokens=result.tokens)]


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
    """The documents (id, token span, source, origin) of training sequence `number`. Raises InputError if `root` trained no model."""
    from trainer.data import PackedStream, catalogue

    if not number.isdigit():
        raise InputError(f"sequence:{number} is no number", "write sequence:0, sequence:1, ...")
    folders = [folder for folder in find_manifests(root) if read_manifest(folder).verbs[-1] == "train"]
    if not folders:
        raise InputError(f"{root} holds no trained model", "give the output folder of a run that trains")
    manifest = read_manifest(folders[0])
    settings = train_config_from(next(iter(manifest.config.values())))
    packed = [artifact for parent in manifest.parents for artifact in read_manifest(parent.path).documents()]
    with tempfile.TemporaryDirectory() as temporary:
        shards = [
            _local_copy(artifact.path, Path(temporary) / f"{number:06d}") for number, artifact in enumerate(packed)
        ]
        corpus = catalogue(shards, settings.sequence_length, settings.eval_fraction)
        stream = PackedStream(corpus, settings.seed, settings.pack, settings.shuffle_window)
        spans = stream.documents_of(int(number))
    found = sources(root, {span.id for span in spans})
    parents = sources(root, {source["parent"] for source in found.values() if "parent" in source})
    documents = []
    for span in spans:
        source = found.get(span.id, {})
        document = {"id": span.id, "start": span.span[0], "end": span.span[1], **source}
        if "parent" in source:
            document["parent"] = {"id": source["parent"], **parents.get(source["parent"], {})}
        documents.append(document)
    return {"sequence": int(number), "documents": documents}


def _local_scratch(shard: Shard) -> Path:
    """The scratch folder, on this machine where the output is remote (then only this machine can go on after an interruption)."""
    if not storage.is_remote(shard.folder):
        return Path(storage.local(shard.scratch))
    return Path(tempfile.gettempdir()) / f"corpusmill-train-{shard.plan_hash[:16]}"


def _local_copy(path: str, folder: Path) -> Path:
    """`path` where local programs can open it by its own name in `folder`: a link to a local file, a copy of a remote one."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.rsplit("/", 1)[-1]
    if target.is_symlink() or target.exists():
        target.unlink()
    if storage.is_remote(path):
        target.write_bytes(storage.read_bytes(path))
    else:
        target.symlink_to(Path(storage.local(path)).resolve())
    return target


def _keep(shard: Shard, path: Path, where: str) -> None:
    """Copy a finished local file into the stage's folder and vouch for it."""
    target = storage.join(shard.folder, where, path.name)
    with storage.atomic_writer(target) as sink, path.open("rb") as source:
        shutil.copyfileobj(source, sink, 8 << 20)  # type: ignore[misc]
    shard.outputs.append(storage.Artifact(target, sink.digest, sink.size))
