"""One task on one model: from questions to rows.

A question that needs more tokens than the model's context has is never cut. It becomes a row with
the reason `too_long`. Texts are longer than contexts by nature: they are scored in windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corpusmill.evaluation import results
from corpusmill.evaluation.questions import Questions
from corpusmill.evaluation.results import Record
from corpusmill.evaluation.sandbox import CodeLimits
from corpusmill.evaluation.scoring import Model, Piece, Tokenizer, pieces_of, score, windows_of
from corpusmill.evaluation.task import AnswerTask, CodeTask, Task, TextTask

Done = Callable[[int, int], None]  # is told how many of how many are done
# (prompt ids, longest answer, stop texts) -> the answers, without the stop
Write = Callable[[Sequence[Sequence[int]], int, Sequence[str]], list[str]]


@dataclass(frozen=True)
class Reading:
    """How texts become a model's tokens.

    start: ids that the tokenizer puts in front of a text. prefix: the id before the first token of
    a text that is scored whole. context: the longest input in tokens, None without a limit.
    """

    tokenizer: Tokenizer
    start: tuple[int, ...]
    prefix: int
    context: int | None


def likelihood_rows(
    task: Task,
    questions: Questions,
    model: Model,
    reading: Reading,
    batch_tokens: int | None = None,
    done: Done = lambda done, total: None,
    cut: Sequence[list[Piece]] | None = None,
) -> list[Record]:
    """The rows of a task that is scored by log-likelihood. cut: what `cut_questions` gives, if
    it is known.
    """
    records, owners, pieces = [], [], []
    cut = cut_questions(task, questions, reading) if cut is None else cut
    for question, mine in zip(questions.asked, cut, strict=True):
        why = _misfit(task, mine, reading.context)
        if why is not None:
            records.append(results.unscored(task.name, question, *why))
            continue
        owners.append((question, len(mine)))
        pieces += mine
    scores = iter(score(model, pieces, batch_tokens, lambda number: done(number, len(pieces))))
    for question, number in owners:
        records.append(results.of_scores(task, question, [next(scores) for _ in range(number)]))
    return sorted(records, key=lambda record: record["row"])


def cut_questions(task: Task, questions: Questions, reading: Reading) -> list[list[Piece]]:
    """Each question as what the model reads and scores."""
    if isinstance(task, TextTask):
        texts = [question.pairs[0][1] for question in questions.asked]
        length = reading.context or 1 << 30
        return [windows_of(ids, reading.prefix, length) for ids in reading.tokenizer.encode(texts)]
    pairs = [pair for question in questions.asked for pair in question.pairs]
    found = iter(pieces_of(reading.tokenizer, pairs, reading.start, reading.prefix))
    return [[next(found) for _ in question.pairs] for question in questions.asked]


def _misfit(task: Task, pieces: Sequence[Piece], context: int | None) -> tuple[str, str] | None:
    """Why a question cannot be scored: a reason and the facts. None if it can."""
    if not pieces or not all(piece.continuation for piece in pieces):
        return results.NO_TOKEN, "the tokenizer gives the scored text no token of its own"
    longest = max(piece.length for piece in pieces)
    if context is not None and longest > context:
        return results.TOO_LONG, f"it needs {longest} tokens, the model has {context}"
    return None


def generated_rows(
    task: AnswerTask | CodeTask,
    questions: Questions,
    write: Write,
    reading: Reading,
    limits: CodeLimits,
) -> list[Record]:
    """The rows of a task whose answers are generated."""
    records, fitting, prompts = [], [], []
    encoded = reading.tokenizer.encode([question.prompt for question in questions.asked])
    for question, ids in zip(questions.asked, encoded, strict=True):
        prompt = (*reading.start, *ids) or (reading.prefix,)
        needed = len(prompt) + task.max_tokens
        if reading.context is not None and needed > reading.context:
            detail = f"it needs {needed} tokens, the model has {reading.context}"
            records.append(results.unscored(task.name, question, results.TOO_LONG, detail))
            continue
        fitting.append(question)
        prompts.append(prompt)
    texts = write(prompts, task.max_tokens, task.stop) if prompts else []
    if isinstance(task, CodeTask):
        records += results.of_programs(task, fitting, texts, limits)
    else:
        records += results.of_answers(task, fitting, texts)
    return sorted(records, key=lambda record: record["row"])
