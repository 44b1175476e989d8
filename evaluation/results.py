"""Scored items as rows, one schema for all kinds of task.

| column | meaning |
|---|---|
| row, id, domain | the item: its row in the data, its id, the task's `domain` |
| reason, detail | why an item has no score (null if it has one), and a program's verdict |
| right | whether the model is right: the likeliest choice, the word, the answer, the tests |
| right_per_byte | the same for the choice with the highest log-likelihood per byte |
| chosen, chosen_per_byte, gold | numbers of choices |
| loglikelihoods, bytes, tokens | of each choice, of the word, or of the text |
| answer, final, expected | what the model wrote, the final answer in it, the right one |
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from corpusmill.evaluation import answers, sandbox
from corpusmill.evaluation.questions import Question
from corpusmill.evaluation.scoring import Score
from corpusmill.evaluation.task import AnswerTask, CodeTask, LastWordTask, Task, TextTask
from corpusmill.evaluation.templates import BadItem, rendered

ITEMS = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        ("domain", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("right", pa.bool_()),
        ("right_per_byte", pa.bool_()),
        ("chosen", pa.int32()),
        ("chosen_per_byte", pa.int32()),
        ("gold", pa.int32()),
        ("loglikelihoods", pa.list_(pa.float64())),
        ("bytes", pa.list_(pa.int64())),
        ("tokens", pa.list_(pa.int64())),
        ("answer", pa.string()),
        ("final", pa.string()),
        ("expected", pa.string()),
    ]
)
BAD_ITEM = "error_item"
TOO_LONG = "too_long"
NOT_FINITE = "error_not_finite"
NO_TOKEN = "error_no_token"

Record = dict[str, Any]


def identified(task: str, question: Question) -> Record:
    """The columns that name an item."""
    return {
        "task": task,
        "row": question.row,
        "id": question.id,
        "domain": question.domain or None,
    }


def unscored(task: str, question: Question, reason: str, detail: str) -> Record:
    return {**identified(task, question), "reason": reason, "detail": detail}


def of_scores(task: Task, question: Question, scores: Sequence[Score]) -> Record:
    """The row of a likelihood item. scores: one for each pair; for a text, one for each window."""
    if isinstance(task, TextTask):
        scores = [
            Score(
                math.fsum(score.loglikelihood for score in scores),
                all(score.greedy for score in scores),
                sum(score.tokens for score in scores),
            )
        ]
    values = [score.loglikelihood for score in scores]
    sizes = [len(text.encode()) for text in question.choices]
    if not all(map(math.isfinite, values)):
        return unscored(
            task.name, question, NOT_FINITE, "the model's log-probabilities are not numbers"
        )
    record = {
        **identified(task.name, question),
        "loglikelihoods": values,
        "bytes": sizes,
        "tokens": [score.tokens for score in scores],
    }
    if isinstance(task, LastWordTask):
        return {**record, "right": scores[0].greedy}
    if isinstance(task, TextTask):
        return record
    chosen = _largest(values)
    per_byte = _largest([value / size for value, size in zip(values, sizes, strict=True)])
    return {
        **record,
        "chosen": chosen,
        "chosen_per_byte": per_byte,
        "gold": question.gold,
        "right": chosen == question.gold,
        "right_per_byte": per_byte == question.gold,
    }


def _largest(values: Sequence[float]) -> int:
    """The number of the largest value. Of equal ones, the first."""
    return max(range(len(values)), key=lambda number: (values[number], -number))


def of_answers(
    task: AnswerTask, questions: Sequence[Question], texts: Sequence[str]
) -> list[Record]:
    """The rows of an answer task."""
    records = []
    for question, text in zip(questions, texts, strict=True):
        final = answers.final_answer(text, task.patterns)
        records.append(
            {
                **identified(task.name, question),
                "answer": text,
                "final": final,
                "expected": question.right[0],
                "right": answers.is_right(final, question.right, task.compare),
            }
        )
    return records


def of_programs(
    task: CodeTask,
    questions: Sequence[Question],
    texts: Sequence[str],
    limits: sandbox.CodeLimits,
    run: Callable[..., list[sandbox.Verdict]] = sandbox.run_all,
) -> list[Record]:
    """The rows of a code task: each program is run. Raises EngineError if there is no sandbox."""
    programs: dict[int, str] = {}
    records: list[Record] = []
    for number, (question, text) in enumerate(zip(questions, texts, strict=True)):
        record = {**identified(task.name, question), "answer": text}
        try:
            programs[number] = rendered(task.program, {**question.columns, "completion": text})
        except BadItem as error:
            record |= {"reason": BAD_ITEM, "detail": str(error)}
        records.append(record)
    verdicts = run(list(programs.values()), limits)
    for number, verdict in zip(programs, verdicts, strict=True):
        records[number] |= {
            "right": verdict.passed,
            "final": verdict.reason,
            "detail": verdict.detail or None,
        }
    return records
