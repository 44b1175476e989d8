"""The settings of decontaminate, and the columns that it adds."""

from typing import Annotated, Final, Literal, Self

import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import PositiveShare, Settings
from pydantic import Field, PositiveFloat, model_validator

Verdict = Literal["question_and_answer", "question", "answer", "passage", "text"]
Names = tuple[Annotated[str, Field(min_length=1)], ...]

CONTAMINATION: Final = pa.field(
    "contamination",
    pa.list_(
        pa.struct(
            [
                pa.field("set", pa.string(), nullable=False),
                pa.field("item", pa.string(), nullable=False),  # its id, or its number in the set
                pa.field("verdict", pa.string(), nullable=False),
                pa.field("share", pa.float32(), nullable=False),  # of the item's bits that match
                pa.field("bits", pa.float32(), nullable=False),  # that match
                # bytes of the text, before any mask
                pa.field(
                    "spans",
                    pa.list_(
                        pa.field(
                            "item",
                            pa.struct([("start", pa.int32()), ("length", pa.int32())]),
                        )
                    ),
                    nullable=False,
                ),
            ]
        )
    ),
)


class EvaluationSet(Settings):
    """One evaluation set: its files, and the fields of its records."""

    input: str | tuple[str, ...]
    """JSON lines, JSON lists or Parquet files; or folders or globs of them."""
    question: Names = ()
    """Fields of the question. A dot leads into objects. If no field is named here or below, the
    names of the fields tell the layout.
    """
    answer: Names = ()
    """Fields of the right answer."""
    passage: Names = ()
    """Fields of what the question is about. A passage alone is reported as such."""
    text: Names = ()
    """Fields of text that is evaluated as a whole, as for perplexity."""
    choices: Names = ()
    """The field with the list of choices, or one field for each choice."""
    gold: str = ""
    """The field that says which choice is right: its number or its letter."""
    first: int = 0
    """The number of the first choice."""
    id: str = "id"
    """The field of an item's id. Where it is missing, the item's number in the set."""

    @model_validator(mode="after")
    def _choices_have_gold(self) -> Self:
        if self.choices and not self.gold:
            raise RecipeError("gold is missing", "name the field that says which choice is right")
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input

    @property
    def names_fields(self) -> bool:
        return bool(self.question or self.answer or self.passage or self.text or self.choices)


class DecontaminateSettings(Settings):
    """What is compared, what counts as a match, and what becomes of it."""

    sets: dict[str, EvaluationSet] = Field(min_length=1)
    """A name of your choice -> an evaluation set."""
    action: Literal["remove", "mask", "report"] = "remove"
    """`remove` drops the document. `mask` cuts the matching spans. `report` only reports."""
    act_on: tuple[Verdict, ...] = ("question_and_answer", "question", "answer", "text")
    """Verdicts on which to act. The others are reported only."""
    ngram: int = Field(default=5, ge=2, le=13)
    """Words in a row that a document must share with an item before the two are compared."""
    share: PositiveShare = 0.8
    """Share of an item's bits that must stand in the document, in order (OLMo 3's decon: 0.8)."""
    sure_bits: PositiveFloat = 120.0
    """Items with fewer bits need a larger share, up to all of them at `rare_bits`. An answer
    without its question must have so many bits.
    """
    rare_bits: PositiveFloat = 65.0
    """Matches of fewer bits are chance."""
    answer_words: int = Field(default=60, ge=0)
    """How many words may stand between a question and its answer."""
    max_masked_share: PositiveShare = 0.5
    """`mask` drops a document if more of it would go."""

    @model_validator(mode="after")
    def _bits_in_order(self) -> Self:
        if self.sure_bits < self.rare_bits:
            raise RecipeError(
                f"sure_bits is {self.sure_bits:g}, less than rare_bits", "set it at least as high"
            )
        return self
