"""Question-answer pairs that are judged one by one: a bad one costs itself, not its row."""

import itertools
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from corpusmill.manifests.settings import Share
from corpusmill.stages.synthesize.postfilters import numbers as numbers_of
from corpusmill.stages.synthesize.postfilters.degenerate import stems
from corpusmill.stages.synthesize.postfilters.faithful import faithful
from corpusmill.stages.synthesize.postfilters.forms import question_answer_pairs, written
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from pydantic import NonNegativeInt, PositiveInt

_CHOICES = re.compile(r"(?:^|[\s(])A[).:].*(?:[\s(])B[).:]", re.DOTALL)
_DENIES = re.compile(r"\W*(?:no|false|incorrect|wrong|not)\b", re.IGNORECASE)
_COMPUTES = re.compile(r"[=≈]\s*\S?\d|\d\s*(?:[+*×÷/–−-]|minus|plus|times|divided by)\s*\S?\d")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_STEPS: tuple[Callable[[float, float], float], ...] = (
    operator.add,
    operator.sub,
    operator.mul,
    lambda one, other: one / other if other else 0.0,
    lambda one, other: one * other / 100,
    lambda one, other: 100 * one / other if other else 0.0,
)
_EXACT = 0.005  # of a result
_MOST_GIVEN = 40


def faithful_pairs(
    text: str, context: Context, numbers: Share = 0.0, names: Share = 0.0, swapped: Share = 0.34
) -> Result:
    """Leave question-answer pairs without numbers, names and pairings that the passage does not
    have, by the rules of `faithful`. Drop the answer if none is left.

    A wrong choice, and a claim that the answer denies, may say anything: of such a pair, only the
    answer is looked at. An answer that computes may have the result of a step with two of its
    other numbers.
    """
    pairs = question_answer_pairs(text)
    if not pairs:
        return Rejection("no_answered_question", excerpt(text))
    kept, faults = [], []
    for question, answer in pairs:
        is_open = not _CHOICES.search(question) and not _DENIES.match(answer)
        known = context.segment
        if _COMPUTES.search(answer):
            known += "\n\n" + " ".join(_results(answer, known))
        result = faithful(
            f"{question}\n{answer}" if is_open else answer,
            replace(context, segment=known),
            numbers=numbers,
            names=names,
            swapped=swapped,
        )
        if isinstance(result, Rejection):
            faults.append(result)
        else:
            kept.append((question, answer))
    return written(kept) if kept else faults[0]


def _results(answer: str, passage: str) -> Iterator[str]:
    """Numbers of an answer that follow from its others: by one step with two, or as the sum."""
    known = numbers_of.known_values(passage)
    found = list(numbers_of.written(answer))
    given = [value for each in found for value in each.values & known if isinstance(value, float)][
        :_MOST_GIVEN
    ]
    results = [step(*two) for step in _STEPS for two in itertools.permutations(given, 2)]
    results.append(sum(given))
    for number in found:
        for value in number.values:
            if isinstance(value, float) and any(
                abs(result - value) <= _EXACT * abs(value) for result in results
            ):
                yield answer[number.start : number.end]


def needs_both(
    text: str, context: Context, words: PositiveInt = 2, answer_words: NonNegativeInt = 0
) -> Result:
    """Leave question-answer pairs that say something of both documents.

    words: so many long words or numbers must a pair have that only the first document has, and so
    many that only the second one has. answer_words: the same for the answer alone. An answer that
    takes all its words from one document needs no other. This is necessary for a question that
    needs both documents, and not sufficient.
    """
    pairs = question_answer_pairs(text)
    if not pairs:
        return Rejection("no_answered_question", excerpt(text))
    first, second = map(_facts, context.parts)
    owned = (first - second, second - first)
    kept = [
        (question, answer)
        for question, answer in pairs
        if all(
            len(_facts(f"{question} {answer}") & own) >= words
            and len(_facts(answer) & own) >= answer_words
            for own in owned
        )
    ]
    return written(kept) if kept else Rejection("one_sided", excerpt(text))


def _facts(text: str) -> set[str]:
    """Long words by their first letters, and numbers."""
    return stems(text) | set(_NUMBER.findall(text))
