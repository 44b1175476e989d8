"""Answers of a form: lists of facts, question-answer pairs, labelled parts, tables."""

import itertools
import random
import re
from collections.abc import Sequence
from typing import Annotated

from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from pydantic import Field, NonNegativeInt, PositiveFloat

_BULLET = re.compile(r"^[ \t]*(?:[-*+•‣▪●–—]|\(?\d{1,3}[.)])[ \t]+")


def bullets(text: str, context: Context) -> Result:
    """Leave one fact a line, without bullets or numbers, each fact once.

    Text before the first bullet is no fact and is removed. So is text after a blank line that
    has no bullet. A line right below a bullet's line continues it.
    """
    facts: list[str] = []
    open_fact = False
    for line in text.split("\n"):
        mark = _BULLET.match(line)
        if mark:
            facts.append(line[mark.end() :].strip())
            open_fact = True
        elif not line.strip():
            open_fact = False
        elif open_fact:
            facts[-1] += " " + line.strip()
    once: dict[str, str] = {}
    for fact in filter(None, facts):
        once.setdefault(fact.casefold(), fact)
    return "\n".join(once.values()) if once else Rejection("no_bullets", excerpt(text))


_MARK = re.compile(
    r"(?i)^[ \t]*(?:[-*•][ \t]+|\(?\d{1,2}[.)][ \t]*)?(question|answer)[ \t]*\d{0,2}[ \t]*:[ \t]*"
)


def question_answer(
    text: str,
    context: Context,
    pairs_per_150_tokens: PositiveFloat = 10,
    append_to_passage: bool = True,
    drawn: bool = True,
) -> Result:
    """Leave question-answer pairs behind their passage, in shuffled order.

    The number of pairs is drawn from 1 to max(1, 10 x passage tokens / 150). A question without
    an answer, or asked before, is left out. Shuffle and draw use the row's seed. If the pairs are
    not `drawn`, all of them stay in order.
    """
    pairs = question_answer_pairs(text)
    if not pairs:
        return Rejection("no_answered_question", excerpt(text))
    if drawn:
        most = max(1, int(pairs_per_150_tokens * context.segment_tokens / 150))
        chance = random.Random(context.seed)
        chance.shuffle(pairs)
        pairs = pairs[: chance.randint(1, most)]
    shown = written(pairs)
    return f"{context.segment}\n\n{shown}" if append_to_passage else shown


def written(pairs: Sequence[tuple[str, str]]) -> str:
    """Question-answer pairs as text."""
    return "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in pairs)


def question_answer_pairs(text: str) -> list[tuple[str, str]]:
    """(question, answer) in order. Each may have several lines. Incomplete pairs and repeated
    questions are left out.
    """
    parts: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        mark = _MARK.match(line)
        if mark:
            parts.append((mark[1].lower(), [line[mark.end() :].strip()]))
        elif parts and line.strip():
            parts[-1][1].append(line.strip())
    pairs: dict[str, tuple[str, str]] = {}
    for (first, question_lines), (second, answer_lines) in itertools.pairwise(parts):
        question, answer = (
            "\n".join(filter(None, lines)) for lines in (question_lines, answer_lines)
        )
        if (first, second) == ("question", "answer") and question and answer:
            pairs.setdefault(" ".join(question.casefold().split()), (question, answer))
    return list(pairs.values())


def labels(
    text: str, context: Context, begin: Annotated[tuple[str, ...], Field(min_length=1)]
) -> Result:
    """Drop answers without lines that begin with each of these words, in this order."""
    place = 0
    for label in begin:
        found = re.compile(rf"^[ \t]*{re.escape(label)}", re.IGNORECASE | re.MULTILINE)
        line = found.search(text, place)
        if line is None:
            return Rejection("label_missing", f"no line with {label!r}: {excerpt(text)}")
        place = line.end()
    return text


_RULE = re.compile(r"^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$")


def table(text: str, context: Context, least_rows: NonNegativeInt = 2) -> Result:
    """Drop answers without a Markdown table: a header, a rule, and rows of as many cells."""
    lines = [line.strip() for line in text.split("\n")]
    for place in range(1, len(lines)):
        if not _RULE.match(lines[place]) or "|" not in lines[place - 1]:
            continue
        wide = _cells(lines[place])
        rows = list(itertools.takewhile(lambda line: "|" in line, lines[place + 1 :]))
        if len(rows) >= least_rows and {wide} == {*map(_cells, [lines[place - 1], *rows])}:
            return text
    return Rejection("no_table", excerpt(text))


def _cells(line: str) -> int:
    return len(re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|")))
