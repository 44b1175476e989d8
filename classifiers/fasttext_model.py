"""fastText: the probability of a model's positive label, and how to train such a model.

Any supervised `.bin` or `.ftz` file works. DCLM's `fasttext-oh-eli5` (arXiv 2406.11794, section
4.4) does too; it is one of Nemotron-CC's three scorers (arXiv 2412.02595, section 2.2). fastText
reads one line a document. So text is put on one line, and fastText's own syntax in it (a label
prefix, the end-of-line word) is made harmless. Models that are trained here see only words, in
lower case. With marks such as `|` and `-`, a model would learn how the good text was marked up, and
a price list would score like a book.
"""

import os
import re
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
from corpusmill.classifiers.linear import Scores
from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError, RecipeError
from corpusmill.manifests.settings import Settings
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

PREFIX = "__label__"
POSITIVE = PREFIX + "positive"
NEGATIVE = PREFIX + "negative"
STEPS = 40_000
SMALLEST_MATRIX = 9_000_000  # numbers, 36 MB; FastTextTraining says why
_WORD = re.compile(r"[^\W\d_]+")
# fastText adds this to every probability. It is taken off, so that confident scores stay apart.
_ADDED = 1e-5


class FastTextScorer(Settings):
    """A fastText classifier."""

    kind: Literal["fasttext"] = "fasttext"
    model: str
    """A supervised fastText file."""
    positive: str = POSITIVE
    """The label whose probability is the score. `hq` and `__label__hq` are the same."""
    text: Literal["auto", "words", "raw"] = "auto"
    """`words` gives the model lower-case words without marks and numbers, `raw` the whole text.

    `auto` is words for models that `classify-train` made, and raw for all others. Their labels
    tell them apart.
    """
    max_chars: PositiveInt = 1_000_000
    """Characters read from the beginning of a text."""

    def depends_on(self) -> str:
        """The model's digest.

        Raises ModelError if the file is missing, no supervised fastText model, or without the
        label.
        """
        digest = model_files.digest(self.model)
        _load(self.model, self.positive, model_files.mark(self.model))
        return digest

    def score(self, texts: Sequence[str]) -> Scores:
        """Probability in [0, 1]. NaN if the model knows no word of a text, nor a line's end."""
        model, label, prefix = _load(self.model, self.positive, model_files.mark(self.model))
        words = self.text == "words" or (
            self.text == "auto" and sorted(model.labels) == [NEGATIVE, POSITIVE]
        )
        scores = np.full(len(texts), np.nan, dtype=np.float32)
        for place, text in enumerate(texts):
            line = (
                words_of(text[: self.max_chars])
                if words
                else one_line(text[: self.max_chars], prefix)
            )
            for probability, found in model.f.predict(line + "\n", -1, 0.0, "strict"):
                if found == label:
                    scores[place] = min(max(probability - _ADDED, 0.0), 1.0)
        return scores


class FastTextTraining(Settings):
    """Settings of a classifier to train.

    The smallest allowed matrix makes training repeatable. fastText 0.9.2 with n threads sets only
    one n-th of the matrix to its seeded start values. The rest keeps what the memory held. Above
    32 MB, memory always comes fresh from the system, so it is zero. Below, it holds old values.
    Then two trainings differ, or meet a NaN. Zero is a good start value here: the rows that stay
    unset are those of rarer words and bigrams.
    """

    dimension: PositiveInt = 32
    """Numbers of a word vector. Few are enough for two labels and keep the file small.

    The file has dimension x (bucket + words) x 4 bytes.
    """
    word_ngrams: int = Field(default=2, ge=2)
    """Words of the longest n-gram (DCLM: 2). With 1, fastText would use no buckets."""
    bucket: PositiveInt = 500_000
    """Hash places of the n-grams."""
    min_count: PositiveInt = 2
    """Rarer words are left out."""
    epochs: PositiveInt | None = None
    """Passes over the examples. Null: as many as make about 40,000 steps, within 5 and 25.

    With fewer steps the probabilities stay near one half.
    """
    learning_rate: PositiveFloat = 0.5
    """Rate of the first step. It falls to 0."""
    max_chars: PositiveInt = 20_000
    """Characters learned from, at the beginning of each text."""
    seed: int = 1
    """Seed of fastText's draws."""

    @model_validator(mode="after")
    def _trains_the_same_model_twice(self) -> Self:
        if self.dimension * self.bucket < SMALLEST_MATRIX:
            raise RecipeError(
                f"dimension {self.dimension} x bucket {self.bucket} is too small for fastText "
                "to train the same model twice",
                f"set bucket to {-(-SMALLEST_MATRIX // self.dimension)} or more",
            )
        return self


