"""Fit quality scorers to a sample, and evaluate them on its held-out part.

Each model reads the texts again, in the order of the sample's ranks. Memory holds only labels and
feature matrices.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.classifiers.embedding import EmbeddingTraining
from corpusmill.classifiers.evaluation import evaluate
from corpusmill.classifiers.fasttext_model import FastTextScorer, FastTextTraining, trained
from corpusmill.classifiers.linear import LinearModel, fit_logistic, fit_ridge
from corpusmill.classifiers.static_model import StaticTraining, fit_static
from corpusmill.classifiers.statistics_model import FEATURES, measure
from corpusmill.manifests import storage
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.classify_train.sample import merged_rows

MODELS = "models"
BATCH_ROWS = 512


@dataclass(frozen=True)
class Sample:
    """The documents to learn from.

    files: the outputs of the pass `select`. given_threshold: the label from which a document is
    positive. None means 0.5 for labels 0 and 1, and 3 for grades.
    """

    files: tuple[Artifact, ...]
    given_threshold: float | None

    @cached_property
    def _rows(self) -> list[tuple[float, bool]]:
        return [
            (row["label"], row["held_out"]) for row in merged_rows(self.files, "label", "held_out")
        ]

    @cached_property
    def labels(self) -> npt.NDArray[np.float32]:
        return np.array([label for label, _ in self._rows], dtype=np.float32)

    @cached_property
    def held_out(self) -> npt.NDArray[np.bool_]:
        return np.array([apart for _, apart in self._rows], dtype=bool)

    @property
    def binary(self) -> bool:
        """Whether the labels are 0 and 1, and not grades."""
        return set(np.unique(self.labels.round())) == {0.0, 1.0}

    @property
    def threshold(self) -> float:
        return (
            self.given_threshold
            if self.given_threshold is not None
            else (0.5 if self.binary else 3.0)
        )

    @property
    def truth(self) -> npt.NDArray[np.bool_]:
        """Whether each document is positive."""
        return self.labels >= self.threshold

    def check(self) -> None:
        """Check that both parts of the sample have positive and negative documents.

        Raises ModelError if not.
        """
        for side, part in (
            ("to learn from", self.truth[~self.held_out]),
            ("to evaluate on", self.truth[self.held_out]),
        ):
            if part.all() or not part.any():
                raise ModelError(
                    f"the sample has no "
                    f"{'negative' if part.all() and len(part) else 'positive'} document {side}",
                    "give more text, raise held_out, or set the threshold within the grades",
                )

    def texts(self) -> Iterator[str]:
        return (row["text"] for row in merged_rows(self.files, "text"))

    def held_out_texts(self) -> Iterator[str]:
        return (text for text, apart in zip(self.texts(), self.held_out, strict=True) if apart)

    def summary(self) -> dict[str, dict[str, int]]:
        """Rounded label -> how many documents, and how many of them are held out."""
        whole = self.labels.round()
        return {
            str(label): {
                "documents": int((whole == label).sum()),
                "held_out": int(((whole == label) & self.held_out).sum()),
            }
            for label in sorted({int(value) for value in whole})
        }


def train_fasttext(settings: FastTextTraining, sample: Sample, shard: Shard) -> dict[str, Any]:
    """Write `models/fasttext.bin`. Returns its part of the report."""
    examples = (
        (text, bool(positive))
        for text, positive, apart in zip(sample.texts(), sample.truth, sample.held_out, strict=True)
        if not apart
    )
    with trained(examples, settings) as path:
        target = storage.join(shard.folder, MODELS, "fasttext.bin")
        with open(path, "rb") as source, storage.atomic_writer(target) as sink:
            while chunk := source.read(8 << 20):
                sink.write(chunk)
        shard.outputs.append(Artifact(target, sink.digest, sink.size))
        scorer = FastTextScorer(model=path)
        scores = np.concatenate(
            [scorer.score(batch) for batch in batched(sample.held_out_texts(), BATCH_ROWS)]
        )
    return {
        "file": "fasttext.bin",
        "held_out": evaluate(scores, sample.truth[sample.held_out], 0.5),
    }


def train_embedding(
    settings: EmbeddingTraining, vectors: tuple[Artifact, ...], sample: Sample, shard: Shard
) -> dict[str, Any]:
    """Write `models/embedding.safetensors`: a ridge regression on the sample's vectors.

    Returns its part of the report.
    """
    about = {"trained_on": "two labels" if sample.binary else "grades", **settings.features()}
    matrix = np.stack(
        [np.array(row["vector"], np.float32) for row in merged_rows(vectors, "vector")]
    )
    return _train_linear("embedding", partial(fit_ridge, about=about), matrix, sample, shard)


def train_static(settings: StaticTraining, sample: Sample, shard: Shard) -> dict[str, Any]:
    """Write `models/static.safetensors`. Returns its part of the report.

    Memory holds the first tokens of each text, four bytes each.
    """
    table = settings.made()
    tokens = [
        ids
        for texts in batched(sample.texts(), BATCH_ROWS)
        for ids in table.tokens(texts, settings.max_tokens)
    ]
    learned, apart = np.flatnonzero(~sample.held_out), np.flatnonzero(sample.held_out)
    model = fit_static(
        settings,
        table,
        [tokens[place] for place in learned],
        sample.labels[learned].astype(np.float64),
        "logistic" if sample.binary else "identity",
    )
    shard.file(MODELS, "static.safetensors", model.to_bytes())
    scores = model.score([tokens[place] for place in apart])
    return {
        "file": "static.safetensors",
        "held_out": evaluate(scores, sample.truth[apart], sample.threshold),
        "mean_squared_error": _squared_error(scores, sample.labels[apart]),
        "tokens_known": len(table.vectors),
    }


def train_statistics(sample: Sample, shard: Shard) -> dict[str, Any]:
    """Write `models/statistics.safetensors`. Returns its part of the report, weights included."""
    fit = partial(fit_logistic if sample.binary else fit_ridge, about={"features": list(FEATURES)})
    matrix = np.concatenate([measure(texts) for texts in batched(sample.texts(), BATCH_ROWS)])
    return _train_linear("statistics", fit, matrix, sample, shard, FEATURES)


def _train_linear(
    kind: str,
    fit: Callable[..., LinearModel],
    matrix: npt.NDArray[np.float32],
    sample: Sample,
    shard: Shard,
    names: tuple[str, ...] = (),
) -> dict[str, Any]:
    labels, held_out = sample.labels, sample.held_out
    model = fit(matrix[~held_out], labels[~held_out].astype(np.float64))
    shard.file(MODELS, f"{kind}.safetensors", model.to_bytes())
    scores = model.score(matrix[held_out])
    found: dict[str, Any] = {
        "file": f"{kind}.safetensors",
        "held_out": evaluate(scores, labels[held_out] >= sample.threshold, sample.threshold),
        "mean_squared_error": _squared_error(scores, labels[held_out]),
        "penalty": model.about["penalty"],
    }
    if names:
        found["weights"] = {
            name: round(float(weight), 4) for name, weight in zip(names, model.weights, strict=True)
        }
    return found


def _squared_error(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> float:
    """The mean over the documents that have a score."""
    return round(float(np.nanmean((scores - labels) ** 2)), 6)


def batched(texts: Iterator[str], size: int) -> Iterator[list[str]]:
    """Lists of `size` texts. The last list may be shorter."""
    while batch := list(itertools.islice(texts, size)):
        yield batch
