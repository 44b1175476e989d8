"""Spoil clean text as the web spoils it. The small rephrasing model learns to undo this noise.

Clean text is paragraphs separated by an empty line. Each kind of noise is one function `(text,
severity, rng) -> text`. The severity, in [0, 1], is about how much of the text is touched. `noisy`
applies a few of them. A careful reader can undo everything done here: no letter is lost, and case
is taken away only if grammar gives it back. All noise is seeded.

The idea is that of denoising pre-training (BART, arXiv 1910.13461), with the noise of web pages in
place of masks.
"""

import random
import re
from collections.abc import Callable, Sequence

from corpusmill.tools.boilerplate import boilerplate_line
from corpusmill.tools.markup_noise import entities, markup, stray_characters
from corpusmill.tools.paragraphs import PARAGRAPH, Noise, per_paragraph

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'“‘(])")


def noisy(
    text: str, seed: int, kinds: Sequence[str] | None = None, severity: float | None = None
) -> str:
    """`text` (paragraphs separated by empty lines) with noise. Equal arguments give equal results.

    kinds: which of `NOISES` to apply. None: one to four of them drawn by `WEIGHTS`, or none at all
    for one text in 16. severity: in [0, 1]. None: drawn for each kind, small more often than large.
    """
    rng = random.Random(seed)
    if kinds is None:
        kinds = drawn_kinds(rng)
    for kind, noise in NOISES.items():
        if kind in kinds:
            text = noise(text, rng.random() ** 1.5 if severity is None else severity, rng)
    return text


def drawn_kinds(rng: random.Random) -> tuple[str, ...]:
    """The kinds of noise that one text gets."""
    if rng.random() < 1 / 16:
        return ()
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    count = rng.choices((1, 2, 3, 4), weights=(3, 4, 3, 1))[0]
    return tuple(sorted({*rng.choices(names, weights=weights, k=count)}))


def wrong_case(text: str, severity: float, rng: random.Random) -> str:
    """Whole sentences in capitals or lower case, and sentences that begin with a small letter.

    A sentence with names in it (capitals after its first word) only loses its first capital. A
    reader could not tell its names otherwise.
    """

    def spoil(sentence: str) -> str:
        if rng.random() >= 0.15 + 0.85 * severity:
            return sentence
        words = sentence.split(" ")
        names = any(word != "I" and any(c.isupper() for c in word) for word in words[1:])
        plain = not names and len(words) > 2 and not any(c.isupper() for c in words[0][1:])
        return (
            rng.choice((sentence.upper(), sentence.lower()))
            if plain
            else sentence[:1].lower() + sentence[1:]
        )

    return per_paragraph(
        text, lambda paragraph: _joined(_SENTENCE_END.split(paragraph), spoil, " ")
    )


def doubled_words(text: str, severity: float, rng: random.Random) -> str:
    """Words that are written twice, and sometimes two or three words together."""

    def spoil(paragraph: str) -> str:
        words, made, position = paragraph.split(" "), [], 0
        while position < len(words):
            width = rng.choice((1, 1, 1, 2, 3)) if rng.random() < 0.01 + 0.1 * severity else 0
            taken = words[position : position + max(1, width)]
            repeatable = width and all(_WORD.fullmatch(word) for word in taken)
            made += taken * 2 if repeatable else taken
            position += len(taken)
        return " ".join(made)

    return per_paragraph(text, spoil)


def punctuation(text: str, severity: float, rng: random.Random) -> str:
    """Doubled marks, spaces before marks, runs of spaces, and sentences without a space between."""
    chance = 0.03 + 0.4 * severity

    def mark(match: re.Match[str]) -> str:
        if rng.random() >= chance:
            return match.group()
        form = rng.choice(("doubled", "spaced", "joined", "doubled and spaced"))
        sign = match.group(1)
        if form == "joined":
            return sign
        return (" " if "spaced" in form else "") + sign * (2 if "doubled" in form else 1) + " "

    def gap(match: re.Match[str]) -> str:
        return " " * rng.randint(2, 5) if rng.random() < chance / 4 else match.group()

    text = re.sub(
        r"([,;:!?])[ ]|(?<=[a-z]{3})([.])[ ](?=[A-Z])",
        lambda m: mark(m) if m.group(1) else _full_stop(rng, chance),
        text,
    )
    return re.sub(r"(?<=\S) (?=\S)", gap, text)


