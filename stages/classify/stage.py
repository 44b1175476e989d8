"""Quality by an ensemble of scorers. A document's quality is its highest bucket, or their mean.

The method is Nemotron-CC's (arXiv 2412.02595, section 2.2). Several scorers disagree about what is
good. Each scorer's scores are cut into twenty buckets, from 0 to 19, over the whole corpus. The
highest bucket counts. The twenty buckets make five levels. Pass `score` reads each shard and writes
scores and a histogram. Encoders that may use a GPU score in a pass before it, `encode`, so that the
GPU does not wait for the other scorers, which then run on all cores. `thresholds` merges the
histograms. `classify` writes the documents by level:

    documents/level=<level>/kind=actual/<shard>.parquet     every level for every shard
    documents/level=<level>/kind=synthetic/<shard>.parquet  if a shard holds synthetic documents
    work/thresholds/thresholds.json                         edges, for `thresholds:` of a later run

A document that a scorer cannot judge is excluded: `error_classify.no_text`, or
`error_classify.<scorer>`.
"""

from functools import partial
from typing import Annotated, ClassVar, Self

import pyarrow as pa
from corpusmill.classifiers.buckets import LEVEL_BORDERS, Combine
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.encoder import refuse_absent_gpu
from corpusmill.classifiers.scorer import ScorerConfig
from corpusmill.classifiers.thresholds import read_thresholds
from corpusmill.manifests import model_files, storage
from corpusmill.manifests.errors import ModelError, RecipeError
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.classify import edges, levels, scoring
from corpusmill.stages.contract import GlobalStage, Inputs, Pass, Passes, Reads
from corpusmill.stages.readers.documents import input_shards
from pydantic import Field, model_validator

# Columns that have a meaning in every file. The files of scores have a column for each scorer.
TAKEN = ("id", "text", "n_tokens")
Bucket = Annotated[int, Field(ge=1, le=19)]


class Classify(GlobalStage):
    """Score quality, and give every document a level."""

    name: ClassVar[str] = "classify"
    version: ClassVar[int] = 3
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
            if name in TAKEN:
                raise RecipeError(
                    f"scorers.{name} has the name of a column of documents", "call it otherwise"
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

    def refuse_early(self, here: bool) -> None:
        for scorer in self.scorers.values():
            if here and isinstance(scorer, EmbeddingScorer):
                refuse_absent_gpu(scorer)

    def apart(self) -> dict[str, ScorerConfig]:
        """The scorers of pass `encode`: encoders that may use a GPU, if there are other scorers."""
        found = {name: item for name, item in self.scorers.items() if _may_use_gpu(item)}
        return found if len(found) < len(self.scorers) else {}

    def passes(self, inputs: Inputs) -> Passes:
        documents = input_shards(inputs.documents, self.name)
        shards: dict[str, tuple[Artifact, ...]]
        shards = {name: (artifact,) for name, artifact in documents.items()}
        if apart := self.apart():
            encoded = yield Pass(
                name="encode",
                shards=shards,
                work=partial(scoring.encode, apart),
                holds_engine=True,
                gpus=1,
            )
            shards = {
                name: (documents[name], *receipt.outputs)
                for name, receipt in encoded.receipts.items()
            }
        here = [item for name, item in self.scorers.items() if name not in apart]
        scored = yield Pass(
            name="score",
            shards=shards,
            work=partial(scoring.score, self),
            holds_engine=any(isinstance(item, EmbeddingScorer) for item in here),
            gpus=1 if any(map(_may_use_gpu, here)) else 0,
        )
        if self.thresholds is not None:
            thresholds = storage.artifact_of(self.thresholds)
        else:
            cut = yield Pass(
                name="thresholds",
                shards={"thresholds": scored.outputs(edges.HISTOGRAM)},
                work=partial(
                    edges.thresholds,
                    {name: scorer.depends_on() for name, scorer in self.scorers.items()},
                ),
            )
            (thresholds,) = cut.outputs()
        yield Pass(
            name=self.name,
            shards={
                name: (
                    documents[name],
                    *(item for item in receipt.outputs if f"/{scoring.SCORE}/" in item.path),
                    thresholds,
                )
                for name, receipt in scored.receipts.items()
            },
            work=partial(levels.assign, self),
            final=True,
        )


def _may_use_gpu(scorer: ScorerConfig) -> bool:
    return isinstance(scorer, EmbeddingScorer) and scorer.device != "cpu"
