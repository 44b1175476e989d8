"""Repair of damaged text: text decoded with the wrong charset (mojibake), entities escaped twice,
ligatures.

ftfy (Speer, github.com/rspeer/python-ftfy) does the repair. It looks at every line with regular
expressions and reads 1.5 MB/s, but nearly no line needs it. So a kernel first finds the lines that
ftfy could change (`stages.extract.suspicious_lines`), and ftfy gets only those. The kernel's
classes of characters come from ftfy's own tables. It skips a line only if ftfy would change nothing
in it, so the result is ftfy's.

What is repaired, each a setting:

- Curly quotes stay: they are good typography, and code has straight ones anyway.
- Full-width forms stay: in Chinese and Japanese they are the punctuation.
- Latin ligatures are taken apart.
- Entities that are left over are resolved. A text that writes about them keeps them
  (`left_over_entities`).
- Unicode is normalised to NFC.

Control characters, wrong surrogates, and sequences that lost a byte are always repaired.
"""

import functools
import importlib.metadata
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from corpusmill.manifests.settings import Settings
from corpusmill.stages.extract.left_over_entities import are_left_over
from numpy.typing import NDArray

_C1 = re.compile("[\x80-\x9f]")
_MOST_LINES = 1024  # a text with more of them goes to ftfy as a whole from there on


class Repair(Settings):
    """How texts that were decoded with a wrong charset are repaired."""

    on: bool = True
    """Whether texts are repaired at all."""
    entities: bool = True
    """Resolve HTML entities that extraction left over."""
    ligatures: bool = True
    """Take Latin ligatures apart."""
    straight_quotes: bool = False
    """Make curly quotes straight."""
    narrow: bool = False
    """Make full-width letters and punctuation narrow."""
    normalization: Literal["NFC", "NFKC"] | None = "NFC"
    """The Unicode normal form; null for none. NFKC changes meaning: 10³ becomes 103."""


def repairer_versions(settings: Repair) -> tuple[str, ...]:
    """All that decides the repair besides the settings."""
    return (
        (f"ftfy {importlib.metadata.version('ftfy')}", f"unicode {unicodedata.unidata_version}")
        if settings.on
        else ()
    )


def repaired(text: str, settings: Repair) -> str:
    """`text` as ftfy repairs it, line by line."""
    from corpusmill.stages.extract.suspicious_lines import find_suspicious_lines

    if not settings.on or not text:
        return text
    encoded = text.encode("utf-8", "surrogatepass")
    entities = settings.entities and "&" in text and are_left_over(text)
    begins, ends = np.empty(_MOST_LINES, np.int64), np.empty(_MOST_LINES, np.int64)
    count = find_suspicious_lines(
        np.frombuffer(encoded, np.uint8), character_classes(settings), entities, begins, ends
    )
    if not count:
        return text
    parts: list[str] = []
    at = 0
    for begin, end in zip(begins[:count].tolist(), ends[:count].tolist(), strict=True):
        parts += [_text(encoded[at:begin]), by_ftfy(_text(encoded[begin:end]), settings, entities)]
        at = end
    return "".join([*parts, _text(encoded[at:])])


def repaired_page(page: str, settings: Repair) -> str:
    """The HTML of a page, repaired where it holds C1 control characters.

    They are bytes of UTF-8 that were decoded as Latin-1. Extraction drops control characters, and
    so would lose the characters that these bytes stand for.
    """
    if not settings.on or page.isascii() or not _C1.search(page):
        return page
    return by_ftfy(page, Repair(entities=False, ligatures=False, normalization=None), False)


def by_ftfy(text: str, settings: Repair, entities: bool) -> str:
    """A text as ftfy alone repairs it. entities: whether entities are resolved, which the whole
    text decides.
    """
    import ftfy

    return ftfy.fix_text(text, _ftfy_settings(settings, entities))


