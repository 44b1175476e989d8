"""Answers about two documents."""

from corpusmill.stages.synthesize.postfilters.degenerate import stems
from corpusmill.stages.synthesize.postfilters.forms import question_answer_pairs, written
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from pydantic import PositiveInt


def needs_both(text: str, context: Context, words: PositiveInt = 2) -> Result:
    """Leave question-answer pairs that say something of both documents.

    words: so many long words or numbers must a pair have that only the first document has, and so
    many that only the second one has. This is necessary for a question that needs both documents,
    and not sufficient.
    """
    pairs = question_answer_pairs(text)
    if not pairs:
        return Rejection("no_answered_question", excerpt(text))
    first, second = map(stems, context.parts)
    kept = [
        pair
        for pair in pairs
        if min(len(stems(" ".join(pair)) & own) for own in (first - second, second - first))
        >= words
    ]
    return written(kept) if kept else Rejection("one_sided", excerpt(text))