def line_breaks(text: str, severity: float, rng: random.Random) -> str:
    """Lines broken in mid-sentence: at a fixed width, or here and there."""
    width = rng.randint(28, 90)
    wrapped = rng.random() < 0.6
    chance = 0.02 + 0.15 * severity

    def spoil(paragraph: str) -> str:
        lines: list[str] = [""]
        for word in paragraph.split(" "):
            full = len(lines[-1]) + 1 + len(word) > width if wrapped else rng.random() < chance
            if lines[-1] and full:
                lines.append(word)
            else:
                lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
        return "\n".join(lines)

    return per_paragraph(text, spoil)


def hyphenation(text: str, severity: float, rng: random.Random) -> str:
    """Long words divided at the end of a line, as text columns of PDFs leave them."""
    chance = 0.02 + 0.15 * severity

    def divide(match: re.Match[str]) -> str:
        word = match.group()
        if rng.random() >= chance:
            return word
        places = [
            i
            for i in range(3, len(word) - 2)
            if word[i] not in "aeiouy" and word[i - 1] in "aeiouylnrst"
        ]
        if not places:
            return word
        place = rng.choice(places)
        return f"{word[:place]}-\n{word[place:]}"

    return re.sub(r"(?<![\w&;/.@-])[A-Za-z][a-z]{6,}(?![\w/@(-]|\.\w)", divide, text)


def boilerplate(text: str, severity: float, rng: random.Random) -> str:
    """Lines of menus, notices, bylines and footers before, after and between the paragraphs."""
    paragraphs = text.split(PARAGRAPH)
    lines = [boilerplate_line(text, rng) for _ in range(1 + round(5 * severity * rng.random()))]
    for line in lines:
        place = rng.choice(
            (0, 0, len(paragraphs), len(paragraphs), rng.randint(0, len(paragraphs)))
        )
        paragraphs.insert(place, line)
    return _rejoined(paragraphs, rng)


def spacing(text: str, severity: float, rng: random.Random) -> str:
    """Paragraphs separated by one line break, or three, and lines that begin or end in blanks."""
    paragraphs = [
        " " * rng.randint(1, 8) + p if rng.random() < 0.3 * severity else p
        for p in text.split(PARAGRAPH)
    ]
    paragraphs = [
        p + " " * rng.randint(1, 3) if rng.random() < 0.3 * severity else p for p in paragraphs
    ]
    return _rejoined(paragraphs, rng)


# In the order in which they are applied. The first change words, the last add whole lines.
NOISES: dict[str, Noise] = {
    "wrong_case": wrong_case,
    "doubled_words": doubled_words,
    "punctuation": punctuation,
    "entities": entities,
    "line_breaks": line_breaks,
    "hyphenation": hyphenation,
    "markup": markup,
    "stray_characters": stray_characters,
    "boilerplate": boilerplate,
    "spacing": spacing,
}
WEIGHTS: dict[str, float] = {
    "boilerplate": 4,
    "line_breaks": 2,
    "hyphenation": 1,
    "doubled_words": 1.5,
    "wrong_case": 1.5,
    "markup": 2,
    "entities": 2,
    "punctuation": 1.5,
    "stray_characters": 1.5,
    "spacing": 1,
}


def _joined(parts: Sequence[str], spoil: Callable[[str], str], separator: str) -> str:
    return separator.join(map(spoil, parts))


def _rejoined(paragraphs: Sequence[str], rng: random.Random) -> str:
    """Paragraphs on lines of their own.

    If a paragraph has line breaks already, an empty line must stay between paragraphs.
    """
    broken = any("\n" in paragraph for paragraph in paragraphs)
    separator = rng.choice(
        (PARAGRAPH, "\n\n\n", "\n \n") if broken else ("\n", "\n", PARAGRAPH, "\n\n\n")
    )
    return separator.join(paragraphs)


def _full_stop(rng: random.Random, chance: float) -> str:
    if rng.random() >= chance:
        return ". "
    return rng.choice((".. ", " . ", ".", ".  ", "... "))
