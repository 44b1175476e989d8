"""The names in a page that extraction knows: tags, attributes, and words of class attributes.

**Tags** carry flags. Flags say how a tag nests (HTML standard, 13.2.6: which end tags may be
missing, what closes an open paragraph, what an end tag may not reach across) and whether it ends a
block of text.

**Regions** are the kinds of places in which text can stand. A tag (`nav`) opens one, or a word of
an attribute such as `class`, `id`, `itemprop` or `data-testid` (`sidebar`). For each region a block
of text knows how many levels above it the nearest one begins. The words are those that recur across
unrelated sites. A region groups words of similar meaning; the model weighs the regions.
"""

from typing import Final

import numpy as np
from corpusmill.stages.extract.page.hashing import HashTable, hash_table
from corpusmill.stages.extract.page.region_words import REGION_WORDS
from numpy.typing import NDArray

# How a tag behaves.
VOID: Final = 1  # has no end tag
BLOCK: Final = 2  # begins and ends a block of text; an inline end tag does not reach across it
CLOSES_PARAGRAPH: Final = 4
RAW: Final = 8  # its content is plain characters, up to its end tag
SKIPPED: Final = 16  # its content is no text of the page
SCOPE: Final = 32  # a misplaced end tag does not reach across it
IGNORED: Final = 64  # the tag is neither opened nor closed
STRONG: Final = 128

_P = CLOSES_PARAGRAPH | BLOCK
_TAGS: Final = {
    _P: "address article aside blockquote center details dialog dir div dl dd dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hgroup li main menu nav ol p pre listing section search summary ul",
    _P | VOID: "hr",
    BLOCK: "button legend option optgroup tbody thead tfoot colgroup tr",
    BLOCK | SCOPE: "td th caption",
    _P | SCOPE: "table",
    BLOCK | SKIPPED: "select datalist video audio canvas map",
    BLOCK | SKIPPED | SCOPE: "template object",
    SKIPPED | SCOPE: "svg",
    SKIPPED: "mjx-math annotation-xml mphantom",
    RAW | SKIPPED: "script style textarea iframe noembed noframes plaintext",
    _P | RAW: "xmp",
    BLOCK | RAW: "title",
    VOID: "area base br col embed img input link meta param source track wbr frame",
    IGNORED: "html head body",
    STRONG: "b strong",
    SCOPE: "math noscript",
    0: "a abbr acronym annotation bdi bdo big cite code del dfn em font i ins kbd label mark nobr "
    "q rb rp rt ruby s samp small span strike sub sup "
    "time tt u var picture data output slot "
    "mfenced mfrac mi mn mo mover mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd "
    "mtext mtr munder munderover semantics",
}
TAG_NAMES: Final = tuple(name for names in _TAGS.values() for name in names.split())
UNKNOWN_TAG: Final = len(TAG_NAMES)


def tag_number(name: str) -> int:
    """The number of a tag, a constant that kernels compile in."""
    return TAG_NAMES.index(name)


_ATTRIBUTES: Final = (
    "class id role itemprop aria-label itemtype rel data-component data-testid data-qa "
    "hidden aria-hidden style type alt alttext display encoding "
    "src open start value reversed colspan rowspan data-lang data-language media href"
)
ATTRIBUTES: Final = tuple(_ATTRIBUTES.split())
CLASS: Final = 0
ID: Final = 1
WORD_ATTRIBUTES: Final = 10  # so many of the first attributes have words that open regions


def attribute_number(name: str) -> int:
    """The number of an attribute, a constant that kernels compile in."""
    return ATTRIBUTES.index(name)


REGIONS: Final = tuple(REGION_WORDS)
FAR: Final = 30  # levels; also where there is no such region


def region(name: str) -> int:
    return REGIONS.index(name)


def _tag_regions() -> NDArray[np.int32]:
    opened = np.full(len(TAG_NAMES) + 1, -1, np.int32)
    for number, (tags, _) in enumerate(REGION_WORDS.values()):
        for name in tags.split():
            opened[tag_number(name)] = number
    return opened


def _region_of_words() -> HashTable:
    words: dict[str, int] = {}
    for number, (_, listed) in enumerate(REGION_WORDS.values()):
        for word in listed.split():
            words.setdefault(word, number)
    return hash_table(words)


# Tables that kernels look names up in. They are constants, which numba compiles in: as arguments
# they would be handed on at every call.
TAGS: Final = hash_table({name: number for number, name in enumerate(TAG_NAMES)})
TAG_FLAGS: Final = np.array(
    [*(flag for flag, names in _TAGS.items() for _ in names.split()), 0], np.int32
)
TAG_REGIONS: Final = _tag_regions()  # the region that each tag opens, or -1
KNOWN_ATTRIBUTES: Final = hash_table({name: number for number, name in enumerate(ATTRIBUTES)})
# Word of a class attribute -> its region. A word that two regions list belongs to the first.
WORD_REGIONS: Final = _region_of_words()
