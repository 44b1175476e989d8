"""From a task's rows to what the model is asked: contexts, continuations, right answers.

A question holds everything that scoring needs, as text. Rows that the task does not take, rows that
serve as examples, and rows that cannot become a question are told apart, so that every row of the
data is accounted for.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpusmill.evaluation.task import (
    AnswerTask,
    ChoiceTask,
    CodeTask,
    LastWordTask,
    Task,
    TextTask,
)
from corpusmill.evaluation.templates import BadItem, rendered, text_of, value_of

Row = Mapping[str, Any]
Pair = tuple[str, str]  # a context and the continuation that is scored after it


@dataclass(frozen=True)
class Question:
    """One item of a task.

    row: its number in the data, from 0. id: of the data, or the number. domain: may be empty.
    pairs: of a likelihood task; one for each choice. For a text, the one context is empty. choices:
    the texts whose bytes count. gold: the number of the right pair. prompt: of a generated task.
    right: spellings of the right answer. columns: the row, for a code task's program.
    """

    row: int
    id: str
    domain: str
    pairs: tuple[Pair, ...] = ()
    choices: tuple[str, ...] = ()
    gold: int = 0
    prompt: str = ""
    right: tuple[str, ...] = ()
    columns: Row = field(default_factory=dict)


@dataclass
class Questions:
    """What became of a task's rows.

    unused: rows that were not needed, by reason. bad: (row, id, why) of rows that cannot be asked.
    """

    asked: list[Question] = field(default_factory=list)
    unused: dict[str, int] = field(default_factory=dict)
    bad: list[tuple[int, str, str]] = field(default_factory=list)

    def leave_out(self, reason: str) -> None:
        self.unused[reason] = self.unused.get(reason, 0) + 1


def build(
    task: Task, rows: Iterable[Row | str], fields: Row, limit: int | None = None
) -> Questions:
    """The questions of a task.

    rows: a text in place of a row says why it could not be read. fields: new columns of the data,
    name -> expression. limit: at most so many questions. They are chosen by a hash of the task's
    name and the row's number, so every run and every model gets the same ones.
    """
    found = Questions()
    items: list[tuple[int, Row]] = []
    examples: dict[str, list[str]] = {}
    for number, raw in enumerate(rows):
        if isinstance(raw, str):
            found.bad.append((number, str(number), raw))
            continue
        try:
            row: Row = {**raw, **{name: value_of(text, raw) for name, text in fields.items()}}
            if task.shots.count and value_of(task.shots.where, row):
                key = str(value_of(task.shots.same, row))
                if len(examples.setdefault(key, [])) < task.shots.count:
                    examples[key].append(_solved(task, row))
                    found.leave_out("example")
                    continue
            if value_of(task.where, row):
                items.append((number, row))
            else:
                found.leave_out("other_split")
        except BadItem as error:
            found.bad.append((number, _id(number, raw), str(error)))
    for number, row in _chosen(task.name, items, limit):
        try:
            found.asked.append(_question(task, number, row, examples))
        except BadItem as error:
            found.bad.append((number, _id(number, row), str(error)))
    over = len(items) - len(_chosen(task.name, items, limit))
    if over:
        found.unused["over_limit"] = over
    return found


def _id(number: int, row: Row) -> str:
    """What names a row: the data's own id, or its number."""
    found = row.get("id")
    return str(number if found is None else found)


def _domain(task: Task, row: Row) -> str:
    """The row's domain. Null is none."""
    found = value_of(task.domain, row)
    return "" if found is None else str(found)


def _chosen(
    name: str, items: Sequence[tuple[int, Row]], limit: int | None
) -> Sequence[tuple[int, Row]]:
    if limit is None or len(items) <= limit:
        return items

    def lot(item: tuple[int, Row]) -> bytes:
        return hashlib.sha256(f"{name} {item[0]}".encode()).digest()

    return sorted(sorted(items, key=lot)[:limit], key=lambda item: item[0])


