"""The settings of a blend and of its sources."""

from typing import Literal, Self

from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.schema import LEVELS
from corpusmill.manifests.settings import Settings
from corpusmill.stages.readers import ReaderSettings
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator


class BlendSource(Settings):
    """One corpus of a blend."""

    input: str | tuple[str, ...]
    """Stage folders, files or globs."""
    weight: NonNegativeFloat = 1.0
    """Share of the blend's tokens, on any scale. With phases: share of its category's tokens."""
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
    cluster_copies: dict[PositiveInt, PositiveInt] = {}
    """Size of a document's cluster in dedup -> how often the document counts, from this size on.
    Empty: once. So FineWeb-2 (arXiv 2506.20920) gives more weight to what many pages had, and calls
    it re-hydration.
    """
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


class Phase(Settings):
    """A part of the blend that is trained on before the next."""

    name: str = ""
    """For people; the plan and the trainer's log name it."""
    length: PositiveFloat
    """Share of the blend's tokens, on any scale."""
    weights: dict[str, NonNegativeFloat] = Field(min_length=1)
    """Category or source -> share of the phase's tokens, on any scale. What is not named has 0."""


class BlendSettings(Settings):
    """Settings of the blend stage."""

    sources: dict[str, BlendSource] = Field(min_length=1)
    """A name of your choice -> a corpus and its weight."""
    phases: tuple[Phase, ...] = ()
    """Phases with their own weights, in order. Empty: one, with the weights of the sources."""
    preset: Literal["nemotron_h"] | None = None
    """Published phases by category (`stages/blend/presets.py`). Every source needs a category of
    its table.
    """
    weights: str | None = None
    """A folder of `mix`: what it proposes takes the place of the sources' own weights. Phases may
    then weigh categories, but no source.
    """
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

    @model_validator(mode="after")
    def _phases_fit_the_sources(self) -> Self:
        if self.phases and self.preset:
            raise RecipeError("the blend has phases and a preset", "give one of them")
        categories = {source.category for source in self.sources.values()} - {""}
        for number, phase in enumerate(self.phases):
            unknown = sorted(set(phase.weights) - categories - set(self.sources))
            if unknown:
                raise RecipeError(
                    f"phases[{number}] weighs {unknown[0]!r}, which is no source and no category",
                    nearest(unknown[0], sorted(categories | set(self.sources)), "known"),
                )
            named = sorted(set(phase.weights) & set(self.sources))
            if named and self.weights is not None:
                raise RecipeError(
                    f"phases[{number}] weighs the source {named[0]!r}, so its weight in "
                    f"{self.weights} would not count",
                    "leave out `weights`, or let phases weigh categories that are called otherwise",
                )
        return self
