"""The headline of a page: its title, and the block that shows it.

A page names itself in `<title>`, in `og:title`, and in the `headline` of its JSON-LD (schema.org).
The headline is a heading that is the first of these names, without the site's name behind it. Else
it is the first heading that agrees with any of them, best an `h1`. Without such a heading the title
is a name, without the name of the site.
"""

import html as standard
import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from corpusmill.stages.extract.page.names import FAR, region
from corpusmill.stages.extract.page.page import (
    BEGIN,
    CHARACTERS,
    END,
    HEADING,
    LINK_CHARACTERS,
    PREFORMATTED,
    TITLE,
)
from numpy.typing import NDArray

NOWHERE: Final = -1
LONGEST: Final = 300  # characters of a headline
HEAD: Final = 200_000  # characters of a page in which its head ends
AGREEMENT: Final = 0.6  # share of the words of two names that both have
FARTHEST: Final = 40  # blocks between the headline and the main content below it
FEW_WORDS: Final = 30  # before the headline, which are no part of the text
FEW_NAMES: Final = 2  # words of a name that the site's own name may hold too
FEW: Final = 0.1  # and their share of it
TITLE_REGION, HEADER = region("title"), region("header")
ELSEWHERE: Final = [
    region(name) for name in ("breadcrumb", "navigation", "menu", "related", "sidebar", "footer")
]
PARAGRAPH: Final = 15  # words of a block with which the text begins
MOST: Final = 200  # blocks that are no headings and are compared with the names
CONTENTS: Final = [region(name) for name in ("main", "article", "content", "body", "post")]
NEAR: Final = 2  # levels up to an element that is named a title
_IN_META: Final = ("og:title", "twitter:title", "og:site_name")
_CONTENT: Final = re.compile(r"\bcontent\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_JSON_HEADLINE: Final = re.compile(r'"headline"\s*:\s*("(?:[^"\\\n]|\\.){1,400}")')
_SEPARATORS: Final = re.compile(
    r"\s+(?:[|·•»«–—:-]|::|//|>)\s+|\s*[|»]\s*|(?<=[^\x00-\x7f])[_-]|[_-](?=[^\x00-\x7f])"
)
_COLON: Final = re.compile(r":\s+")
_WORDS: Final = re.compile(r"\w+")


class Headline(NamedTuple):
    """title: of the page; None if it has none. block: which shows it, or NOWHERE."""

    title: str | None
    block: int


class _Names(NamedTuple):
    """What a page calls itself, the most trustworthy first, and what it calls its site."""

    own: tuple[str, ...]
    site: str


class _Shown:
    """The blocks of a page as words, each read once."""

    def __init__(self, text: bytes, blocks: NDArray[np.int32]) -> None:
        self._text, self._begins, self._ends = text, blocks[:, BEGIN], blocks[:, END]
        self._words: dict[int, list[str]] = {}

    def text(self, number: int) -> str:
        return " ".join(self._whole(number).split())[:LONGEST]

    def words(self, number: int) -> list[str]:
        if number not in self._words:
            whole = self._whole(number)
            self._words[number] = _words(whole if len(whole) <= LONGEST else self.text(number))
        return self._words[number]

    def _whole(self, number: int) -> str:
        return self._text[self._begins[number] : self._ends[number]].decode("utf-8", "replace")


def headline_of(
    html: str, text: bytes, blocks: NDArray[np.int32], levels: NDArray[np.uint8]
) -> Headline:
    """The headline of a page. html: the page. The others: its blocks (`page.page`)."""
    shown = _Shown(text, blocks)
    names = _names(html, shown, blocks)
    wanted = {frozenset(words) for words in map(_words, names.own) if words}
    site = _words(names.site)
    named = _named_exactly(shown, blocks, names, site)
    if named != NOWHERE:
        return Headline(shown.text(named), named)
    sizes = blocks[:, END] - blocks[:, BEGIN]
    lengths = [len(name.encode("utf-8", "replace")) for name in names.own]
    shortest, longest = min(lengths, default=0) // 2, 2 * max(lengths, default=0)
    for numbers, wholly in _candidates(blocks, levels):
        best, most = NOWHERE, 0
        if wholly:  # words that are the same have about the same length
            numbers = [n for n in numbers if shortest <= sizes[n] <= longest]
        for number in numbers:
            words = shown.words(number)
            if words == site:
                continue
            ours = frozenset(words)
            if wholly:
                shared = len(ours) if ours in wanted else 0
            else:
                shared = max((_shared(ours, name) for name in wanted), default=0)
            if shared > most:
                best, most = number, shared
        if best != NOWHERE:
            return Headline(shown.text(best), best)
    alone = np.flatnonzero(blocks[:, HEADING] == 1).tolist()
    if len(alone) == 1 and len(shown.words(alone[0])) > 2:
        return Headline(shown.text(alone[0]), alone[0])
    title = _without_site(names)
    return Headline(title or None, NOWHERE)


def _named_exactly(shown: _Shown, blocks: NDArray[np.int32], names: _Names, site: list[str]) -> int:
    """The first heading, `h1` before others, that is the page's first name as a whole or without
    the site: `Rain` in `Rain | The Gazette`. If it is no `h1`, an `h1` above it that holds all its
    words, and more, says the same of the whole page.
    """
    if not names.own:
        return NOWHERE
    whole = names.own[0]
    candidates = (_words(whole), _words(_without_site(names)))
    wanted = [words for words in candidates if words and words != site]
    length = 2 * len(whole.encode("utf-8", "replace")) + 8
    short = blocks[:, END] - blocks[:, BEGIN] <= length
    headings = np.flatnonzero((blocks[:, HEADING] > 0) & (blocks[:, TITLE] == 0) & short).tolist()
    first_rank = [number for number in headings if blocks[number, HEADING] == 1]
    for words in wanted:
        for number in (*first_rank, *headings):
            if shown.words(number) == words:
                longer = (h1 for h1 in first_rank if set(words) < set(shown.words(h1)))
                above = next((h1 for h1 in longer if h1 < number), number)
                return above if len(words) > FEW_NAMES and number not in first_rank else number
    return NOWHERE


def with_headline(
    chosen: NDArray[np.bool_], words: NDArray[np.floating], block: int
) -> NDArray[np.bool_]:
    """The chosen blocks with the headline, if it stands above them. A few words before it go: they
    are sections, dates and crumbs.

    words: how many each block has. block: of the headline, or NOWHERE.
    """
    if block == NOWHERE or not chosen.any():
        return chosen
    places = np.flatnonzero(chosen)
    after = places[places > block]
    if not len(after) or (not chosen[block] and after[0] - block > FARTHEST):
        return chosen
    before = float(words[places[places < block]].sum())
    if before > max(FEW_WORDS, FEW * float(words[places].sum())):
        return chosen
    result = chosen.copy()
    result[:block] = False
    result[block] = True
    return result


def said_once(
    chosen: NDArray[np.bool_],
    text: bytes,
    blocks: NDArray[np.int32],
    words: NDArray[np.floating],
    block: int,
) -> NDArray[np.bool_]:
    """The chosen blocks without headings that say the headline again before the text begins. Some
    pages show it in a banner and above the text.

    text, blocks: of the page. words, block: as for `with_headline`.
    """
    if block == NOWHERE or not chosen[block]:
        return chosen
    result, shown = chosen.copy(), _Shown(text, blocks)
    for number in np.flatnonzero(chosen[block + 1 :]) + block + 1:
        if blocks[number, HEADING] and shown.words(number) == shown.words(block):
            result[number] = False
        elif words[number] >= PARAGRAPH:
            break
    return result


def _candidates(
    blocks: NDArray[np.int32], levels: NDArray[np.uint8]
) -> Iterator[tuple[list[int], bool]]:
    """Blocks that may show the headline, and whether all their words have to be those of a name:
    `h1`, first those outside the page's header, where the site's name stands; other headings and
    what is named a title; any other text that is no link.
    """
    short = (blocks[:, END] - blocks[:, BEGIN] <= LONGEST) & (blocks[:, TITLE] == 0)
    short &= blocks[:, PREFORMATTED] == 0
    h1 = np.flatnonzero(short & (blocks[:, HEADING] == 1))
    there = levels[h1]
    in_header = (there[:, HEADER] < FAR) & (there[:, CONTENTS].min(axis=1) == FAR)
    yield h1[~in_header].tolist(), False
    yield h1[in_header].tolist(), False
    short[h1] = False
    named = (blocks[:, HEADING] > 1) | (levels[:, TITLE_REGION] < NEAR)
    yield np.flatnonzero(short & named).tolist(), True
    linked = 2 * blocks[:, LINK_CHARACTERS] > blocks[:, CHARACTERS]
    others = np.flatnonzero(short & ~named & ~linked)[:MOST]
    yield others[levels[others][:, ELSEWHERE].min(axis=1) == FAR].tolist(), True


def _names(html: str, shown: _Shown, blocks: NDArray[np.int32]) -> _Names:
    end = html.find("</head", 0, HEAD)
    head = html[: end if end >= 0 else HEAD]
    found = {name: _in_meta(head, name) for name in _IN_META}
    own = [found[name] for name in ("og:title", "twitter:title") if found[name]]
    linked = _JSON_HEADLINE.match(html, max(html.find('"headline"'), 0))
    if linked:
        own.insert(0, _clean(_unquoted(linked[1])))
    own += map(shown.text, np.flatnonzero(blocks[:, TITLE])[:1].tolist())
    whole = [name for name in own if name][:4]
    parts = [part for name in whole for part in _SEPARATORS.split(name)]
    parts += [part for name in whole for part in _COLON.split(name)]
    parts = [part for part in parts if len(_words(part)) > 1 or not part.isascii()]
    return _Names(tuple(dict.fromkeys([*whole, *parts])), found["og:site_name"])


def _in_meta(head: str, name: str) -> str:
    """The content of the first `<meta>` of this name; empty if there is none."""
    at = head.find(name)
    while at >= 0:
        begin, end = head.rfind("<", 0, at), head.find(">", at)
        tag = head[begin : end if end >= 0 else len(head)]
        content = _CONTENT.search(tag) if tag[:5].lower() == "<meta" else None
        if content and not content.start() <= at - begin < content.end():
            return _clean(content[1] or content[2] or "")
        at = head.find(name, at + 1)
    return ""


def _without_site(names: _Names) -> str:
    """The first name without the parts that name the site."""
    if not names.own:
        return ""
    name, site = names.own[0], _words(names.site)
    parts = [part.strip() for part in _SEPARATORS.split(name) if part.strip()]
    rest = [part for part in parts if not site or _words(part) != site]
    if len(rest) < 2:
        return rest[0] if rest else name
    if len(rest) < len(parts):
        return name if rest == parts else _cut(name, rest)
    # The site stands first or last, and is the shorter one.
    return rest[0] if len(_words(rest[0])) >= len(_words(rest[-1])) else rest[-1]


def _cut(name: str, rest: list[str]) -> str:
    """The part of a name from the first to the last of `rest`."""
    begin = name.index(rest[0])
    return name[begin : name.rindex(rest[-1]) + len(rest[-1])]


def _shared(ours: frozenset[str], theirs: frozenset[str]) -> int:
    """How many words both have; 0 if that is a smaller share of all their words than AGREEMENT."""
    shared = len(ours & theirs)
    return shared if shared >= AGREEMENT * (len(ours) + len(theirs) - shared) else 0


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())


def _unquoted(literal: str) -> str:
    try:
        return str(json.loads(literal, strict=False))
    except ValueError:  # no JSON, but a name all the same
        return literal.strip('"')


def _clean(text: str) -> str:
    return " ".join(standard.unescape(text).split())[:LONGEST]
