"""The settings of a blend and of its sources."""

from typing import Literal, Self

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import LEVELS
from corpusmill.manifests.settings import Settings
from corpusmill.stages.readers import ReaderSettings
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator


class BlendSource(Settings):
    """One corpus of a blend."""

    input: str | tuple[str, ...]
    """Stage folders, files or globs."""
    weight: NonNegativeFloat
    """Share of the blend's tokens, on any scale."""
    max_epochs: PositiveFloat | None = 1.0
    """How often a document may be taken, at most. Null: no cap.

    Up to 4 costs little (arXiv 2305.16264).
    """
    category: str = ""
    """web, math, code, academic, ...: the plan sums by it."""
    levels: tuple[str, ...] = ()
    """Take only documents of these levels. Empty: all."""
    kinds: tuple[Literal["actual", "synthetic"], ...] = ()
    """Take only documents of these kinds. Empty: all."""
    prompts: tuple[str, ...] = ()
    """Take only rows that these prompts made. Empty: all."""
    reader: ReaderSettings = ReaderSettings()
    """How raw files are read."""

    @model_validator(mode="after")
    def _levels_exist(self) -> Self:
        unknown = sorted(set(self.levels) - set(LEVELS))
        if unknown:
            raise RecipeError(
                f"there is no level {unknown[0]!r}", f"the levels are {', '.join(LEVELS)}"
            )
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input


class BlendSettings(Settings):
    """Settings of the blend stage."""

    sources: dict[str, BlendSource] = Field(min_length=1)
    """A name of your choice -> a corpus and its weight."""
    tokens: PositiveInt | None = None
    """Tokens of the whole blend.

    Null: the most that keeps every share exact and no source above its cap.
    """
    tokenizer: str | None = None
    """Counts the tokens of documents that come without a count. bos and eos do not count."""
    recount: bool = False
    """Count the tokens of all documents with `tokenizer`."""
    shards: PositiveInt | None = None
    """Output shards. Null: one for each 256 MB of text."""
    seed: int = 0
    """Seed of the draw of documents."""

    @model_validator(mode="after")
    def _can_recount(self) -> Self:
        if self.recount and self.tokenizer is None:
            raise RecipeError("recount needs a tokenizer", "set the blend's tokenizer")
        return self
