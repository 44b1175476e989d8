"""Faithfulness: numbers, names and pairings in an answer that its passage does not have.

A model that rewrites may change a date, swap two people, or add what it remembers. Nemotron-CC has
no such filter. Models that check entailment cost more than the rewriting. This one compares facts
that can be read off the text, so it costs a millisecond. It cannot see a changed verb or a lost
"not". Shares that are let pass stand in the prompt file, because prompts differ: a rephrasing adds
no number, a word problem does.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from corpusmill.manifests.settings import Share
from corpusmill.stages.synthesize.postfilters import names as names_of
from corpusmill.stages.synthesize.postfilters import numbers as numbers_of
from corpusmill.stages.synthesize.postfilters.degenerate import shared_words
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt

_RETOLD, _LEAST_WORDS = 0.25, 30  # share of words that a retelling has, if it is not short
_NEAR = 6  # words around a fact in the answer
_AROUND = 14  # words around it in the passage, within its line
_LEAST_NEIGHBOURS = 3
_ELSEWHERE = 0.67  # share of the neighbours that another fact has
# A fact may have moved if at most this share of its neighbours is around it in the passage, too. A
# text repeats its names among other words, so the share of a name is lower.
_HERE_NUMBER, _HERE_NAME = 0.34, 0.2
_RIGHT_BESIDE, _LEAST_NEAR = 3, 2  # words beside two facts that may have changed places
_MOST_FACTS = 200  # of an answer; those behind them are not compared with others
_SHOWN = 5
_WORD = re.compile(rf"\d+(?:[.,:]\d+)*|{names_of.WORD.pattern}")
_CLAUSE_END = re.compile(r"\n|(?<=[.!?;])\s")


def faithful(
    text: str,
    context: Context,
    numbers: Share = 0.0,
    names: Share = 0.0,
    swapped: Share = 0.0,
    missing: Share = 1.0,
) -> Result:
    """Drop answers with numbers, months or names that the passage does not have, with facts that
    changed places, or without the passage's facts.

    numbers, names: share of the answer's different numbers (names) that may be new. swapped: share
    of its facts whose neighbours may be those of another fact. missing: share of the passage's
    numbers and names that the answer may leave out. 1 switches a check off. An answer that retells
    something else has no facts to compare. `closeness` judges it.
    """
    shared = shared_words(text, context.segment)
    if shared is not None and shared < _RETOLD and len(text.split()) >= _LEAST_WORDS:
        return text
    passage = names_of.passage(context.segment)
    if numbers < 1:
        known = numbers_of.known_values(context.segment)
        found = list(numbers_of.written(text))
        new = [number for number in found if not numbers_of.supported(number, text, known)]
        if rejection := _judged(
            "new_number", text, _texts(found, text), _texts(new, text), numbers
        ):
            return rejection
    named = list(names_of.names(text, passage))
    if names < 1:
        unknown = [name for name in named if not names_of.supported(name, passage)]
        if rejection := _judged(
            "new_name", text, _texts(named, text), _texts(unknown, text), names
        ):
            return rejection
    if swapped < 1:
        compared, moved = _misplaced(text, context.segment)
        if rejection := _judged("swapped_fact", text, compared, moved, swapped):
            return rejection
    if missing < 1:
        facts, lost = _lost(text, context.segment)
        if rejection := _judged("missing_fact", text, facts, lost, missing):
            return rejection
    return text


def _lost(answer: str, passage: str) -> tuple[list[str], list[str]]:
    """(numbers and names of the passage, those that the answer does not have)."""
    values, words = numbers_of.known_values(answer), names_of.passage(answer)
    numbers = list(numbers_of.written(passage))
    named = list(names_of.names(passage, names_of.passage(passage)))
    lost = [
        *_texts([n for n in numbers if not numbers_of.supported(n, passage, values)], passage),
        *_texts([name for name in named if not names_of.supported(name, words)], passage),
    ]
    return [*_texts(numbers, passage), *_texts(named, passage)], lost


def _judged(
    reason: str, text: str, all_facts: Sequence[str], wrong: Sequence[str], most: float
) -> Rejection | None:
    facts, faults = dict.fromkeys(all_facts), list(dict.fromkeys(wrong))
    if len(faults) <= most * len(facts):
        return None
    shown = ", ".join(faults[:_SHOWN])
    return Rejection(reason, f"{len(faults)} of {len(facts)}, {shown}: {excerpt(text)}")


def _texts(facts: Sequence[numbers_of.Number] | Sequence[names_of.Name], text: str) -> list[str]:
    return [text[fact.start : fact.end] for fact in facts]


@dataclass(frozen=True)
class _Fact:
    """A number or a capitalised word. key: the word, and whether it is a number.

    place: among the words of its clause. clause: number of the clause. around: stem -> the place of
    a word near it. beside: the words right before and behind it, which may be parts of one name.
    """

    key: tuple[str, bool]
    place: int
    clause: int
    around: Mapping[str, int]
    near: frozenset[str]
    beside: frozenset[str]


def _misplaced(answer: str, passage: str) -> tuple[list[str], list[str]]:
    """(facts of the answer that the passage has too, those that stand among another's words)."""
    known: dict[tuple[str, bool], list[_Fact]] = {}
    for fact in _facts(passage.split("\n"), _AROUND):
        known.setdefault(fact.key, []).append(fact)
    found = list(itertools.islice(_facts(_CLAUSE_END.split(answer), _NEAR), _MOST_FACTS))
    shared = [fact for fact in found if fact.key in known]
    moved = [
        fact.key[0]
        for fact in shared
        if len(fact.around) >= _LEAST_NEIGHBOURS
        and _matching(fact, known[fact.key])[0] <= (_HERE_NUMBER if fact.key[1] else _HERE_NAME)
        and _stands_elsewhere(fact, found, known)
    ]
    moved += _exchanged(shared, known)
    return [fact.key[0] for fact in shared], moved


def _exchanged(
    shared: Sequence[_Fact], known: Mapping[tuple[str, bool], Sequence[_Fact]]
) -> list[str]:
    """Facts of which two in a clause have each the other one's nearest words in the passage."""
    found = []
    for one, other in itertools.combinations(shared, 2):
        if (
            one.clause == other.clause
            and one.key != other.key
            and one.key[1] == other.key[1]
            and one.key[0] not in other.beside
            and _nearer(one, known[other.key], known[one.key])
            and _nearer(other, known[one.key], known[other.key])
        ):
            found += [one.key[0], other.key[0]]
    return found


def _nearer(fact: _Fact, theirs: Sequence[_Fact], its: Sequence[_Fact]) -> bool:
    """Whether the words right beside a fact are those of another one in the passage."""
    here, there = (max(len(fact.near & place.near) for place in places) for places in (its, theirs))
    return there >= _LEAST_NEAR and there > here


def _stands_elsewhere(
    fact: _Fact, found: Sequence[_Fact], known: Mapping[tuple[str, bool], Sequence[_Fact]]
) -> bool:
    """Whether the words beside a fact are another one's, of the same kind, and no nearer to it."""
    beside = {key for place in known[fact.key] for key in place.beside}
    for key, places in known.items():
        if key[1] != fact.key[1] or key == fact.key or key[0] in beside:
            continue
        share, theirs = _matching(fact, places)
        if share < _ELSEWHERE:
            continue
        rivals = [
            other.place for other in found if other.key == key and other.clause == fact.clause
        ]
        if all(_distance(rival, theirs) > _distance(fact.place, theirs) for rival in rivals):
            return True
    return False


def _matching(fact: _Fact, places: Sequence[_Fact]) -> tuple[float, list[int]]:
    """(share of the words beside a fact that one of the places has, where they stand)."""
    best = max(places, key=lambda other: len(fact.around.keys() & other.around.keys()))
    shared = [place for stem, place in fact.around.items() if stem in best.around]
    return len(shared) / len(fact.around), shared


def _distance(place: int, others: Sequence[int]) -> float:
    return sum(abs(place - other) for other in others) / len(others)


def _facts(clauses: Sequence[str], width: int) -> Iterator[_Fact]:
    """Numbers and names, each with the stems of `width` words on both sides."""
    for number, clause in enumerate(clauses):
        found = list(_WORD.finditer(clause))
        words = [word[0] for word in found]
        stems = [word[:5].casefold() if len(word) > 3 and word.isalpha() else "" for word in words]
        for place, word in enumerate(words):
            is_number = word[0].isdigit()
            if len(word) < (2 if is_number else 3) or not (is_number or word[0].isupper()):
                continue
            is_common = not is_number and names_of.is_common(names_of.bare(word))
            if is_common and names_of.begins_sentence(clause, found[place].start()):
                continue
            around = {
                stems[beside]: beside
                for beside in range(max(0, place - width), min(len(words), place + width + 1))
                if stems[beside] and stems[beside] != stems[place]
            }
            beside = frozenset(map(names_of.bare, words[max(0, place - 1) : place + 2]))
            near = frozenset(
                stem for stem, at in around.items() if abs(at - place) <= _RIGHT_BESIDE
            )
            yield _Fact((names_of.bare(word), is_number), place, number, around, near, beside)
