"""Names in texts: words with capitals that no sentence gives them, and identifiers of code.

There is no model in it. A name is known if the passage has the word, in any case and with another
ending, or the words that it abbreviates.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from corpusmill.manifests.package_data import package_file
from corpusmill.stages.synthesize.postfilters.numbers import is_month, is_spelled

WORD = re.compile(r"\w+(?:['’]\w+)?")
_SENTENCE_BEGINS = re.compile(r"(?:^|(?<=[.!?…:;。！？\"“”«»‘(\[|])|(?<=[.!?][)\"”’]))\s*\W*\Z")
_ENDING = 3  # letters by which inflected forms may differ
_ADJECTIVE = re.compile(r"(?:ese|ian|ean|ish|ans?|ians?|ic|i)$")
_ENGLISH_SHARE = 0.5  # of a passage's words that are common English ones
_COMMON = ("models", "common_words", "english.txt")
# Capitals inside a sentence that are no names.
_NO_NAMES = {"i", "ok", "faq", "q", "a", "b", "c", "d", "e", "tv", "vs", "pm", "am", "ad", "bc"}
_ENGLISH_ENDINGS = ("ly", "ally", "ing", "ed", "es", "s", "er", "ers", "ness", "d", "able", "ment")
# What -ly may follow. A weak model makes words such as "continently".
_ADJECTIVES = ("al", "ous", "ive", "ful", "ed", "ble", "ic", "ar")
# A day, or what is written for it -> all its forms.
_WEEKDAYS = {
    form: frozenset(day.split())
    for day in (
        "monday mon", "tuesday tue tues", "wednesday wed weds", "thursday thu thur thurs",
        "friday fri", "saturday sat", "sunday sun",
    )
    for form in day.split()
}  # fmt: skip
_MOST_CAPITALS = 0.25  # of words within sentences: more of them, and capitals mark no names


@dataclass(frozen=True)
class Name:
    start: int
    end: int
    word: str


@dataclass(frozen=True)
class Passage:
    """What a passage knows of names.

    words: in small letters. beginnings: of words, up to `_ENDING` letters shorter. acronyms: of its
    capitalised runs. english: whether it is English. capitals_name: whether a capital within a
    sentence marks a name. German writes every noun so.
    """

    words: frozenset[str]
    beginnings: frozenset[str]
    acronyms: frozenset[str]
    english: bool
    capitals_name: bool
    inflects: bool


@functools.lru_cache(maxsize=64)
def passage(text: str) -> Passage:
    found = WORD.findall(text)
    words = {bare(word) for word in found} | {
        part for word in found for part in re.split(r"[_'’]", word.casefold()) if part
    }
    words |= {part.casefold() for word in found for part in _camel_parts(word)}
    english = [word.casefold() in _common() for word in found if word.isalpha()]
    is_english = sum(english) > _ENGLISH_SHARE * max(1, len(english))
    within = [
        word[0].isupper()
        for start, word in _with_starts(text)
        if word[0].isalpha() and not begins_sentence(text, start)
    ]
    letters = [sign for sign in text if sign.isalpha()]
    return Passage(
        frozenset(words),
        frozenset(
            word[:length]
            for word in words
            for length in range(max(3, len(word) - _ENDING), len(word) + 1)
        ),
        frozenset(_acronyms(text)),
        is_english,
        is_english or sum(within) <= _MOST_CAPITALS * max(1, len(within)),
        sum(not sign.isascii() for sign in letters) > 0.02 * max(1, len(letters)),
    )


def names(text: str, known: Passage) -> Iterator[Name]:
    """The names of an answer. known: its passage, which tells the language."""
    for line in re.finditer(r"[^\n]+", text):
        is_title = _is_title(line[0])
        for start, word in _with_starts(line[0]):
            if (
                bare(word) in _NO_NAMES
                or is_month(word)
                or is_spelled(word)
                or not any(map(str.isupper, word))
            ):
                continue
            name = Name(line.start() + start, line.start() + start + len(word), word)
            if _is_identifier(word) or (word.isupper() and len(word) > 1):
                if word.isupper() and bare(word) in _common():
                    continue
                yield name
            elif not word[0].isupper():
                yield name
            elif is_title or begins_sentence(line[0], start):
                if known.english and word.isascii() and not is_common(bare(word)):
                    yield name
            elif known.capitals_name:
                yield name


def supported(name: Name, known: Passage) -> bool:
    """Whether the passage has the name, or another form of it."""
    word = bare(name.word)
    if not _WEEKDAYS.get(word, frozenset()).isdisjoint(known.words):
        return True
    if word in known.words or name.word in known.acronyms:
        return True
    if _is_identifier(name.word):
        parts = [part.casefold() for part in _camel_parts(name.word)]
        # A unit or a number is glued on: 5km, x2.
        return len(word) <= 5 and all(part in known.words for part in parts)
    if len(word) < 4:
        return False
    if word in known.beginnings:
        return True
    if any(
        word[:length] in known.words for length in range(max(3, len(word) - _ENDING), len(word))
    ):
        return True
    if known.inflects and len(word) > 4 and word[:-2] in known.beginnings:
        return True
    if _ADJECTIVE.search(word) and any(
        word[:4] == other[:4] and len(other) > 3 for other in known.words
    ):
        return True
    parts = re.split(r"[_'’]", word)
    return len(parts) > 1 and all(part in known.words for part in parts)


def bare(word: str) -> str:
    """A word in small letters, without the genitive's ending."""
    return re.sub(r"['’]s?$", "", word.casefold())