def _question(task: Task, number: int, row: Row, examples: Mapping[str, Sequence[str]]) -> Question:
    name, domain = _id(number, row), _domain(task, row)
    if isinstance(task, TextTask):
        text = rendered(task.text, row)
        if not text:
            raise BadItem("the text is empty")
        return Question(number, name, domain, (("", text),), (text,))
    before = _before(task, row, examples)
    if isinstance(task, ChoiceTask):
        contexts, continuations, choices = _choices(task, row)
        gold = _gold(task, row, len(choices))
        pairs = tuple(
            (before + context, continuation)
            for context, continuation in zip(contexts, continuations, strict=True)
        )
        return Question(number, name, domain, pairs, choices, gold)
    if isinstance(task, LastWordTask):
        word = rendered(task.continuation, row)
        if not word.strip():
            raise BadItem("the continuation is empty")
        return Question(
            number, name, domain, ((before + rendered(task.context, row), word),), (word,)
        )
    assert isinstance(task, AnswerTask | CodeTask)
    right = _right(task, row) if isinstance(task, AnswerTask) else ()
    prompt = before + rendered(task.context, row)
    return Question(number, name, domain, prompt=prompt, right=right, columns=row)


def _before(task: Task, row: Row, examples: Mapping[str, Sequence[str]]) -> str:
    """The preamble and the solved examples of a question, with the separators behind them."""
    shots: Sequence[str] = ()
    if task.shots.count:
        shots = examples.get(str(value_of(task.shots.same, row)), ())
        if len(shots) < task.shots.count:
            raise BadItem(f"there are {len(shots)} examples of {task.shots.count} for it")
    return rendered(task.preamble, row) + "".join(shot + task.shots.separator for shot in shots)


def _solved(task: Task, row: Row) -> str:
    """A row as an example: the question with its right answer."""
    if isinstance(task, ChoiceTask):
        contexts, continuations, choices = _choices(task, row)
        gold = _gold(task, row, len(choices))
        return contexts[gold] + continuations[gold]
    if isinstance(task, LastWordTask):
        return rendered(task.context, row) + rendered(task.continuation, row)
    if isinstance(task, AnswerTask | CodeTask):
        solution = rendered(task.solution, row)
        if not solution and isinstance(task, AnswerTask):
            solution = _right(task, row)[0]
        return rendered(task.context, row) + task.delimiter + solution
    raise BadItem(f"a task of kind {task.kind} takes no examples")


def _choices(task: ChoiceTask, row: Row) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Contexts, continuations, and the texts whose bytes count, one of each for a choice."""
    if task.contexts:
        contexts = [str(text_of(text)) for text in _list(task.contexts, row)]
        continuation = rendered(task.continuation, row)
        scored = task.delimiter + continuation
        return contexts, [scored] * len(contexts), (continuation,) * len(contexts)
    choices = tuple(str(text_of(text)) for text in _list(task.choices, row))
    if not all(choices):
        raise BadItem("a choice is empty")
    context = rendered(task.context, row)
    return [context] * len(choices), [task.delimiter + text for text in choices], choices


def _list(expression: str, row: Row) -> list[Any]:
    value = value_of(expression, row)
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise BadItem(f"{expression} gives {str(value)[:60]!r}, not a list of choices")
    nested = next((one for one in value if isinstance(one, list | tuple | Mapping)), None)
    if nested is not None:
        raise BadItem(f"{expression} holds {str(nested)[:60]!r}, not a text")
    return list(value)


def _gold(task: ChoiceTask, row: Row, choices: int) -> int:
    value = value_of(task.gold, row)
    try:
        gold = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadItem(f"gold is {value!r}, not a number") from error
    if isinstance(value, float) and gold != value:
        raise BadItem(f"gold is {value!r}, not a whole number")
    if not 0 <= gold < choices:
        raise BadItem(f"gold is {gold}, and there are {choices} choices")
    return gold


def _right(task: AnswerTask, row: Row) -> tuple[str, ...]:
    value = value_of(task.answer, row)
    spellings = value if isinstance(value, list | tuple) else [value]
    right = tuple(str(text_of(text)) for text in spellings if str(text).strip())
    if not right:
        raise BadItem("there is no right answer")
    return right
