"""Answers that went wrong as a whole: loops, another language, a copy of the passage, no relation
to it.
"""

import functools
import itertools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from corpusmill.manifests.settings import PositiveShare, Share
from corpusmill.stages.columns.word_rule import UNSPACED
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from pydantic import Field, PositiveInt

_WORD = re.compile(r"\w+|[^\w\s]")
_SIGNS = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
_WORD_OR_SIGN = re.compile(rf"[{_SIGNS}]|[^\W{_SIGNS}]+|[^\w\s]")
# Chinese and Japanese signs mean something in pairs. Thai, Lao, Tibetan, Burmese and Khmer have an
# alphabet of some forty letters: there, texts about anything share most pairs, and few triples.
_ALPHABETS = "".join(
    f"{chr(first)}-{chr(last)}" for first, last in UNSPACED if first < 0x1800 or last >> 12 == 0xA
)
_LETTERS = re.compile(rf"([{_ALPHABETS}]+)|([{_SIGNS}]+)|[^\W{_SIGNS}]+")
_LONGEST_UNIT = 24  # words of a loop
_LEAST_TURNS = 4
_LEAST_LOOP = 24  # words that a loop has in all
_FEWEST_STEMS = 5  # of a text whose words are compared with the passage's


def repetition(
    text: str,
    context: Context,
    most: Share = 0.3,
    window: PositiveInt = 8,
    fewest: PositiveInt = 40,
    letters_only: bool = False,
) -> Result:
    """Drop runaway answers: more than the share `most` of runs of `window` words occurred before.

    Answers of less than `fewest` words pass. The threshold is our own: prose and
    question-answer sets lie below 0.05, and a loop goes towards 1. A loop at the end of a long
    answer is found too: the same words at least four times one right after the other, unless the
    passage has them so. letters_only: runs of numbers and signs do not count, because tables of
    zeros repeat themselves.
    """
    words = _words(text)
    total = len(words) - window + 1
    if len(words) < fewest or total < 1:
        return text
    every = (tuple(words[place : place + window]) for place in range(total))
    runs = Counter(run for run in every if not letters_only or _has_letters(run))
    share = 1 - len(runs) / max(1, runs.total())
    if share > most:
        return Rejection("repetition", f"repeated={share:.2f} > {most:g}: {excerpt(text)}")
    loop = _loop(words)
    counts = not letters_only or _has_letters(loop)
    if loop and counts and not _loop(_words(context.segment)):
        return Rejection("repetition", f"loop of {' '.join(loop)!r}: {excerpt(text)}")
    return text


def _has_letters(words: Sequence[str]) -> bool:
    return any(map(str.isalpha, "".join(words)))


def _words(text: str) -> Sequence[str]:
    words: Sequence[str] = _WORD.findall(text.lower())
    if len(words) * 15 < len(text):  # a script without spaces
        words = [sign for sign in text if not sign.isspace()]
    return words


def _loop(words: Sequence[str]) -> Sequence[str]:
    """The words that come again and again without a break. Empty: there is no loop."""
    for unit in range(1, min(_LONGEST_UNIT, len(words) // _LEAST_TURNS) + 1):
        least = max(_LEAST_LOOP, _LEAST_TURNS * unit) - unit
        alike = map(str.__eq__, words, itertools.islice(words, unit, None))
        place = 0
        for same, run in itertools.groupby(alike):
            length = sum(1 for _ in run)
            if same and length >= least and any(map(str.isalnum, words[place : place + unit])):
                return words[place : place + unit]
            place += length
    return ()


def language(
    text: str,
    context: Context,
    least_score: PositiveShare = 0.6,
    fewest: PositiveInt = 80,
) -> Result:
    """Drop answers in another language than the passage, by the shipped model (lid.176).

    Both must be sure, with `least_score` or more. Texts of less than `fewest` letters pass.
    """
    from corpusmill.stages.extract.language import identify

    if min(sum(map(str.isalpha, part)) for part in (text, context.segment)) < fewest:
        return text
    answer, passage = identify([text, context.segment])
    if answer.code != passage.code and min(answer.score, passage.score) >= least_score:
        detail = f"{answer.code} ({answer.score:.2f}) for {passage.code} ({passage.score:.2f})"
        return Rejection("other_language", f"{detail}: {excerpt(text)}")
    return text


def closeness(
    text: str,
    context: Context,
    most: Share = 1.0,
    least: Share = 0.0,
    window: Annotated[int, Field(ge=2, le=50)] = 8,
    fewest: PositiveInt = 30,
) -> Result:
    """Drop answers that copy the passage, or have nothing to do with it.

    most: share of the answer's runs of `window` words that the passage has. least: share of the
    answer's long words that the passage has, by their first letters, so that other endings count.
    Answers of less than `fewest` words pass. 1 and 0 let all pass. In scripts without spaces, each
    sign is a word. Pairs of Chinese or Japanese signs are the long words, and triples of the
    letters of Thai, Lao, Tibetan, Burmese and Khmer.

    Texts that people retold in simpler words (OneStopEnglish, 160 articles) have 0.35 or more of
    the original's words. Of texts about something else, 99.6 % have less than 0.3.
    """
    words, source = (_WORD_OR_SIGN.findall(each.lower()) for each in (text, context.segment))
    if len(words) < fewest:
        return text
    total = len(words) - window + 1
    if most < 1 and total > 0:
        known = {tuple(source[place : place + window]) for place in range(len(source))}
        copied = sum(tuple(words[place : place + window]) in known for place in range(total))
        if copied > most * total:
            detail = f"copied={copied / total:.2f} > {most:g}: {excerpt(text)}"
            return Rejection("too_close", detail)
    shared = shared_words(text, context.segment)
    if shared is not None and shared < least:
        detail = f"shared={shared:.2f} < {least:g}: {excerpt(text)}"
        return Rejection("too_far", detail)
    return text


def shared_words(text: str, passage: str) -> float | None:
    """Share of the different long words of a text that the passage has, by their first letters.

    Below about 0.3, a text is no retelling of the passage. None: the text has too few long words.
    """
    found = stems(text)
    if len(found) < _FEWEST_STEMS:
        return None
    return len(found & stems(passage)) / len(found)


def stems(text: str) -> set[str]:
    """The first letters of long words. In scripts without spaces, runs of two or three signs."""
    found: set[str] = set()
    for run in _LETTERS.finditer(_without_marks(text.lower())):
        word = run[0]
        if run[1] or run[2]:
            length = 3 if run[1] else 2
            found.update(word[place : place + length] for place in range(len(word) - length + 1))
        elif len(word) > 3:
            found.add(word[:5])
    return found


def _without_marks(text: str) -> str:
    """The text without the marks on and between its letters, however it encodes them.

    Many scripts write vowels as marks, which would end a word.
    """
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFD", text).translate(_marks())
    return unicodedata.normalize("NFC", plain)  # Korean syllables come together again


@functools.cache
def _marks() -> dict[int, None]:
    """Every combining mark, for `str.translate` to take out."""
    points = range(sys.maxunicode + 1)
    return {point: None for point in points if unicodedata.category(chr(point))[0] == "M"}
