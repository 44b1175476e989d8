"""What blog software writes around a post, and no author wrote: `This entry was posted on`, `Posted
in`, `Tagged`, `Continue reading`.

The model keeps such a note now and then, since it stands right below the text, and some are whole
sentences. So they go by their words, which come with the software (WordPress and its translations,
Movable Type, Blogger). A note fills its block. `Continue reading` also ends a teaser: then only its
words go. A sentence that happens to begin so stays: it has no links, or goes on as a sentence,
such as `This post was written for people who`.
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

_DAY = (
    r"(?:on\s+)?(?:the\s+)?(?:\d|(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|"
    r"march|april|may|june|july|august|september|october|november|december|"
    r"(?:mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec)\.?)[\s,])"
)
_THIS_ENTRY = "this (?:entry|post) (?:was|is)"
_DIESER = "dieser (?:eintrag|beitrag|artikel) wurde"
_ENTRY = (
    rf"{_THIS_ENTRY} (?:posted|published)(?=\s+(?:by\s|in\s|under\s|at\s+\d|{_DAY}))",
    rf"{_THIS_ENTRY} written(?=\s+(?:by\s|under\s|at\s+\d|{_DAY}))",
    f"{_THIS_ENTRY} (?:filed|tagged)",
    "this article was (?:posted|filed) (?:in|under|on)",
    rf"{_DIESER} (?:veröffentlicht|geschrieben)(?=\s+(?:am|von|unter|in)\s)",
    f"{_DIESER} (?:am|unter|in)",
    "cet(?:te)? (?:entrée|article|billet) a été publiée?",
    "esta entrada fue publicada",
    "questa voce è stata pubblicata",
    "este post foi publicado",
    "esta entrada foi publicada",
    "dit bericht (?:is|werd) geplaatst",
    "ten wpis został opublikowany",
    "Эта запись опубликована",
    "Запись опубликована",
    "you can follow any responses to this entry",
    "both comments and pings are currently",
)
_LABELS = (
    f"{_THIS_ENTRY} (?:posted|published|written)",
    f"{_DIESER} (?:veröffentlicht|geschrieben)",
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
    "Читать далее",
    "читать далее",
)


def _any(words: tuple[str, ...]) -> str:
    return f"(?:{'|'.join(words)})"


def _compiled(pattern: str) -> re.Pattern[bytes]:
    """In UTF-8. Case counts outside ASCII."""
    return re.compile(pattern.encode(), re.IGNORECASE)


_SIGNS = r"(?:→|»|›|>|…|\.\.\.|\]|\)|:|\s)*"
_START = r"[^\w\x80-\xff]*"
_BEGINS: Final = _compiled(rf"{_START}{_any((*_ENTRY, *_LABELS, *_READ_ON))}(?!\w)")
_NOTE: Final = _compiled(rf"{_START}{_any(_ENTRY)}(?!\w)")
# `Posted in Germany in 1951, he met ...` is a sentence.
_LABELLED: Final = _compiled(rf"{_START}{_any(_LABELS)}(?s:.*)(?<![.!?\"])$")
_LINK: Final = _compiled(rf"{_START}{_any(_READ_ON)}(?:\s(?:“|\").*|{_SIGNS})$")
_TAIL: Final = _compiled(rf"\s*([\[(]?{_any(_READ_ON)}(?:\s[^\n.!?]{{0,120}})?{_SIGNS})$")
_CUT_OFF: Final = _compiled(r"(?:…|\.\.\.|\[…\]|\[\.\.\.\])\s*$")
_ARROW: Final = _compiled(r"(?:→|»|›|>|\]|…|\.\.\.)\s*$")
# Most blocks begin with none of these bytes, and end otherwise. They save the patterns.
_FIRST: Final = frozenset(words.encode()[:3].lower() for words in (*_ENTRY, *_LABELS, *_READ_ON))
_SIGN_FIRST: Final = frozenset(byte for byte in range(128) if not chr(byte).isalnum())
_LAST: Final = frozenset(words.encode()[-3:].lower() for words in (*_READ_ON, "..."))
_SIGN_LAST: Final = frozenset(sign.encode()[-1] for sign in "→»›…>])")


def leave_notes(
    text: bytes, blocks: NDArray[np.int32], words: NDArray[np.float64], taken: NDArray[np.bool_]
) -> None:
    """Take notes of blog software out of the taken blocks, and cut `Continue reading` off the ends
    of teasers: of those that are cut off before it, or that end in an arrow.
    """
    chosen = np.flatnonzero(taken & (blocks[:, LINKS] > 0))
    ends = blocks[chosen, BEGIN].tolist(), blocks[chosen, END].tolist()
    for number, begin, end in zip(chosen.tolist(), *ends, strict=True):
        if (
            (text[begin : begin + 3].lower() in _FIRST or text[begin] in _SIGN_FIRST)
            and _BEGINS.match(text, begin, end)
            and words[number] <= LONGEST_NOTE
            and _is_note(text, blocks[number])
        ):
            taken[number] = False
        elif text[end - 3 : end].lower() in _LAST or text[end - 1] in _SIGN_LAST:
            blocks[number, END] = _end_of_teaser(text, begin, end)


def _is_note(text: bytes, block: NDArray[np.int32]) -> bool:
    begin, end = int(block[BEGIN]), int(block[END])
    if block[HEADING] or block[PREFORMATTED]:
        return False
    if _NOTE.match(text, begin, end):
        return True
    linked = block[LINK_CHARACTERS] >= LINKED * block[CHARACTERS]
    return bool(linked) and any(form.match(text, begin, end) for form in (_LABELLED, _LINK))


def _end_of_teaser(text: bytes, begin: int, end: int) -> int:
    found = _TAIL.search(text, max(begin, end - LONGEST_TAIL), end)
    if found and (
        _ARROW.search(text, found.start(1), end)
        or _CUT_OFF.search(text, max(begin, found.start() - 8), found.start())
    ):
        return max(found.start(), begin + 1)
    return end
