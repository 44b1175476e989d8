"""The form in which pieces of structure are compared, and what says where the main content is."""

import re
import unicodedata
from collections.abc import Sequence

from corpusmill.tools.gold_pages import words

SHARE = 0.6  # of the 3-grams of a piece that a view must hold
_MARKS = re.compile(r"[\W_]+")


def key(text: str) -> str:
    """A text without marks, spaces and case, so that `**A b**` is `a b`. A text of signs only is
    those signs.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return _MARKS.sub("", plain) or re.sub(r"[\s*_`\\|]+", "", plain)


def tex_key(tex: str) -> str:
    """A formula without spaces, outer braces and style."""
    tex = re.sub(r"\\(?:display|text)style(?![A-Za-z])|\\[,;!]|\s+", "", tex)
    while tex.startswith("{") and tex.endswith("}") and "}" not in tex[1:-1].replace("{}", ""):
        tex = tex[1:-1]
    return tex


class Views:
    """Texts that say what the main content is. needed: how many of them must hold a piece."""

    def __init__(self, texts: Sequence[str], needed: int = 1) -> None:
        self.needed = needed
        self.grams = [_grams(words(text)) for text in texts]
        self.lines = [{key(line) for line in text.split("\n")} for text in texts]

    def hold(self, text: str) -> bool:
        """Whether they hold most of the words, in sequence. Fewer than three must be a line."""
        wanted = _grams(words(text))
        return (
            self.needed <= sum(len(wanted & grams) >= SHARE * len(wanted) for grams in self.grams)
            if wanted
            else bool(key(text)) and self.have_line(text)
        )

    def have_line(self, line: str) -> bool:
        return self.needed <= sum(key(line) in lines for lines in self.lines)


def _grams(found: Sequence[str]) -> set[tuple[str, str, str]]:
    """Three words in sequence."""
    return set(zip(found, found[1:], found[2:], strict=False))