@functools.lru_cache(maxsize=16)
def _ftfy_settings(settings: Repair, entities: bool) -> Any:
    import ftfy

    return ftfy.TextFixerConfig(
        unescape_html=entities,
        fix_latin_ligatures=settings.ligatures,
        fix_character_width=settings.narrow,
        uncurl_quotes=settings.straight_quotes,
        normalization=settings.normalization,
        explain=False,
    )


@functools.lru_cache(maxsize=16)
def character_classes(settings: Repair) -> NDArray[np.uint8]:
    """The class of every character, for the kernel."""
    from corpusmill.stages.extract.suspicious_lines import ALONE
    from ftfy.chardata import CONTROL_CHARS, LIGATURES, WIDTH_MAP

    classes = _mojibake_classes().copy()
    _mark(
        classes,
        [*CONTROL_CHARS, 0x0C, 0x0D, 0x1B, 0x85, 0x2028, 0x2029, *range(0xD800, 0xE000)],
        ALONE,
    )
    if settings.ligatures:
        _mark(classes, LIGATURES, ALONE)
    if settings.narrow:
        _mark(classes, WIDTH_MAP, ALONE)
    if settings.straight_quotes:
        _mark(classes, map(ord, "\u02bc\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f"), ALONE)
    if settings.normalization:
        _mark(classes, _changed_by(settings.normalization, classes.size), ALONE)
    return classes


@functools.lru_cache(maxsize=1)
def _mojibake_classes() -> NDArray[np.uint8]:
    """The classes that ftfy's detector of mojibake (`ftfy.badness`) needs.

    It asks for two neighbours of its categories, both beyond ASCII. Its few longer or shorter
    patterns are STARTER, OPEN and ALONE here. Two letters are never a match. Nor are the "common"
    signs (dashes, the apostrophe...) after anything but a starter.
    """
    from corpusmill.stages.extract.suspicious_lines import (
        ALONE,
        LETTER,
        OPEN,
        STARTER,
        SUSPECT,
        TABLE_SIZE,
    )
    from ftfy.badness import MOJIBAKE_CATEGORIES

    classes = np.zeros(TABLE_SIZE, np.uint8)
    every = "".join(map(chr, (*range(0x80, 0xD800), *range(0xE000, 0x10000))))
    for category, characters in MOJIBAKE_CATEGORIES.items():
        members = re.findall(f"[{characters}]", every)
        if category == "c1":
            _mark(classes, map(ord, members), ALONE)
        elif category != "common":
            _mark(classes, map(ord, members), SUSPECT)
        if category in ("lower_common", "upper_common", "lower_accented", "kaomoji"):
            _mark(
                classes,
                (ord(member) for member in members if member.isalpha() and member != "Ђ"),
                LETTER,
            )
    _mark(classes, map(ord, "ŸŠŽ"), SUSPECT)
    _mark(classes, map(ord, "ÂÃÎÐØÙ√"), STARTER)
    _mark(classes, map(ord, "ÂÃŒœ"), OPEN)
    return classes


def _mark(classes: NDArray[np.uint8], points: Iterable[int], kind: int) -> None:
    classes[[point for point in points if point < classes.size]] |= kind


@functools.lru_cache(maxsize=2)
def _changed_by(form: Literal["NFC", "NFKC"], size: int) -> frozenset[int]:
    """The characters that a normal form changes by themselves, puts in another order, or joins to
    the one before.
    """
    points = [point for point in range(0x80, size) if not 0xD800 <= point < 0xE000]
    parts = (unicodedata.decomposition(chr(point)).split() for point in points)
    return frozenset(
        {
            *(
                point
                for point in points
                if unicodedata.combining(chr(point))
                or not unicodedata.is_normalized(form, chr(point))
            ),
            *(
                int(found[1], 16)
                for found in parts
                if len(found) == 2 and not found[0].startswith("<")
            ),
            *range(0x1161, 0x1176),  # Hangul vowels and finals
            *range(0x11A8, 0x11C3),
        }
    )


def _text(encoded: bytes) -> str:
    return encoded.decode("utf-8", "surrogatepass")
