"""Whether the HTML entities in a text are left over from a page (`it&#39;s`), or the text writes
about them (`write &nbsp; in the page`).

Left-over entities stand where their characters would stand: `&eacute;` inside a word, `&quot;` at
the border of one. An entity that a text mentions stands alone between spaces, in quotation marks or
in code. Some may be either: `&amp;` between two words. The text as a whole decides, since it was
either damaged or not.
"""

import html
import re
from typing import Final

_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NESTED: Final = re.compile(r"(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
# "Entity" and "escape" are words of ordinary prose too, so an entity or a character stands by them.
_ABOUT_MARKUP: Final = re.compile(
    r"\b(?:html|xhtml|xml|sgml|ampersands?|markup|charset)\b"
    r"|\b(?:entity|entities|escap(?:e|es|ed|ing))\b[^.!?\n]{0,12}(?<!\w)&"
    r"|\bescap(?:e|es|ed|ing) (?:the |a |each |special )?characters?\b"
    r"|(?:&#?\w{1,31};[^\w.!?\n&][^.!?\n&]{0,12}|\bcharacters? )"
    r"\b(?:entity|entities|escap(?:e|es|ed|ing))\b",
    re.IGNORECASE,
)
_QUOTES: Final = frozenset("`'\"“”‘’«»")
# Signs that stand between spaces in running text.
_APART: Final = frozenset("&<>–—…•·«»→←|©®™×=+−")
SURE: Final = 3  # entities inside words that make a text about markup a damaged one
MANY: Final = 5  # entities inside words for each that seems mentioned, in a damaged text


def are_left_over(text: str) -> bool:
    """Whether to resolve the entities of a text. A text with a `<` may be markup itself."""
    if "<" in text:
        return False
    in_place = mentioned = found = 0
    for match in _ENTITY.finditer(text):
        character = html.unescape(match[0])
        if character == match[0]:
            continue
        found += 1
        before = text[match.start() - 1 : match.start()] if match.start() else ""
        after = text[match.end() : match.end() + 1]
        if character == "&" and _NESTED.match(text, match.end()):
            return False  # it shows how an entity is written
        if _is_mentioned(character, before, after):
            mentioned += 1
        elif _is_in_place(character, before, after):
            in_place += 1
    if not found or mentioned * MANY > in_place:
        return False
    return in_place >= SURE or not _ABOUT_MARKUP.search(text)


def _is_mentioned(character: str, before: str, after: str) -> bool:
    """Whether an entity stands where a text would mention it."""
    if before in _QUOTES and before and after in _QUOTES:
        return True
    alone = not before.strip() and not (after.strip(" \n\t,.;:)") or before == after == "")
    if character.isspace():
        return alone
    return alone and character not in _APART


def _is_in_place(character: str, before: str, after: str) -> bool:
    """Whether an entity stands inside a word or at its border, where its character would stand."""
    if character.isalpha() or character in "'’":
        return before.isalpha() or after.isalpha()
    return before.isalnum() or after.isalnum()