def one_line(text: str, prefix: str = PREFIX) -> str:
    """`text` as one fastText example: one line, without fastText labels and line ends."""
    return " ".join(text.replace(prefix, "label ").replace("</s>", " ").split())


def words_of(text: str) -> str:
    """The words of `text` on one line, in lower case, without marks and numbers."""
    return " ".join(_WORD.findall(text.lower()))


@contextmanager
def trained(examples: Iterable[tuple[str, bool]], settings: FastTextTraining) -> Iterator[str]:
    """Train on (text, is positive) pairs. The path of the model file is valid inside the block.

    Training uses one thread and a fixed seed. So the same examples in the same order give the same
    bytes. Examples pass through a file, so they need no memory.
    """
    import fasttext

    with tempfile.TemporaryDirectory(prefix="corpusmill-fasttext-") as folder:
        lines = os.path.join(folder, "examples.txt")
        number = 0
        with open(lines, "w", encoding="utf-8") as file:
            for text, positive in examples:
                number += 1
                file.write(
                    f"{POSITIVE if positive else NEGATIVE} {words_of(text[: settings.max_chars])}\n"
                )
        try:
            model = fasttext.train_supervised(
                input=lines,
                dim=settings.dimension,
                wordNgrams=settings.word_ngrams,
                bucket=settings.bucket,
                minCount=settings.min_count,
                epoch=settings.epochs or min(max(STEPS // max(number, 1), 5), 25),
                lr=settings.learning_rate,
                seed=settings.seed,
                thread=1,
                verbose=0,
            )
        except (ValueError, RuntimeError) as error:  # an empty vocabulary, or a loss of NaN
            raise ModelError(
                f"fastText could not train ({str(error).splitlines()[0]})",
                "give more text, or lower min_count or learning_rate",
            ) from error
        path = os.path.join(folder, "fasttext.bin")
        model.save_model(path)
        yield path


@lru_cache(maxsize=4)
def _load(path: str, positive: str, _mark: str) -> tuple[Any, str, str]:
    """(model, full name of the positive label, label prefix)."""
    import fasttext

    with model_files.local_copy(path) as local:
        try:
            model = fasttext.load_model(local)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise ModelError(
                f"{path} is not a fastText model", "name a .bin or .ftz file"
            ) from error
        whole = _is_whole(local, model)
    settings = model.f.getArgs()
    if settings.model.name != "supervised":
        raise ModelError(
            f"{path} is a fastText model of word vectors, not a classifier",
            "train one with `corpusmill classify-train`",
        )
    if not whole:
        raise ModelError(f"the fastText model {path} is cut short", "copy or train it again")
    label = positive if positive.startswith(settings.label) else settings.label + positive
    if label not in model.labels:
        raise ModelError(
            f"{path} has no label {label}; it has {', '.join(model.labels[:10])}",
            "set `positive` to one of its labels",
        )
    return model, label, settings.label


def _is_whole(path: str, model: Any) -> bool:
    """Whether the file ends with the output matrix. fastText reads a file that is cut short, too.

    The matrix is two 64-bit integers, its shape, and its float32 numbers. Its shape is not known
    if it is quantised, so such a file counts as whole.
    """
    settings = model.f.getArgs()
    if settings.qout or settings.model.name != "supervised":
        return True
    shape = (len(model.labels), settings.dim)
    header = struct.pack("<2q", *shape)
    place = os.path.getsize(path) - len(header) - 4 * shape[0] * shape[1]
    with open(path, "rb") as file:
        file.seek(max(place, 0))
        return file.read(len(header)) == header