def _with_starts(text: str) -> Iterator[tuple[int, str]]:
    for found in WORD.finditer(text):
        yield found.start(), found[0]


def begins_sentence(text: str, start: int) -> bool:
    """Whether the word at `start` would have a capital anyway."""
    return bool(_SENTENCE_BEGINS.search(text[max(0, start - 6) : start])) if start else True


def _is_title(line: str) -> bool:
    """Whether most words of a line are capitalised, as in a heading."""
    long = [word for word in WORD.findall(line) if len(word) > 3 and word[0].isalpha()]
    return 0 < sum(word[0].isupper() for word in long) > 0.6 * len(long) and not re.search(
        r"[.!?。]\W*$", line
    )


def _is_identifier(word: str) -> bool:
    """Whether a word is none of a language: CamelCase, snake_case, letters with digits."""
    return bool(
        re.search(r"[a-z][A-Z]|[A-Z]{2}[a-z]|[^\W\d_]\d|\w_\w", word.removesuffix("s"))
    ) and not re.fullmatch(r"\d+[^\W\d_]{1,3}", word)


def _camel_parts(word: str) -> list[str]:
    return re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\WA-Z\d_]+|\d+", word)


def _acronyms(text: str) -> Iterator[str]:
    """First letters of runs of capitalised words, small words between them left out."""
    for run in re.finditer(
        r"(?:[A-Z][\w-]+\s+(?:(?:of|the|and|for|in|de|der|für)\s+){0,2}){1,7}[A-Z][\w-]+", text
    ):
        initials = "".join(re.findall(r"\b[A-Z]", run[0]))
        for start in range(len(initials) - 1):
            for end in range(start + 2, len(initials) + 1):
                yield initials[start:end]


@functools.lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    return frozenset(package_file(*_COMMON).read_text(encoding="utf-8").split())


def is_common(word: str) -> bool:
    """Whether a word in small letters is a usual English one, or made of one."""
    common = _common()
    if word in common:
        return True
    for ending in _ENGLISH_ENDINGS:
        stem = word.removesuffix(ending)
        if ending in ("ly", "ally") and not stem.endswith(_ADJECTIVES):
            continue
        if stem != word and len(stem) > 2 and ({stem, stem + "e", stem[:-1] + "y"} & common):
            return True
    stem = re.sub(r"^(?:un|re|non|over|pre|mis|dis|in|im|inter)", "", word)
    return stem != word and len(stem) > 3 and stem in common
