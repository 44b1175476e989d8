"""Documents with planted evaluation items, and the overlap rules of other projects.

Of every set, items with an even hash are indexed. They are planted into documents that nobody
contaminated, in the ways of `PLANTINGS`. What must stay clean: the documents themselves, documents
with items that are *not* indexed (other questions in the same style), and documents with a short
answer of an indexed item.
"""

import hashlib
import io
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard
from corpusmill.stages.decontaminate.items import Item, read_items
from corpusmill.stages.decontaminate.layouts import Role
from corpusmill.stages.decontaminate.settings import EvaluationSet

FIRST_WORDS = 8
SHORT_ANSWER = 30  # characters
LONG_ANSWER = 30  # words
LONG_DOCUMENT = 200_000  # characters
_FILL = ("so", "then", "also", "just", "really", "here", "now", "perhaps", "of", "the")


@dataclass(frozen=True)
class Case:
    """A document. item: (set, id) of the item planted in it; None if it must stay."""

    kind: str
    text: str
    item: tuple[str, str] | None


def records(path: Path) -> Iterator[dict[str, object]]:
    """The objects of a `.jsonl.zst` file."""
    with path.open("rb") as packed:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8"):
            yield json.loads(line)


def texts(paths: Sequence[Path], size: int) -> list[str]:
    """The first texts of each file, about `size` characters of each."""
    found = []
    for path in paths:
        read = 0
        for record in records(path):
            text = str(record.get("text") or "")
            found.append(text)
            read += len(text)
            if read > size:
                break
    return found


