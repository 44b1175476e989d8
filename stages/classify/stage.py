"""Quality by an ensemble of scorers. A document's quality is its highest bucket, or their mean.

The method is Nemotron-CC's (arXiv 2412.02595, section 2.2). Several scorers disagree about what is
good. Each scorer's scores are cut into twenty buckets, from 0 to 19, over the whole corpus. The
highest bucket counts. The twenty buckets make five levels. Pass `score` reads each shard once and
writes scores and a histogram. `thresholds` merges the histograms. `classify` writes the documents
by level:

    documents/level=<level>/kind=actual/<shard>.parquet     every level for every shard
    documents/level=<level>/kind=synthetic/<shard>.parquet  if a shard holds synthetic documents
    work/thresholds/thresholds.json                         edges, for `thresholds:` of a later run

A document that a scorer cannot judge is excluded: `error_classify.no_text`, or
`error_classify.<scorer>`.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Annotated, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.classifiers.buckets import (
    LEVEL_BORDERS,
    Combine,
    Histogram,
    bucket_of,
    combined,
    edges_of,
    histogram,
    level_of,
    merged,
)
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.encoder import rows_at_a_time
from corpusmill.classifiers.scorer import ScorerConfig, readable_texts
from corpusmill.classifiers.thresholds import FILE_NAME, Thresholds, read_thresholds, to_bytes
from corpusmill.manifests import model_files, storage
from corpusmill.manifests.errors import ModelError, RecipeError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.parquet_output import ParquetOutput
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, LEVELS, conform, excluded, extended
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED, GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.stages.readers.documents import count_reasons, input_shards
from pydantic import Field, model_validator

BATCH_ROWS = 1024
LEVEL_ROW_GROUP_BYTES = 16 << 20  # small, because five files are open at a time
SCORE, HISTOGRAM, THRESHOLDS = "work/score", "work/histogram", "work/thresholds"
KINDS = ("actual", "synthetic")
MERGED_AT_ONCE = 64

HISTOGRAM_SCHEMA = pa.schema(
    [
        ("scorer", pa.string()),
        ("bin", pa.uint32()),
        ("documents", pa.int64()),
        ("text_bytes", pa.int64()),
    ]
)

Bucket = Annotated[int, Field(ge=1, le=19)]


class Classify(GlobalStage):
    """Score quality, and give every document a level."""

    name: ClassVar[str] = "classify"
    version: ClassVar[int] = 2
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    scorers: dict[str, ScorerConfig] = Field(min_length=1)
    """A name of your choice -> a scorer. Each becomes the columns score_NAME and bucket_NAME."""
    borders: tuple[Bucket, Bucket, Bucket, Bucket] = LEVEL_BORDERS
    """The lowest buckets of medium_low, medium, medium_high and high, ascending."""
    combine: Combine = "max"
    """The quality: the highest of a document's buckets, as in Nemotron-CC, or their rounded mean.

    The mean finds more good text at equal precision. Few documents reach its outer buckets, so it
    needs other borders.
    """
    thresholds: str | None = None
    """The thresholds file of an earlier run, used as it is. Null: made from these documents."""

    @model_validator(mode="after")
    def _names_and_borders(self) -> Self:
        for name in self.scorers:
            if not (name.isidentifier() and name.islower() and name.isascii()):
                raise RecipeError(
                    f"scorers.{name} cannot be a scorer's name",
                    "use lower-case letters, digits and underscores",
                )
        if list(self.borders) != sorted(set(self.borders)):
            raise RecipeError(
                f"borders is {list(self.borders)}", "give four ascending buckets within 1 to 19"
            )
        return self

    def adds(self) -> tuple[pa.Field, ...]:
        """The columns that the stage adds to the document schema."""
        return tuple(
            field
            for name in self.scorers
            for field in (
                pa.field(f"score_{name}", pa.float32()),
                pa.field(f"bucket_{name}", pa.uint8()),
            )
        )

    def depends_on(self) -> str:
        """Digests of the models and of the thresholds file.

        Raises ModelError if one of them cannot be used, or if they do not belong together.
        """
        models = {name: scorer.depends_on() for name, scorer in sorted(self.scorers.items())}
        parts = [f"{name}={model}" for name, model in models.items()]
        if self.thresholds is not None:
            known = read_thresholds(self.thresholds)
            for name, model in models.items():
                if name not in known:
                    raise ModelError(
                        f"{self.thresholds} has no thresholds for the scorer {name}; "
                        f"it has {', '.join(sorted(known))}",
                        "name the scorers as in the run that made it, or leave out `thresholds`",
                    )
                if known[name].model != model:
                    raise ModelError(
                        f"{self.thresholds} was made with another model of the scorer {name}",
                        "use that model again, or leave out `thresholds` to have them made anew",
                    )
            parts.append(f"thresholds={model_files.digest(self.thresholds)}")
        return " ".join(parts)

    def passes(self, inputs: Inputs) -> Passes:
        documents = input_shards(inputs.documents, self.name)
        encodes = any(
            isinstance(item, EmbeddingScorer) and item.device != "cpu"
            for item in self.scorers.values()
        )
        scored = yield Pass(
            name="score",
            shards={name: (artifact,) for name, artifact in documents.items()},
            work=partial(_score, self),
            holds_engine=any(isinstance(item, EmbeddingScorer) for item in self.scorers.values()),
            gpus=1 if encodes else 0,
        )
        if self.thresholds is not None:
            thresholds = storage.artifact_of(self.thresholds)
        else:
            cut = yield Pass(
                name="thresholds",
                shards={"thresholds": scored.outputs(HISTOGRAM)},
                work=partial(
                    _thresholds,
                    {name: scorer.depends_on() for name, scorer in self.scorers.items()},
                ),
            )
            (thresholds,) = cut.outputs()
        yield Pass(
            name=self.name,
            shards={
                name: (
                    documents[name],
                    *(item for item in receipt.outputs if f"/{SCORE}/" in item.path),
                    thresholds,
                )
                for name, receipt in scored.receipts.items()
            },
            work=partial(_assign, self),
            final=True,
        )


def _score(config: Classify, shard: Shard) -> list[Counts]:
    """Write a row for each document: id and scores, null without a score. Also write histograms of
    the documents that all scorers judged.
    """
    (documents,) = shard.inputs
    schema = pa.schema([("id", pa.string()), *((name, pa.float32()) for name in config.scorers)])
    counted: dict[str, list[Histogram]] = {name: [] for name in config.scorers}
    with shard.parquet(SCORE, schema) as output:
        for table in _batches(shard, documents, _rows_at_a_time(config)):
            scores = _scores(config, table["text"])
            whole = np.all([np.isfinite(values) for values in scores.values()], axis=0)
            sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
            for name, values in scores.items():
                counted[name] = _gathered([*counted[name], histogram(values[whole], sizes[whole])])
            columns = {
                name: pa.array(values, mask=~np.isfinite(values)) for name, values in scores.items()
            }
            output.write(pa.table({"id": table["id"], **columns}))
            shard.report(output.rows, documents.rows or None)
    with shard.parquet(HISTOGRAM, HISTOGRAM_SCHEMA) as histograms:
        for name in config.scorers:
            found = merged(counted[name])
            histograms.write(
                pa.table(
                    {
                        "scorer": [name] * len(found.bins),
                        "bin": found.bins,
                        "documents": found.documents,
                        "text_bytes": found.text_bytes,
                    }
                )
            )
    return []


def _scores(config: Classify, column: pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    texts = readable_texts(column)
    places = [place for place, text in enumerate(texts) if text is not None]
    readable = [text for text in texts if text is not None]
    found = {}
    for name, scorer in config.scorers.items():
        values = np.full(len(texts), np.nan, dtype=np.float32)
        if readable:
            values[places] = scorer.score(readable)
        found[name] = values
    return found


def _thresholds(models: Mapping[str, str], shard: Shard) -> list[Counts]:
    """Merge the shards' histograms and cut each scorer's scores into twenty buckets.

    models: scorer name -> what it depends on.
    """
    counted: dict[str, list[Histogram]] = {name: [] for name in models}
    for artifact in shard.inputs:
        for table in read_parquet(artifact):
            for name in models:
                rows = table.filter(pc.equal(table["scorer"], name))
                part = Histogram(
                    *(rows[column].to_numpy() for column in ("bin", "documents", "text_bytes"))
                )
                counted[name] = _gathered([*counted[name], part])
    found = {}
    for name, model in models.items():
        total = merged(counted[name])
        found[name] = Thresholds(
            model=model,
            edges=tuple(edges_of(total)),
            documents=int(total.documents.sum()),
            text_bytes=int(total.text_bytes.sum()),
        )
    shard.file(THRESHOLDS, FILE_NAME, to_bytes(found))
    return []


def _gathered(parts: list[Histogram]) -> list[Histogram]:
    """The same histograms. If they are many, they are merged into one."""
    return parts if len(parts) < MERGED_AT_ONCE else [merged(parts)]


def _assign(config: Classify, shard: Shard) -> list[Counts]:
    """Write every document with its scores, buckets, quality and level into its level's file."""
    documents, scores, thresholds = shard.inputs
    edges = {name: item.edges for name, item in read_thresholds(thresholds.path).items()}
    schema = extended(*config.adds(), of=extended(*schema_of(documents)))
    scored = pa.concat_tables([schema_of(scores).empty_table(), *shard.read(scores)])
    account = Counts(Classify.name)
    with (
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema)) as excluded_output,
        ExitStack() as stack,
    ):
        outputs = _open_levels(shard, schema, stack, KINDS[0])
        for group in shard.read(documents):
            group = conform(group, schema)
            here = scored.slice(account.rows_in, group.num_rows)
            assert here["id"].equals(group["id"]), "scores belong to the documents in their order"
            account.rows_in = shard.rows_read
            kept, dropped = _split(config, group, here)
            excluded_output.write(dropped)
            count_reasons(account, dropped["reason"].to_pylist())
            kept = _with_quality(config, kept, edges)
            synthetic = pc.fill_null(pc.equal(kept["kind"], KINDS[1]), False)
            for kind, rows in (
                (KINDS[0], kept.filter(pc.invert(synthetic))),
                (KINDS[1], kept.filter(synthetic)),
            ):
                if rows.num_rows and (kind, LEVELS[0]) not in outputs:
                    outputs |= _open_levels(shard, schema, stack, kind)
                for level in LEVELS if rows.num_rows else ():
                    outputs[kind, level].write(rows.filter(pc.equal(rows["level"], level)))
            shard.report(account.rows_in, documents.rows or None)
    account.kept = sum(output.rows for output in outputs.values())
    account.text_bytes = sum(output.text_bytes for output in outputs.values())
    account.tokens = sum(output.tokens for output in outputs.values())
    return [account]


