"""The interface of all scorers, the recipe's choice by `kind`, and the texts that they get.

    scorers:
      words: {kind: fasttext, model: step:train/models/fasttext.bin}
      cheap: {kind: static, model: step:train/models/static.safetensors}
      shape: {kind: statistics, model: step:train/models/statistics.safetensors}

A scorer is its own configuration. It loads its model once per process, at the first text.
"""

from collections.abc import Sequence
from typing import Annotated, Protocol

import pyarrow as pa
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.fasttext_model import FastTextScorer
from corpusmill.classifiers.linear import Scores
from corpusmill.classifiers.own import OwnScorerSettings
from corpusmill.classifiers.static_model import StaticScorer
from corpusmill.classifiers.statistics_model import StatisticsScorer
from pydantic import Field


class Scorer(Protocol):
    """A model that gives each text one number. Higher is better."""

    def depends_on(self) -> str:
        """Digests of the model files.

        Raises ModelError if one is missing or of the wrong kind, before anything is scored.
        """
        ...

    def score(self, texts: Sequence[str]) -> Scores:
        """float32 [len(texts)]; NaN if the model has no answer. In one batch, equal texts score
        the same.
        """
        ...


ScorerConfig = Annotated[
    FastTextScorer | EmbeddingScorer | StaticScorer | StatisticsScorer | OwnScorerSettings,
    Field(discriminator="kind"),
]


def readable_texts(column: pa.ChunkedArray | pa.Array) -> list[str | None]:
    """The column as Python strings. None if a text is null or not UTF-8. Parquet files can hold
    both.
    """
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_decoded(value) for value in column.cast(pa.binary()).to_pylist()]


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None
