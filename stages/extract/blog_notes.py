"""What blog software writes around a post, and no author wrote: `This entry was posted on`, `Posted
in`, `Tagged`, `Continue reading`.

The model keeps such a note now and then, since it stands right below the text, and some are whole
sentences. So they go by their words, which come with the software (WordPress and its translations,
Movable Type, Blogger). A note fills its block. `Continue reading` also ends a teaser: then only its
words go. A sentence that happens to begin so stays: it has no links, or goes on as a sentence.
"""

import re
from typing import Final

import numpy as np
from corpusmill.stages.extract.page.page import (
    BEGIN,
    CHARACTERS,
    END,
    HEADING,
    LINK_CHARACTERS,
    LINKS,
    PREFORMATTED,
)
from numpy.typing import NDArray

LONGEST_NOTE: Final = 60  # words
LINKED: Final = 0.25  # share of the characters of a note that are links
LONGEST_TAIL: Final = 200  # bytes

_ENTRY = (
    "this (?:entry|post) (?:was|is) (?:posted|written|published|filed|tagged)",
    "this article was (?:posted|filed) (?:in|under|on)",
    "dieser (?:eintrag|beitrag|artikel) wurde (?:veröffentlicht|geschrieben|am|unter|in)",
    "cet(?:te)? (?:entrée|article|billet) a été publiée?",
    "esta entrada fue publicada",
    "questa voce è stata pubblicata",
    "(?:este post|esta entrada) foi publicad[ao]",
    "dit bericht (?:is|werd) geplaatst",
    "ten wpis został opublikowany",
    "(?:Эта запись|Запись) опубликована",
    "you can follow any responses to this entry",
    "both comments and pings are currently",
)
_LABELS = (
    "posted in",
    "posted under",
    "filed (?:under|in)",
    "tagged(?: with| as)?",
    "tags:",
    "categor(?:y|ies):",
    "veröffentlicht (?:in|unter)",
    "verschlagwortet mit",
    "schlagwörter:",
    "publié dans",
    "publicado en",
    "publicado em",
    "etiquetado",
    "pubblicato in",
    "geplaatst in",
    "opublikowano w",
    "Рубрика:",
)
_READ_ON = (
    "continue reading",
    "read more",
    "read the rest of (?:this|the) entry",
    "read the rest of (?:this|the) post",
    "keep reading",
    "weiterlesen",
    "lire la suite",
    "seguir leyendo",
    "sigue leyendo",
    "leer más",
    "continua a leggere",
    "continue lendo",
    "lees verder",
    "czytaj dalej",
    "(?:Ч|ч)итать далее",
)


def _any(words: tuple[str, ...]) -> str:
    return f"(?:{'|'.join(words)})"


def _compiled(pattern: str) -> re.Pattern[bytes]:
    """In UTF-8. Case counts outside ASCII."""
    return re.compile(pattern.encode(), re.IGNORECASE)


_SIGNS = r"(?:→|»|›|>+|…|\.\.\.|\]|\)|:|\s)*"
_START = r"[^\w\x80-\xff]*"
_BEGINS: Final = _compiled(rf"{_START}{_any((*_ENTRY, *_LABELS, *_READ_ON))}(?!\w)")
_NOTE: Final = _compiled(rf"{_START}{_any(_ENTRY)}(?!\w)")
# `Posted in Germany in 1951, he met ...` is a sentence.
_LABELLED: Final = _compiled(rf"{_START}{_any(_LABELS)}(?s:.*)(?<![.!?\"])$")
_LINK: Final = _compiled(rf"{_START}{_any(_READ_ON)}(?:\s(?:“|\").*|{_SIGNS})$")
# Most blocks begin with none of these bytes, and end otherwise.
_FIRST: Final = ~np.isin(np.arange(256), list(b"aghijmnuxzAGHIJMNUXZ0123456789"))
_LAST: Final = tuple(
    form.encode()
    for ending in (
        "...",
        "→",
        "»",
        "›",
        "…",
        ">",
        "]",
        ")",
        *(words.split()[-1] for words in _READ_ON),
    )
    for form in (ending, ending.title(), ending.upper())
)
_TAIL: Final = _compiled(rf"\s*([\[(]?{_any(_READ_ON)}(?:\s[^\n.!?]{{0,120}})?{_SIGNS})$")
_CUT_OFF: Final = _compiled(r"(?:…|\.\.\.|\[…\]|\[\.\.\.\])\s*$")
_ARROW: Final = _compiled(r"(?:→|»|›|>|\]|…|\.\.\.)\s*$")


def notes_of(
    text: bytes, blocks: NDArray[np.int32], words: NDArray[np.float64], taken: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of the taken blocks are notes of blog software."""
    notes = np.zeros(len(blocks), np.bool_)
    short = taken & (words <= LONGEST_NOTE) & (blocks[:, HEADING] + blocks[:, PREFORMATTED] == 0)
    first = np.frombuffer(text, np.uint8)[blocks[:, BEGIN]]
    chosen = np.flatnonzero(short & _FIRST[first])
    for number, begin, end in zip(chosen, *_ends(blocks[chosen]), strict=True):
        if not _BEGINS.match(text, begin, end):
            continue
        linked = blocks[number, LINK_CHARACTERS] >= LINKED * blocks[number, CHARACTERS]
        notes[number] = _NOTE.match(text, begin, end) is not None or (
            linked
            and (_LABELLED.match(text, begin, end) or _LINK.match(text, begin, end)) is not None
        )
    return notes


def end_teasers(text: bytes, blocks: NDArray[np.int32], taken: NDArray[np.bool_]) -> None:
    """Cut `Continue reading` off the ends of taken blocks: those that are cut off before it, or
    that end in an arrow.
    """
    chosen = np.flatnonzero(taken & (blocks[:, LINKS] > 0))
    for number, begin, end in zip(chosen, *_ends(blocks[chosen]), strict=True):
        if not text.endswith(_LAST, begin, end):
            continue
        found = _TAIL.search(text, max(begin, end - LONGEST_TAIL), end)
        if found and (
            _ARROW.search(text, found.start(1), end)
            or _CUT_OFF.search(text, max(begin, found.start() - 8), found.start())
        ):
            blocks[number, END] = found.start()


def _ends(blocks: NDArray[np.int32]) -> tuple[list[int], list[int]]:
    return blocks[:, BEGIN].tolist(), blocks[:, END].tolist()
