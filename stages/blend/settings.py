"""The settings of a blend and of its sources."""

import math
from dataclasses import field
from typing import Literal

from corpusmill.manifests.config import config
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import LEVELS
from corpusmill.stages.readers import ReaderSettings


@config
class BlendSource:
    """input: stage folders, files or globs. weight: share of the blend's tokens, of any scale. levels, kinds, prompts: take only these
    (empty: all). reader: how raw files are read."""

    input: str | tuple[str, ...]
    weight: float
    max_epochs: float | None = 1.0  # null: no cap. Up to 4 costs little (arXiv 2305.16264)
    category: str = ""  # web, math, code, academic, ...: sums in the plan
    levels: tuple[str, ...] = ()
    kinds: tuple[Literal["actual", "synthetic"], ...] = ()
    prompts: tuple[str, ...] = ()
    reader: ReaderSettings = field(default_factory=ReaderSettings)

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input

    def __post_init__(self) -> None:
        cap = 1.0 if self.max_epochs is None else self.max_epochs
        if not (0 <= self.weight < math.inf and 0 < cap < math.inf):
            raise RecipeError(
                f"a blend source has weight {self.weight} and max_epochs {self.max_epochs}",
                "weights are 0 or more, max_epochs is above 0 or null for no cap",
            )
        unknown = sorted(set(self.levels) - set(LEVELS))
        if unknown:
            raise RecipeError(
                f"there is no level {unknown[0]!r}", f"the levels are {', '.join(LEVELS)}"
            )


@config
class BlendSettings:
    """sources: a name of your choice -> a corpus and its weight. tokens: size of the whole blend; null takes the most that keeps every
    share exact and no source above its cap.

    tokenizer: counts the tokens of documents that come without a count; bos and eos are not counted. recount: counts those of all.
    seed: of the draw of documents.
    """

    sources: dict[str, BlendSource]
    tokens: int | None = None
    tokenizer: str | None = None
    recount: bool = False
    shards: int | None = None  # output shards; null: one for each 256 MB of text
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sources:
            raise RecipeError("the blend has no sources", "name at least one under sources")
        if (self.tokens is not None and self.tokens < 1) or (
            self.shards is not None and self.shards < 1
        ):
            raise RecipeError(
                f"the blend has tokens {self.tokens} and shards {self.shards}",
                "give positive numbers, or leave them out",
            )
        if self.recount and self.tokenizer is None:
            raise RecipeError("recount needs a tokenizer", "set the blend's tokenizer")
