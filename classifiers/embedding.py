"""Quality from meaning: a linear head on a frozen sentence encoder (Nemotron-CC, section 2.2).

The head comes from one of two places. `classify-train` writes one as a file (ridge regression on
the frozen vectors). Or a published checkpoint has a regression output of its own: FineWeb-Edu's
(arXiv 2406.17557, section 4) or one of Nemotron-CC's two (arXiv 2412.02595, section 2.2). Its grade
is clipped to 0-5, as its authors do.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from corpusmill.classifiers.encoder import EncoderSettings, embed, grade
from corpusmill.classifiers.encoder_files import (
    encoder_digest,
    encoder_folder,
    has_classification_head,
)
from corpusmill.classifiers.linear import LinearModel, Scores, load_linear
from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError

GRADES = (0.0, 5.0)


class EmbeddingScorer(EncoderSettings):
    """A linear head on a sentence encoder."""

    kind: Literal["embedding"] = "embedding"
    head: str | None = None
    """A file that `classify-train` wrote for this encoder.

    Null: `encoder` is a checkpoint with one output of its own.
    """

    def depends_on(self) -> str:
        """Digests of the encoder and the head.

        Raises ModelError if one is missing or unusable, or if they do not fit together.
        """
        digest = encoder_digest(self.encoder, self.revision)
        if self.head is None:
            folder = encoder_folder(self.encoder, self.revision)
            if not has_classification_head(folder):
                raise ModelError(
                    f"{folder} has no regression output of its own",
                    "set `head` to a file that `corpusmill classify-train` wrote for this encoder",
                )
            return digest
        head = _load_head(self.head, model_files.mark(self.head))
        for key, value in self.features().items():
            if head.about.get(key) != value:
                what = (
                    "another encoder"
                    if key == "encoder"
                    else f"{key} {head.about.get(key)}, not {value}"
                )
                raise ModelError(
                    f"the head {self.head} was trained with {what}",
                    "use the settings that it was trained with",
                )
        return f"{digest}+{model_files.digest(self.head)}"

    def score(self, texts: Sequence[str]) -> Scores:
        """The head's value: 0-1 or a grade, as trained. A checkpoint's grade is clipped to 0-5."""
        if self.head is None:
            return np.clip(grade(self, texts), *GRADES)
        return _load_head(self.head, model_files.mark(self.head)).score(embed(self, texts))


class EmbeddingTraining(EncoderSettings):
    """The head to train: which encoder, and how it is read.

    The penalty of the ridge regression is chosen by cross-validation.
    """


@lru_cache(maxsize=4)
def _load_head(path: str, _mark: str) -> LinearModel:
    model = load_linear(path)
    if "encoder" not in model.about:
        raise ModelError(
            f"{path} is not the head of an encoder",
            "name the embedding.safetensors that classify-train wrote",
        )
    return model
