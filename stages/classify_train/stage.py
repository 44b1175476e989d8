"""Train quality scorers on good text against ordinary text, or on graded text.

`positive` and `negative` name two collections, such as reference corpora and crawl. DCLM trains its
fastText classifier in this way (arXiv 2406.11794, section 4.4). Or `labelled` names text with a
label column: 0 and 1, or grades such as the 0-5 of FineWeb-Edu (arXiv 2406.17557, section 4). The
passes `count` and `select` draw a sample (`stages.classify_train.sample`). `embed` turns it into
vectors if an encoder is set. `classify-train` trains and evaluates:

    models/fasttext.bin         models/embedding.safetensors
    models/static.safetensors   models/statistics.safetensors
    models/report.json

fastText and logistic regression learn positive against the rest. With grades, the other models
learn the grade.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Self

import pyarrow as pa
from corpusmill.classifiers.embedding import EmbeddingTraining
from corpusmill.classifiers.encoder import embed, refuse_absent_gpu
from corpusmill.classifiers.encoder_files import encoder_digest
from corpusmill.classifiers.fasttext_model import FastTextTraining
from corpusmill.classifiers.static_model import StaticTraining
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.classify_train.fitting import (
    BATCH_ROWS,
    MODELS,
    Sample,
    train_embedding,
    train_fasttext,
    train_static,
    train_statistics,
)
from corpusmill.stages.classify_train.sample import (
    LABELLED,
    NEGATIVE,
    POSITIVE,
    SENT,
    count,
    select,
    share_out,
)
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes
from corpusmill.stages.readers import ReaderSettings
from corpusmill.stages.readers.documents import input_shards
from pydantic import Field, PositiveInt, model_validator

VECTORS = pa.schema(
    [
        ("rank", pa.int64()),
        ("label", pa.float32()),
        ("held_out", pa.bool_()),
        ("vector", pa.list_(pa.float32())),
    ]
)
ROLES = (POSITIVE, NEGATIVE, LABELLED)


class ClassifyTrain(GlobalStage):
    """Train quality scorers on labelled text."""

    name: ClassVar[str] = "classify_train"
    version: ClassVar[int] = 4
    account: ClassVar[Account] = Account.MANY_TO_ONE

    positive: tuple[str, ...] = ()
    """Good text: stage folders, files or globs (JSON lines, Parquet, text)."""
    negative: tuple[str, ...] = ()
    """Ordinary text, given like `positive`."""
    labelled: tuple[str, ...] = ()
    """Files with a column of labels, in place of `positive` and `negative`."""
    label_column: str = "label"
    """The column of `labelled` that holds the label or grade."""
    threshold: float | None = None
    """The grade from which a document is positive.

    Null: 0.5 for labels 0 and 1, 3 for grades, as in FineWeb-Edu.
    """
    documents_per_label: PositiveInt = 20_000
    """At most so many documents of each label. With two labels, equally many of both."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """The share of documents kept for evaluation."""
    max_chars: PositiveInt = 20_000
    """Characters read from the beginning of each text."""
    fasttext: FastTextTraining | None = FastTextTraining()
    """The fastText classifier to train. Null: none."""
    embedding: EmbeddingTraining | None = None
    """The head on a sentence encoder to train. Null: none."""
    static: StaticTraining | None = None
    """The network on static token vectors to train. Null: none."""
    statistics: bool = True
    """Whether to train the model over text statistics."""
    reader: ReaderSettings = ReaderSettings()
    """How raw files are read."""
    seed: int = 0
    """Seed of the draw of documents and of the split."""

    @model_validator(mode="after")
    def _has_text_and_something_to_train(self) -> Self:
        if bool(self.labelled) == bool(self.positive or self.negative):
            raise RecipeError(
                "classify-train needs text to learn from",
                "set `positive` and `negative`, or `labelled`",
            )
        if not self.labelled and not (self.positive and self.negative):
            raise RecipeError(
                "classify-train has only one side", "set both `positive` and `negative`"
            )
        if not (self.fasttext or self.embedding or self.static or self.statistics):
            raise RecipeError(
                "classify-train has nothing to train",
                "set fasttext, embedding, static or statistics",
            )
        return self

    def depends_on(self) -> str:
        """Raises ModelError if the encoder or the table of token vectors cannot be used."""
        encoder = (
            encoder_digest(self.embedding.encoder, self.embedding.revision)
            if self.embedding
            else ""
        )
        return f"{encoder} static={self.static.depends_on()}" if self.static else encoder

    def refuse_early(self, here: bool) -> None:
        if here and self.embedding:
            refuse_absent_gpu(self.embedding)

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {role: getattr(self, role) for role in ROLES if getattr(self, role)}

    def passes(self, inputs: Inputs) -> Passes:
        files = {
            f"{role}-{name}": (role, artifact)
            for role in self.named_inputs()
            for name, artifact in input_shards(inputs.named[role], "classify-train").items()
        }
        shards = {name: (artifact,) for name, (_, artifact) in files.items()}
        counting = yield Pass(name="count", shards=shards, work=partial(_count, self))
        counted = {
            name: json.loads(storage.read_bytes(receipt.outputs[0].path))
            for name, receipt in counting.receipts.items()
        }
        quotas = share_out(
            counted,
            self.documents_per_label,
            self.seed,
        )
        selected = yield Pass(
            name="select",
            shards={name: shards[name] for name in counted},
            work=partial(_select, self),
            shard_settings={
                name: json.dumps(quota, sort_keys=True) for name, quota in quotas.items()
            },
        )
        sample = selected.outputs()
        vectors: tuple[Artifact, ...] = ()
        if self.embedding:
            embedded = yield Pass(
                name="embed",
                shards={
                    name: tuple(receipt.outputs) for name, receipt in selected.receipts.items()
                },
                work=partial(_embed, self.embedding),
                holds_engine=True,
                gpus=0 if self.embedding.device == "cpu" else 1,
            )
            vectors = embedded.outputs()
        yield Pass(
            name=self.name,
            shards={MODELS: (*sample, *vectors)},
            work=partial(_train, self),
            final=True,
        )


def _role(shard: Shard) -> str:
    return shard.name.split("-", 1)[0]


def _count(config: ClassifyTrain, shard: Shard) -> list[Counts]:
    count(_role(shard), config.label_column, config.reader, config.name, shard)
    return []


def _select(config: ClassifyTrain, shard: Shard) -> list[Counts]:
    account = select(
        _role(shard),
        config.label_column,
        config.reader,
        config.name,
        json.loads(shard.shard_settings),
        config.held_out,
        config.max_chars,
        config.seed,
        shard,
    )
    return [account]


def _embed(settings: EmbeddingTraining, shard: Shard) -> list[Counts]:
    """Write the sample's vectors as `work/embed/<shard>.parquet` (`VECTORS`), in its order."""
    with shard.parquet("work/embed", VECTORS, row_group_bytes=1 << 20) as output:
        for table in read_parquet(shard.inputs[0]):
            for start in range(0, table.num_rows, BATCH_ROWS):
                rows = table.slice(start, BATCH_ROWS)
                found = embed(settings, rows["text"].to_pylist())
                vectors = pa.array(list(found), type=VECTORS.field("vector").type)
                output.write(
                    rows.select(["rank", "label", "held_out"]).append_column("vector", vectors)
                )
                shard.report(output.rows, shard.inputs[0].rows)
    return []


def _train(config: ClassifyTrain, shard: Shard) -> list[Counts]:
    """Write the models and their report from the outputs of `select` and `embed`."""
    by_pass = {
        name: tuple(item for item in shard.inputs if f"/work/{name}/" in item.path)
        for name in ("select", "embed")
    }
    for artifact in by_pass["select"]:
        for table in read_parquet(artifact, SENT):
            shard.receive(artifact, table)
    sample = Sample(by_pass["select"], config.threshold)
    sample.check()
    report: dict[str, Any] = {}
    if config.fasttext:
        report["fasttext"] = train_fasttext(config.fasttext, sample, shard)
    if config.embedding:
        report["embedding"] = train_embedding(config.embedding, by_pass["embed"], sample, shard)
    if config.static:
        report["static"] = train_static(config.static, sample, shard)
    if config.statistics:
        report["statistics"] = train_statistics(sample, shard)
    summary = {
        "models": report,
        "labels": sample.summary(),
        "threshold": sample.threshold,
        "seed": config.seed,
    }
    shard.file(
        MODELS, "report.json", (json.dumps(summary, indent=1, sort_keys=True) + "\n").encode()
    )
    return [Counts(config.name, received=shard.rows_received, kept=len(sample.labels))]
