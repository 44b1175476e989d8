"""Flags of every character: the table in which the text kernels look characters up.

The flags are those that the published filters need: Unicode's general category (Unicode Standard
4.5), the classes of spaCy's English tokenizer, and datatrove's lists of punctuation. spaCy lists
letters script by script. Here letters follow the general category. The two differ only in scripts
that English text does not have.
"""

import functools
import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

SPACE: Final = 1 << 0  # as `str.isspace`
LETTER: Final = 1 << 1  # as `str.isalpha`
NUMBER: Final = 1 << 2  # general category N
# Lower case, or of a script without case; so is UPPER. A capital is UPPER without LOWER.
LOWER: Final = 1 << 3
UPPER: Final = 1 << 4
PREFIX: Final = 1 << 5  # the tokenizer splits it off the beginning of a part
SUFFIX: Final = 1 << 6  # it splits it off the end
QUOTE: Final = 1 << 7
ICON: Final = 1 << 8  # other symbols: a token wherever they stand
CURRENCY: Final = 1 << 9  # split off behind a digit
# A token that has only such characters is no word to datatrove's Gopher filter.
PUNCTUATION: Final = 1 << 10
MARK_OF_TEXT: Final = 1 << 11  # general category P: does not begin a sentence
TERMINAL: Final = 1 << 12  # ends a sentence (spaCy's sentencizer)
LINE_END: Final = 1 << 13  # ends a line well (datatrove's terminal punctuation)
UNSPACED: Final = 1 << 14  # of a script that is written without spaces
# General category M, and invisible format characters: part of the character before.
COMBINING: Final = 1 << 15

TABLE_SIZE: Final = 0x20000  # planes 0 and 1; in planes 2 and 3 lie ideographs
IDEOGRAPH: Final = LETTER | LOWER | UPPER | UNSPACED

_QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉〈〉⟦⟧"
_AFFIXES = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪" + _QUOTES
_CURRENCIES = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
# Unicode's Sentence_Terminal (PropList) for scripts in living use, without the ellipsis.
_TERMINALS = ".!?։؟۔܀܁܂।॥၊။።፧፨᙮៕᠃᠉‼‽⁇⁈⁉⸮﹒﹖﹗！．？｡。"
_LINE_ENDS = _TERMINALS + "។៖៚⸼"
_PUNCTUATION = (
    "/—”:％１〈&(、━【「」，】；《“„’∶´（–？！：～«〉》）。．…»►" + "!\"#$%'*+,-.;<=>?@[\\]^_`{|}~)"
)
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Burmese extension B
    (0xAA60, 0xAA7F),  # Burmese extension A
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
)


def unicode_version() -> str:
    """The version of the Unicode data behind the table. It comes with Python, and may change
    results in rare cases.
    """
    return unicodedata.unidata_version


@functools.lru_cache(maxsize=1)
def character_table() -> NDArray[np.uint16]:
    """The flags of every character below TABLE_SIZE, read-only."""
    table = np.fromiter((_flags(chr(code)) for code in range(TABLE_SIZE)), np.uint16, TABLE_SIZE)
    for characters, flags in (
        (_QUOTES, PREFIX | SUFFIX | QUOTE),
        (_AFFIXES, PREFIX | SUFFIX),
        ("—–", PREFIX | SUFFIX),
        ("§%=", PREFIX),
        (_CURRENCIES, PREFIX | CURRENCY),
        (_TERMINALS, TERMINAL),
        (_LINE_ENDS, LINE_END),
        (_PUNCTUATION, PUNCTUATION),
    ):
        for character in characters:
            table[ord(character)] |= flags
    for first, last in _UNSPACED:
        table[first : last + 1][(table[first : last + 1] & LETTER) != 0] |= UNSPACED
    table.flags.writeable = False
    return table


def _flags(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace():
        return SPACE
    if category[0] == "L":
        return LETTER | {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER}.get(category, UPPER | LOWER)
    if category[0] == "M":
        return COMBINING | UPPER | LOWER
    return {
        "N": NUMBER,
        "P": MARK_OF_TEXT,
        "S": ICON | PREFIX | SUFFIX if category == "So" else 0,
        "C": PUNCTUATION if category == "Cc" else COMBINING if category == "Cf" else 0,
    }.get(category[0], 0)
