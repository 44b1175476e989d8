"""Quality from meaning at the speed of words: a small network on the mean of token vectors.

The vectors are those of a table (`classifiers.static_table`), made from a sentence encoder or by
model2vec. A text costs its tokenisation and one mean, and not a forward pass. So a core scores
hundreds of documents in the time that an encoder takes for ten. What is lost is the order of words.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Self, get_args

import numpy as np
from corpusmill.classifiers.encoder import EncoderSettings
from corpusmill.classifiers.encoder_files import encoder_digest
from corpusmill.classifiers.linear import Embeddings, Link, Scores
from corpusmill.classifiers.perceptron import Perceptron, fit_perceptron
from corpusmill.classifiers.static_table import (
    StaticTable,
    Tokens,
    checked,
    distilled,
    load_table,
    table_digest,
)
from corpusmill.manifests import model_files, storage
from corpusmill.manifests.errors import InputError, ModelError, RecipeError
from corpusmill.manifests.settings import Settings
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

_KEY = "corpusmill"
_HEAD = ("mean", "scale", "hidden", "hidden_bias", "output", "output_bias")


class StaticScorer(Settings):
    """A small network on the mean of token vectors."""

    kind: Literal["static"] = "static"
    model: str
    """A file that `classify-train` wrote."""

    def depends_on(self) -> str:
        """The file's digest. Raises ModelError if it is missing or holds another kind of model."""
        digest = model_files.digest(self.model)
        _load(self.model, model_files.mark(self.model))
        return digest

    def score(self, texts: Sequence[str]) -> Scores:
        """As trained: a probability (two labels) or a grade (more). NaN for a text without a token
        that the table knows.
        """
        model = _load(self.model, model_files.mark(self.model))
        return model.score(list(model.table.tokens(texts, model.max_tokens)))


class StaticTraining(Settings):
    """The table of token vectors, and the network to train on it."""

    table: str | None = None
    """A model2vec model: a local folder, or a name on the Hugging Face hub."""
    encoder: str | None = None
    """In place of `table`: a sentence encoder, from whose token vectors a table is made."""
    dimension: PositiveInt = 256
    """Numbers of a vector in a table made from `encoder`."""
    max_tokens: PositiveInt = 512
    """Tokens of each text's beginning."""
    hidden: PositiveInt = 256
    """Units of the network's hidden layer."""
    seed: int = Field(default=0, ge=0)
    """Seed of the network's start and of the order of documents."""

    @model_validator(mode="after")
    def _one_table(self) -> Self:
        if (self.table is None) == (self.encoder is None):
            raise RecipeError(
                "static needs one table of token vectors",
                "set `encoder` (a sentence encoder) or `table` (a model2vec folder)",
            )
        return self

    def depends_on(self) -> str:
        """The digest of the table or the encoder. Raises ModelError if it cannot be used."""
        if self.encoder:
            return encoder_digest(self.encoder)
        load_table(self.table or "")  # a wrong table is refused before any document is read
        return table_digest(self.table or "")

    def made(self) -> StaticTable:
        """The table, without weights if it comes from an encoder."""
        if self.encoder:
            return distilled(EncoderSettings(encoder=self.encoder, device="cpu"), self.dimension)
        return load_table(self.table or "")


@dataclass(frozen=True)
class StaticModel:
    """A table and the network that was trained on it."""

    table: StaticTable
    head: Perceptron
    max_tokens: int

    def score(self, tokens: Sequence[Tokens]) -> Scores:
        """float32 [len(tokens)]. NaN for a text without tokens."""
        return self.head.score(np.array([self.table.mean(ids) for ids in tokens]))

    def to_bytes(self) -> bytes:
        """The model as a safetensors file. Equal models give equal bytes."""
        from safetensors.numpy import save

        tensors: dict[str, NDArray[np.generic]] = {
            "vectors": _stored(self.table.vectors),
            "tokenizer": np.frombuffer(self.table.tokenizer.encode(), dtype=np.uint8),
            **{name: getattr(self.head, name) for name in _HEAD},
        }
        about = {"kind": "static", "link": self.head.link, "max_tokens": self.max_tokens}
        return save(tensors, metadata={_KEY: json.dumps(about, sort_keys=True)})


def fit_static(
    settings: StaticTraining,
    table: StaticTable,
    tokens: Sequence[Tokens],
    labels: NDArray[np.float64],
    link: Link,
) -> StaticModel:
    """Train on texts, given as tokens of the table, with labels [N].

    Texts without tokens are left out. Raises ModelError if none is left.
    """
    kept = [place for place, ids in enumerate(tokens) if len(ids)]
    if not kept:
        raise ModelError(
            "no text has a token that the table knows", "use a table for the language of the texts"
        )
    if settings.encoder:  # model2vec tables have their weights already
        table = table.weighted([tokens[place] for place in kept])
    table = replace(table, vectors=_stored(table.vectors).astype(np.float32))
    inputs = np.array([table.mean(tokens[place]) for place in kept])
    head = fit_perceptron(inputs, labels[kept], settings.hidden, link, settings.seed)
    return StaticModel(table, head, settings.max_tokens)


def _stored(vectors: Embeddings) -> NDArray[np.float16]:
    """The vectors as the file holds them. The network learns from these."""
    return vectors.astype(np.float16)


def _refuse_other_shapes(tensors: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    """Raises ValueError or KeyError if the parts of a model do not fit together."""
    _, width = tensors["vectors"].shape
    units = len(tensors["hidden_bias"])
    shapes = ((width,), (1,), (units, width), (units,), (units,), (1,))
    for name, shape in zip(_HEAD, shapes, strict=True):
        if tensors[name].shape != shape:
            raise ValueError(f"{name} has the shape {tensors[name].shape}, not {shape}")
    if about["link"] not in get_args(Link) or int(about["max_tokens"]) < 1:
        raise ValueError("the link is unknown, or max_tokens is below 1")


@lru_cache(maxsize=4)
def _load(path: str, _mark: str) -> StaticModel:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = storage.read_bytes(path)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        about = json.loads(header["__metadata__"][_KEY])
        tensors = load(data)
        _refuse_other_shapes(tensors, about)
        table = StaticTable(
            tensors["vectors"].astype(np.float32), tensors["tokenizer"].tobytes().decode()
        )
        head = Perceptron(**{name: tensors[name] for name in _HEAD}, link=about["link"])
        return StaticModel(checked(table, path), head, int(about["max_tokens"]))
    except InputError as error:
        raise ModelError(f"the model file {path} cannot be read", error.mend) from error
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(
            f"{path} is not a static model of corpusmill",
            "train one with `corpusmill classify-train` and name its static.safetensors",
        ) from error