def split_sets(evals: Path, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Write the halves of every set below `folder`: those to index, and those kept apart.

    A hash of the question's first words decides, so twins such as Winograd's are on one side.
    Returns name -> path, of both.
    """
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for path in sorted(evals.glob("*.jsonl.zst")):
        name = path.name.split(".")[0]
        items = read_items(name, EvaluationSet(input=str(path)))
        lines: tuple[list[str], list[str]] = ([], [])
        for item, record in zip(items, records(path), strict=True):
            begins = " ".join(question_of(item).lower().split()[:FIRST_WORDS])
            key = hashlib.blake2b(begins.encode(), digest_size=1).digest()
            lines[key[0] % 2].append(json.dumps(record))
        for label, side, half in zip(("indexed", "apart"), sides, lines, strict=True):
            target = folder / label / f"{name}.jsonl"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("\n".join(half), encoding="utf-8")
            side[name] = str(target)
    return sides


def items_of(sets: Mapping[str, str]) -> list[Item]:
    return [
        item for name, path in sets.items() for item in read_items(name, EvaluationSet(input=path))
    ]


def question_of(item: Item) -> str:
    """The question as one text; of a set for perplexity, the first 100 words."""
    asked = " ".join(part.text.strip() for part in item.parts if part.role == Role.QUESTION)
    return asked or " ".join(item.parts[0].text.split()[:100])


def answer_of(item: Item) -> str:
    return next((part.text.strip() for part in item.parts if part.role == Role.ANSWER), "")


def both(item: Item) -> str:
    return f"{question_of(item)}\n{answer_of(item)}"


def re_punctuated(text: str, chosen: random.Random) -> str:
    """Other punctuation at every place that has some, and other white space."""
    text = re.sub(r"[^\w\s'’]+(?=\s|$)", lambda _: chosen.choice(("", ";", " -", "...", "!")), text)
    return re.sub(r"\s+", lambda _: chosen.choice((" ", "  ", "\n")), text)


def re_cased(text: str, chosen: random.Random) -> str:
    return chosen.choice((str.upper, str.lower, str.title, str.swapcase))(text)


def paraphrased(text: str, chosen: random.Random) -> str:
    """One word in ten is changed, left out, or gets a neighbour. Numbers stay."""
    words = []
    for word in text.split():
        if chosen.random() >= 0.1 or any(character.isdigit() for character in word):
            words.append(word)
            continue
        words += chosen.choice(([chosen.choice(_FILL)], [], [word, chosen.choice(_FILL)]))
    return " ".join(words)


PLANTINGS: dict[str, Callable[[Item, random.Random], str]] = {
    "verbatim": lambda item, chosen: both(item),
    "re-cased": lambda item, chosen: re_cased(both(item), chosen),
    "re-punctuated": lambda item, chosen: re_punctuated(both(item), chosen),
    "lightly paraphrased": lambda item, chosen: paraphrased(both(item), chosen),
    "in a long document": lambda item, chosen: both(item),
    "question without answer": lambda item, chosen: question_of(item),
    "long answer alone": lambda item, chosen: answer_of(item),
}


def cases(
    indexed: Sequence[Item], apart: Sequence[Item], clean: Sequence[str], each: int, seed: int = 0
) -> list[Case]:
    """`each` documents of every planting, and as many clean ones as contaminated ones."""
    chosen = random.Random(seed)
    found: list[Case] = []

    def planted(kind: str, text: str, item: Item | None) -> None:
        document = chosen.choice(clean)
        while kind == "in a long document" and len(document) < LONG_DOCUMENT:
            document += "\n\n" + chosen.choice(clean)
        places = [match.end() for match in re.finditer(r"\n|\. ", document)] or [len(document)]
        place = chosen.choice(places)
        document = f"{document[:place]}\n{text}\n{document[place:]}"
        found.append(Case(kind, document, item and (item.set, item.id)))

    by_set = _by_set(indexed)
    for kind, write in PLANTINGS.items():
        eligible = by_set
        if kind == "long answer alone":
            eligible = _by_set([item for item in indexed if _words(answer_of(item)) >= LONG_ANSWER])
        for _ in range(each):
            item = chosen.choice(eligible[chosen.choice(sorted(eligible))])
            planted(kind, write(item, chosen), item)
    others, share = _by_set(apart), len(found) // 3
    short = _by_set([item for item in indexed if 0 < len(answer_of(item)) <= SHORT_ANSWER])
    for _ in range(share):
        planted(
            "another question", both(chosen.choice(others[chosen.choice(sorted(others))])), None
        )
        item = chosen.choice(short[chosen.choice(sorted(short))])
        planted("short answer alone", answer_of(item), None)
    found += [Case("as it was", text, None) for text in chosen.sample(list(clean), share)]
    return found


def _by_set(items: Sequence[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.set, []).append(item)
    return found


def _words(text: str) -> int:
    return len(text.split())


def _plain(text: str) -> list[str]:
    """Words in lower case without punctuation, as in GPT-3's appendix C."""
    return re.sub(r"[^\w\s]", "", text.lower()).split()


class Overlap13:
    """GPT-3's rule: any 13-gram of an item in the document (arXiv:2005.14165, appendix C), as
    NeMo, Dolma and Marin run it. An item of fewer words has none.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._grams = {gram for item in items for gram in _grams(_plain(both(item)), 13)}

    def finds(self, text: str) -> bool:
        return any(gram in self._grams for gram in _grams(_plain(text), 13))


class Overlap8:
    """Tülu 3's rule: more than half of an item's words lie in 8-grams that the document has
    (arXiv:2411.15124, section 3.2).
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self._places: dict[int, list[tuple[int, int]]] = {}
        self._sizes = []
        for number, item in enumerate(items):
            words = _plain(both(item))
            self._sizes.append(len(words))
            for place, gram in enumerate(_grams(words, 8)):
                self._places.setdefault(gram, []).append((number, place))

    def finds(self, text: str) -> bool:
        covered: dict[int, set[int]] = {}
        for gram in set(_grams(_plain(text), 8)):
            for number, place in self._places.get(gram, ()):
                covered.setdefault(number, set()).update(range(place, place + 8))
        return any(2 * len(words) > self._sizes[number] for number, words in covered.items())


def _grams(words: Sequence[str], size: int) -> Iterator[int]:
    for place in range(len(words) - size + 1):
        yield hash(tuple(words[place : place + size]))