def _open_levels(
    shard: Shard, schema: pa.Schema, stack: ExitStack, kind: str
) -> dict[tuple[str, str], ParquetOutput]:
    return {
        (kind, level): stack.enter_context(
            shard.parquet(
                f"{DOCUMENTS}/level={level}/kind={kind}",
                schema,
                row_group_bytes=LEVEL_ROW_GROUP_BYTES,
            )
        )
        for level in LEVELS
    }


def _split(config: Classify, table: pa.Table, scored: pa.Table) -> tuple[pa.Table, pa.Table]:
    """(documents with all their scores, documents without, as excluded rows)."""
    for name in config.scorers:
        table = _with(table, f"score_{name}", scored[name])
    failed = pa.array(
        np.any([scored[name].is_null().to_numpy() for name in config.scorers], axis=0)
    )
    dropped = table.filter(failed)
    reasons, details = [], []
    for row, text in enumerate(readable_texts(dropped["text"])):
        failing = next(
            name for name in config.scorers if not dropped[f"score_{name}"][row].is_valid
        )
        if text is None:
            reasons.append("error_classify.no_text")
            details.append("the text is missing or is not UTF-8")
        else:
            reasons.append(f"error_classify.{failing}")
            details.append(f"the scorer {failing} has no score for this text")
    return table.filter(pc.invert(failed)), excluded(dropped, Classify.name, reasons, details)


def _with_quality(
    config: Classify, table: pa.Table, edges: Mapping[str, tuple[float | None, ...]]
) -> pa.Table:
    found: list[npt.NDArray[np.uint8]] = []
    for name in config.scorers:
        found.append(bucket_of(table[f"score_{name}"].to_numpy(), edges[name]))
        table = _with(table, f"bucket_{name}", pa.array(found[-1]))
    quality = combined(np.stack(found), config.combine)
    levels = pa.array(LEVELS).take(pa.array(level_of(quality, config.borders)))
    return _with(_with(table, "quality", pa.array(quality)), "level", levels)


def _with(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return with_column(table, table.schema.field(name), values)


def _rows_at_a_time(config: Classify) -> int:
    encoders = [item for item in config.scorers.values() if isinstance(item, EmbeddingScorer)]
    return max(map(rows_at_a_time, encoders), default=BATCH_ROWS)


def _batches(shard: Shard, documents: Artifact, rows: int) -> Iterator[pa.Table]:
    for group in shard.read(documents, ["id", "text"]):
        for start in range(0, group.num_rows, rows):
            yield group.slice(start, rows)
