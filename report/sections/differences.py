"""Two texts with their differences marked: side by side, or as one text with its changes."""

import difflib
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["same", "gone", "new", "gap"]
WORDS = 220  # compared at most, of each text
AROUND = 90  # characters shown before and after a change
LONGEST = 20_000  # characters of changed lines that are compared word by word
LEAST_ALIKE = 0.25  # below it, marks would hide more than they show
_WORD = re.compile(r"\n|[^\S\n]+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A piece of text: in both, only before, only after, or `gap`: text that is left out."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Pair:
    """A text before and after. marked: whether their differences are marked."""

    before: list[Piece]
    after: list[Piece]
    marked: bool


def by_words(before: str, after: str) -> Pair:
    """The beginnings of two texts, with the words that only one has."""
    old, new = (_WORD.findall(text[: 12 * WORDS])[:WORDS] for text in (before, after))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    ends = [
        [Piece("gap", " …")] if len(text) > len("".join(words)) else []
        for text, words in ((before, old), (after, new))
    ]
    if matcher.ratio() < LEAST_ALIKE:
        return Pair(
            [Piece("same", "".join(old)), *ends[0]], [Piece("same", "".join(new)), *ends[1]], False
        )
    left: list[Piece] = []
    right: list[Piece] = []
    is_cut = any(ends)
    for action, begin, end, other_begin, other_end in matcher.get_opcodes():
        gone, come = "".join(old[begin:end]), "".join(new[other_begin:other_end])
        at_cut = is_cut and end == len(old) and other_end == len(new)
        if action == "equal" or at_cut:  # what follows the cut may well be in both
            left += [Piece("same", gone)] if gone else []
            right += [Piece("same", come)] if come else []
            continue
        left += [Piece("gone", gone)] if gone else []
        right += [Piece("new", come)] if come else []
    return Pair(left + ends[0], right + ends[1], True)


def changes(before: str, after: str, most: int = 60) -> list[Piece]:
    """The changed places, each with the words around it. Lines are compared first, then the words
    of lines that changed, so a long text takes no long time. most: pieces.
    """
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    found: list[Piece] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for action, begin, end, other_begin, other_end in matcher.get_opcodes():
        gone, come = "".join(old[begin:end]), "".join(new[other_begin:other_end])
        if action == "replace" and len(gone) + len(come) < LONGEST:
            found += _words(gone, come)
        else:
            found += _pieces(action, gone, come)
    shown = [part for place, piece in enumerate(found) for part in _near(piece, place, len(found))]
    return shown if len(shown) <= most else [*shown[:most], Piece("gap", " …")]


def _words(before: str, after: str) -> list[Piece]:
    old, new = _WORD.findall(before), _WORD.findall(after)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [
        piece
        for action, begin, end, other_begin, other_end in matcher.get_opcodes()
        for piece in _pieces(action, "".join(old[begin:end]), "".join(new[other_begin:other_end]))
    ]


def _pieces(action: str, gone: str, come: str) -> list[Piece]:
    if action == "equal":
        return [Piece("same", gone)]
    marked = (Piece("gone", gone), Piece("new", come))
    return [piece for piece in marked if piece.text]


def _near(piece: Piece, place: int, pieces: int) -> list[Piece]:
    """A piece that is in both texts, cut down to what stands next to a change."""
    if piece.kind != "same" or len(piece.text) <= 2 * AROUND:
        return [piece]
    begin = [Piece("same", piece.text[:AROUND])] if place else []
    end = [Piece("same", piece.text[-AROUND:])] if place < pieces - 1 else []
    return [*begin, Piece("gap", " … "), *end]
