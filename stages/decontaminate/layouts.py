"""Which fields of an evaluation record hold what: question, answer, passage.

Public sets come in a few layouts. `LAYOUTS` knows them by their field names. A set of another
layout names its fields in the settings.

An item's parts have roles. A *question* is what a model is asked. An *answer* is what it should
say. A *passage* is what the question is about; it is often a page of Wikipedia, and may well be in
a corpus. A *text* is evaluated as a whole, as for perplexity.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from corpusmill.stages.readers.nested import value_of

Row = Mapping[str, Any]


class Role(IntEnum):
    """What a part of an item is."""

    QUESTION = 0
    ANSWER = 1
    PASSAGE = 2
    TEXT = 3
    WHOLE = 4  # a short question with its answer behind it; `index` makes them


class Part(NamedTuple):
    role: Role
    text: str


@dataclass(frozen=True)
class Layout:
    """Field names; a dot leads into an object. An answer is among `choices` if these are named.
    Then `gold` says which: its number from `first` on, or its letter. One choice field holds a
    list; several hold a choice each.
    """

    question: tuple[str, ...] = ()
    answer: tuple[str, ...] = ()
    passage: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    gold: str = ""
    first: int = 0

    @property
    def needs(self) -> tuple[str, ...]:
        gold = (self.gold,) if self.gold else ()
        return (*self.question, *self.answer, *self.passage, *self.text, *self.choices, *gold)


# The first that a record has all fields of.
LAYOUTS: tuple[Layout, ...] = (
    Layout(("contexts",), ("continuation",), gold="gold"),  # llm-foundry's schema tasks
    Layout(("query",), choices=("choices",), gold="gold"),  # llm-foundry's multiple choice
    Layout(("ctx",), choices=("endings",), gold="label"),  # HellaSwag
    Layout(("goal",), choices=("sol1", "sol2"), gold="label"),  # PIQA
    Layout(("sentence",), choices=("option1", "option2"), gold="answer", first=1),  # WinoGrande
    Layout(("question_stem",), choices=("choices",), gold="answerKey"),  # OpenBookQA
    Layout(("question",), choices=("choices",), gold="answerKey"),  # ARC, CommonsenseQA
    Layout(("question",), choices=("choices",), gold="answer"),  # MMLU
    Layout(("question",), choices=("options",), gold="answer"),  # MMLU-Pro
    Layout(("question",), ("best_answer", "correct")),  # TruthfulQA
    Layout(("question",), ("best_answer", "correct_answers")),
    Layout(("question",), ("answers",), ("context",)),  # SQuAD
    Layout(("question",), ("answer",), ("passage",)),  # BoolQ
    Layout(("prompt",), ("canonical_solution",)),  # HumanEval
    Layout(("text",), ("code",)),  # MBPP
    Layout(("prompt",), ("code",)),
    Layout(("problem",), ("solution",)),  # MATH
    Layout(("input",), ("target",)),  # BIG-bench Hard
    Layout(("premise", "hypothesis")),  # entailment
    Layout(("question",), ("answer",)),  # GSM8K
    Layout(("query",), ("answer",)),
    Layout(("context",), ("answer",)),  # TriviaQA and LAMBADA by llm-foundry
    Layout(("prompt",), ("answer",)),
    Layout(("prompt",), ("completion",)),
    Layout(("question",)),
    Layout(("prompt",)),
    Layout(text=("text",)),
)
_CALCULATOR = re.compile(r"<<[^<>]*>>")  # GSM8K's marks
_BLANK = re.compile(r"\b_+\b|_{2,}")  # WinoGrande's, and other gaps to be filled
_LABEL = re.compile(
    r"^[ \t]*(question|q|passage|context|story|article|choices|options|answer|a)[ \t]*:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_PASSAGES = ("passage", "context", "story", "article")
_NO_QUESTIONS = ("choices", "options", "answer", "a")
PASSAGE_WORDS = 50  # a shorter passage was written for its question
_CHOICE = re.compile(r"^[ \t]*\(?([A-Z])[.):][ \t]*(.*)$", re.MULTILINE)


def layout_of(row: Row) -> Layout | None:
    """The first known layout that the record fits."""
    return next((known for known in LAYOUTS if all(name in row for name in known.needs)), None)


def parts_of(row: Row, layout: Layout) -> Iterator[Part]:
    """The parts of one record, without labels such as `Question:` that only a prompt has."""
    answers = [*_texts(row, layout.answer), *_gold_choices(row, layout)]
    questions = _gold_contexts(row, layout) or list(_texts(row, layout.question))
    for label, segment in (piece for question in questions for piece in _segments(question)):
        lettered = dict(_CHOICE.findall(segment))
        if len(lettered) > 1:  # the choices stand in the prompt
            answers = [lettered.get(answer.strip(" ().:"), answer) for answer in answers]
            segment = _CHOICE.sub("", segment)
        if label not in _NO_QUESTIONS and segment.strip():
            long = len(segment.split()) >= PASSAGE_WORDS
            yield Part(Role.PASSAGE if label in _PASSAGES and long else Role.QUESTION, segment)
    for passage in _texts(row, layout.passage):
        yield Part(Role.PASSAGE, passage)
    for text in _texts(row, layout.text):
        yield Part(Role.TEXT, text)
    for answer in answers:
        yield Part(Role.ANSWER, _CALCULATOR.sub("", answer))


def _segments(text: str) -> Iterator[tuple[str, str]]:
    """(label in lower case, what follows it); the label is empty before the first."""
    pieces = _LABEL.split(text)
    for label, segment in zip(("", *pieces[1::2]), pieces[::2], strict=True):
        if segment.strip():
            yield label.lower(), _BLANK.sub(" ", segment)


def _texts(row: Row, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield from _strings(value_of(row, name))


def _strings(value: Any) -> Iterator[str]:
    """The text of a field: itself, its members, or what its `text` holds (SQuAD, ARC)."""
    if isinstance(value, bool):
        yield "yes" if value else "no"
    elif isinstance(value, str | int | float):
        yield str(value)
    elif isinstance(value, Mapping):
        yield from _strings(value.get("text"))
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)


def _gold_contexts(row: Row, layout: Layout) -> list[str]:
    """The context that the gold number points at, in a schema task."""
    if layout.choices or not layout.gold:
        return []
    contexts = list(_texts(row, layout.question))
    place = _place(value_of(row, layout.gold), layout.first, [])
    return contexts[place : place + 1] if place is not None else contexts[:1]


def _gold_choices(row: Row, layout: Layout) -> list[str]:
    """The right choice; none if the record does not say which is right."""
    if not layout.choices:
        return []
    choices = list(_texts(row, layout.choices))
    value = value_of(row, layout.choices[0])
    labels = value.get("label") or [] if isinstance(value, Mapping) else []
    place = _place(value_of(row, layout.gold), layout.first, list(labels))
    return choices[place : place + 1] if place is not None else []


def _place(gold: Any, first: int, labels: list[Any]) -> int | None:
    """The place of the gold choice: by its label, its number or its letter."""
    if gold in labels:
        return labels.index(gold)
    spelling = str(gold).strip()
    if spelling.isdecimal():
        return max(0, int(spelling) - first)
    if len(spelling) == 1 and spelling.isalpha():
        return ord(spelling.upper()) - ord("A")
    return None
