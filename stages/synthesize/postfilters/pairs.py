"""Question-answer pairs that are judged one by one: a bad one costs itself, not its row."""

import itertools
import operator
import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace

from corpusmill.manifests.settings import Share
from corpusmill.stages.synthesize.postfilters import numbers as numbers_of
from corpusmill.stages.synthesize.postfilters.degenerate import stems
from corpusmill.stages.synthesize.postfilters.faithful import faithful
from corpusmill.stages.synthesize.postfilters.forms import question_answer_pairs, written
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from pydantic import NonNegativeInt, PositiveInt

# The marks of a first choice and of a second one.
_CHOICES = [
    (re.compile(r"(?:^|[\s(])A[.):](?=\s)", re.I), re.compile(r"(?<=[\s(])B[.):](?=\s)", re.I)),
    (re.compile(r"(?:^|[?:]\s|\()1[.)](?=\s)", re.M), re.compile(r"(?<=[\s(])2[.)](?=\s)")),
]
# An answer denies by its first word, by its first sentence about the claim, or by a "not" in the
# first sentence if the question may be answered by yes or no.
_DENIES = re.compile(
    r"\W*(?:(?:no|nope|nein|non|não|false|incorrect|wrong|not (?:true|correct|so|quite|exactly))"
    r"[*_]*[ \t]*(?:[,.;:!\n–—-]|\Z)"
    r"|(?:this|that|it|the (?:claim|statement)) (?:is|was) "
    r"(?:not (?:true|correct|so)|false|incorrect|wrong|untrue)\b)",
    re.IGNORECASE,
)
_MAY_BE_DENIED = re.compile(
    r"(?:\A\W*|[.:,]\s)(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should"
    r"|true or false)\b",
    re.IGNORECASE,
)
_FIRST_SENTENCE = re.compile(r"\W*[^.!?;\n]*")
_NOT = re.compile(r"\b(?:not|never|false|incorrect|wrong|untrue)\b|n['’]t\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# What stands between two numbers of a calculation, with units, and of how many characters.
_MOST_BETWEEN = 40
_NEAR = 2  # signs of equality between a calculation and its result
_EQUALS = re.compile(
    r"[^.;\n]*?(?:[=≈]|\b(?:is|are|equals|makes|gives)\b)[^.;\n]*|[^.;\n+*×÷/–−-]*\([^.;\n]*"
)
_OPERATOR = re.compile(
    r"[^.;\n]*?(?:(?P<percent>(?:%|\b(?:percent|per cent|Prozent)) (?:of|von|de|di|des|der)\b)"
    r"|(?P<sign>[+*×·÷/–−-]|\b(?:x|plus|minus|times|divided by)\b|(?<=\s):(?=\s)))[^.;\n]*"
)
_PERCENT = re.compile(r"\s*(?:%|percent|per cent)")
_Step = Callable[[float, float], float]
_STEPS: dict[str, _Step] = {
    **dict.fromkeys(("+", "plus"), operator.add),
    **dict.fromkeys(("–", "−", "-", "minus"), operator.sub),
    **dict.fromkeys(("*", "×", "·", "x", "times"), operator.mul),
    **dict.fromkeys(("÷", "/", ":", "divided by"), lambda one, two: one / two if two else 0.0),
    "%": lambda one, two: one * two / 100,
}
_EXACT = 0.005  # of a result
_MOST_READINGS = 16  # of a calculation whose numbers may be read in several ways


def faithful_pairs(
    text: str, context: Context, numbers: Share = 0.0, names: Share = 0.0, swapped: Share = 0.34
) -> Result:
    """Leave question-answer pairs without numbers, names and pairings that the passage does not
    have, by the rules of `faithful`. Drop the answer if none is left.

    A wrong choice, and a claim that the answer denies, may say anything: of such a pair, only the
    answer is looked at. An answer that computes (`4 + 4 = 8`) may have the result.
    """
    pairs = question_answer_pairs(text)
    if not pairs:
        return Rejection("no_answered_question", excerpt(text))
    kept, faults = [], []
    values = numbers_of.known_values(context.segment)
    for question, answer in pairs:
        is_open = not _has_choices(question) and not _denies(question, answer)
        known = "\n\n".join([context.segment, " ".join(_results(answer, values))])
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


def _has_choices(question: str) -> bool:
    return any(
        (found := first.search(question)) and second.search(question, found.end())
        for first, second in _CHOICES
    )


def _denies(question: str, answer: str) -> bool:
    sentence = _FIRST_SENTENCE.match(answer)
    return bool(_DENIES.match(answer)) or bool(
        sentence and _NOT.search(sentence[0]) and _MAY_BE_DENIED.search(question)
    )


def _results(answer: str, known: Set[float | str]) -> Iterator[str]:
    """Numbers of an answer that are equal to a calculation with numbers of the passage."""
    allowed = set(known)
    for sides in _equations(answer):
        for place, ((number, _), *more) in enumerate(sides):
            if more:
                continue
            percent = 100 if _PERCENT.match(answer, number.end) else 1
            if any(
                abs(value * scale - result) <= _EXACT * abs(result)
                for other in sides[max(0, place - _NEAR) : place + _NEAR + 1]
                if len(other) > 1
                for value in _computed(other, allowed)
                for scale in {1, percent}
                for result in number.values
                if isinstance(result, float)
            ):
                allowed |= number.values
                yield answer[number.start : number.end]


_Side = list[tuple[numbers_of.Number, _Step | None]]


def _equations(answer: str) -> Iterator[list[_Side]]:
    """Runs of numbers with operators between them, cut at the signs of equality.

    Each number has the step that joins it to the one before.
    """
    found = sorted(numbers_of.written(answer), key=lambda number: number.start)
    sides: list[_Side] = []
    place = 0
    for number in found:
        between = answer[place : number.start]
        place = number.end
        is_near = bool(sides) and len(between) <= _MOST_BETWEEN
        if is_near and _EQUALS.fullmatch(between):
            sides.append([(number, None)])
        elif is_near and (sign := _OPERATOR.fullmatch(between)):
            sides[-1].append((number, _STEPS[sign["sign"] or "%"]))
        else:
            yield sides
            sides = [[(number, None)]]
    yield sides


def _computed(side: _Side, known: Set[float | str]) -> Iterator[float]:
    """The values of a calculation, if the passage has all its numbers: from the left, from the
    right (as brackets may say), and with products first.
    """
    readings = [
        [value for value in number.values & known if isinstance(value, float)] for number, _ in side
    ]
    steps = [step for _, step in side if step]
    for values in itertools.islice(itertools.product(*readings), _MOST_READINGS):
        terms, joins = [values[0]], []
        for step, value in zip(steps, values[1:], strict=True):
            if step in (operator.add, operator.sub):
                terms.append(value)
                joins.append(step)
            else:
                terms[-1] = step(terms[-1], value)
        yield _from_left(steps, values)
        yield _from_left(joins, terms)
        value = values[-1]
        for step, other in zip(reversed(steps), reversed(values[:-1]), strict=True):
            value = step(other, value)
        yield value


def _from_left(steps: Sequence[_Step], values: Sequence[float]) -> float:
    value = values[0]
    for step, other in zip(steps, values[1:], strict=True):
        value = step(value, other)
    return value


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
