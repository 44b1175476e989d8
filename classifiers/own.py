"""Scorers of your own, for `kind: own` among the scorers of `classify`."""

import functools
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from corpusmill.classifiers.linear import Scores
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.named_class import named_class
from corpusmill.manifests.settings import Settings, build_settings
from corpusmill.manifests.source_code import source_digest
from pydantic import model_validator


class OwnScorer(Settings):
    """What a scorer of your own derives from. Its fields are its settings."""

    @abstractmethod
    def score(self, texts: Sequence[str]) -> Sequence[float]:
        """A number for each text, higher for better; NaN for one that cannot be judged. Equal
        texts score the same.
        """


class OwnScorerSettings(Settings):
    """A class of your own that scores texts, by its `module:Class`."""

    kind: Literal["own"] = "own"
    scorer: str
    """`module:Class` of a class derived from corpusmill.OwnScorer."""
    settings: Mapping[str, Any] = {}
    """Its own settings."""

    @model_validator(mode="after")
    def _class_and_settings_fit(self) -> Self:
        self.made()
        return self

    def own_class(self) -> type[OwnScorer]:
        return named_class(self.scorer, OwnScorer, "scorer")

    def made(self) -> OwnScorer:
        """The scorer with its settings. Raises RecipeError if it cannot be made."""
        return _made(self.scorer, json.dumps(dict(self.settings), sort_keys=True))

    def depends_on(self) -> str:
        return (
            f"{source_digest(self.own_class())} {json.dumps(dict(self.settings), sort_keys=True)}"
        )

    def score(self, texts: Sequence[str]) -> Scores:
        """Raises ModelError if the class does not give a number for each text."""
        given = self.made().score(texts)
        try:
            scores = np.asarray(given, np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(
                f"{self.scorer} gave something else than numbers ({error})",
                "return one number for each text",
            ) from error
        if scores.shape != (len(texts),):
            raise ModelError(
                f"{self.scorer} gave scores of shape {scores.shape} for {len(texts)} texts",
                "return one number for each text",
            )
        return scores


@functools.lru_cache(maxsize=32)
def _made(path: str, settings: str) -> OwnScorer:
    cls: type[OwnScorer] = named_class(path, OwnScorer, "scorer")
    return build_settings(cls, json.loads(settings), "settings")
