"""Clean passages for training pairs: drawn from the clean text, and changed so that they must be
copied.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from corpusmill.tools.paragraphs import PARAGRAPH
from corpusmill.tools.web_blocks import snippets

# Characters of a passage: from, to, and the share of such passages.
LENGTHS = ((40, 300, 0.2), (300, 900, 0.35), (900, 1700, 0.45))
CODE = "code"  # the source whose documents are source code
_WORD = re.compile(r"[A-Za-z]{3,}")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z\"“‘'(])")


@dataclass(frozen=True)
class Passages:
    """Clean paragraphs by source, to draw passages from.

    weights: of sources. ends: running sums of the paragraphs' lengths, in characters.
    """

    sources: tuple[str, ...]
    weights: tuple[float, ...]
    paragraphs: tuple[tuple[str, ...], ...]
    ends: tuple[np.ndarray, ...]
    words: tuple[str, ...]  # all different words, for swapping
    code: tuple[str, ...] = ()  # snippets of source code


def read_passages(text: Path, held_out: bool) -> Passages:
    """The training or the held-out part of a clean-text file.

    A source's weight is the square root of its size.
    """
    table = pq.read_table(text).to_pylist()
    by_source: dict[str, list[str]] = {}
    code: list[str] = []
    for document in table:
        if document["held_out"] != held_out:
            continue
        if document["source"] == CODE:
            code += snippets(document["text"])
        else:
            by_source.setdefault(document["source"], []).extend(document["text"].split(PARAGRAPH))
    sources = tuple(sorted(by_source))
    ends = tuple(
        np.cumsum([len(paragraph) for paragraph in by_source[source]]) for source in sources
    )
    words = sorted(
        {
            word
            for source in sources
            for paragraph in by_source[source]
            for word in _WORD.findall(paragraph)
        }
    )
    return Passages(
        sources=sources,
        weights=tuple(float(np.sqrt(end[-1])) for end in ends),
        paragraphs=tuple(tuple(by_source[source]) for source in sources),
        ends=ends,
        words=tuple(words),
        code=tuple(code),
    )


def draw_passage(passages: Passages, rng: random.Random) -> tuple[str, str]:
    """(source, clean text): neighbouring paragraphs up to a drawn length, cut at sentence ends."""
    number = rng.choices(range(len(passages.sources)), weights=passages.weights)[0]
    paragraphs, ends = passages.paragraphs[number], passages.ends[number]
    low, high, _ = rng.choices(LENGTHS, weights=[share for *_, share in LENGTHS])[0]
    wanted = rng.randint(low, high)
    place = int(np.searchsorted(ends, rng.randrange(int(ends[-1])), side="right"))
    sentences = _SENTENCE.split(paragraphs[place])
    first = rng.randrange(len(sentences)) if rng.random() < 0.5 else 0
    taken = [" ".join(_fitting(sentences[first:], wanted))]
    while (missing := wanted - sum(map(len, taken))) > 60 and place + 1 < len(paragraphs):
        place += 1
        taken.append(" ".join(_fitting(_SENTENCE.split(paragraphs[place]), missing)))
    return passages.sources[number], PARAGRAPH.join(taken)


def _fitting(sentences: Sequence[str], longest: int) -> list[str]:
    """As many first sentences as fit into `longest` characters, at least one."""
    taken, length = list(sentences[:1]), len(sentences[0])
    for sentence in sentences[1:]:
        length += 1 + len(sentence)
        if length > longest:
            break
        taken.append(sentence)
    return taken


def with_swapped_words(text: str, words: Sequence[str], rng: random.Random) -> str:
    """`text` with many words swapped and all digits drawn anew.

    A word is swapped for another one, with its case kept, or for a name, version or address.
    """
    share = rng.uniform(0.1, 0.9)

    def swap(match: re.Match[str]) -> str:
        word = match.group()
        if rng.random() >= share:
            return word
        if rng.random() < 0.06 and not word[0].isupper():
            return _identifier(words, rng)
        other = rng.choice(words)
        return other.capitalize() if word[0].isupper() else other.lower()

    return re.sub(r"\d", lambda _: str(rng.randint(0, 9)), _WORD.sub(swap, text))


def _identifier(words: Sequence[str], rng: random.Random) -> str:
    """Text that must be copied sign by sign: an identifier, a version, a path, an address."""
    one, two, three = (rng.choice(words) for _ in range(3))
    digits = ".".join(str(rng.randint(0, 20)) for _ in range(rng.randint(1, 3)))
    forms = (
        f"{one.lower()}_{two.lower()}",
        f"{one.lower()}{two.capitalize()}",
        f"{one.capitalize()}{two.capitalize()}",
        f"{one.lower()}-{two.lower()}",
        f"{one.lower()}.{two.lower()}.{three.lower()}",
        f"v{digits}",
        f"{one.lower()}-{digits}",
        f"{one.lower()}()",
        f"/{one.lower()}/{two.lower()}",
        f"https://{one.lower()}.org/{two.lower()}/{three.lower()}",
        f"{one.lower()}@{two.lower()}.com",
        f"{one.upper()}-{rng.randint(1, 30000)}",
        f"{rng.randint(1, 999)}%",
        f"${rng.randint(1, 99_999)}",
    )
    return rng.choice(forms)


def with_headings(clean: str, rng: random.Random) -> str:
    """`clean` with headings before some paragraphs, made of the paragraphs' words.

    Headings belong to the text. The model must keep them.
    """
    paragraphs = []
    for paragraph in clean.split(PARAGRAPH):
        words = _WORD.findall(paragraph)
        if len(words) > 20 and rng.random() < 0.5:
            first = rng.randrange(len(words) - 6)
            heading = " ".join(words[first : first + rng.randint(1, 6)])
            paragraphs.append(
                heading[0].upper() + heading[1:] if rng.random() < 0.5 else heading.title()
            )
        paragraphs.append(paragraph)
    return PARAGRAPH.join(paragraphs)
