"""What every character is to the extractor, as one byte: the table that its kernels look characters up in. The forest was trained with it.

The kind of a character follows its Unicode general category (Unicode Standard, chapter 4.5); what joins a word follows the spirit
of UAX #29 (word boundaries), reduced to what one look ahead can decide. The low three bits are the kind, the others are flags.
"""

import functools
import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

SPACE: Final = 0  # white space and controls: ends a token
SYMBOL: Final = 1  # punctuation, signs, emoji, unassigned: a run of the same one is a symbol token
LETTER: Final = 2
DIGIT: Final = 3  # numbers of any script
MARK: Final = 4  # combining marks and invisible format characters: belong to what precedes them
IDEOGRAPH: Final = 5  # Han and Hiragana: a word each, since their scripts do not separate words
KIND: Final = 7  # mask

TERMINAL: Final = 8  # ends a sentence
CLOSER: Final = 16  # may stand between the end of a sentence and the space after it
BULLET: Final = 32  # opens a list item
UPPER: Final = 64
JOINER: Final = 128  # stays within a word when a letter or number stands on both sides

TABLE_SIZE: Final = 0x20000  # planes 0 and 1; above lie ideographs and format characters only

# What kernels compile in. Each repeats it and checks it, so that none goes on with compiled code of another layout.
LAYOUT: Final = (
    *(SPACE, SYMBOL, LETTER, DIGIT, MARK, IDEOGRAPH, KIND),
    *(TERMINAL, CLOSER, BULLET, UPPER, JOINER, TABLE_SIZE),
)

# Sentence_Terminal of scripts in living use (Unicode PropList), without the ellipsis.
_TERMINALS = ".!?։؟۔܀܁܂।॥၊။።፧፨។៕᠃᠉‼‽⁇⁈⁉⸮。﹒﹖﹗！．？｡"
_BULLETS = "-*•‣◦⁃∙●○▪▫■□▶►➢➤–"
_JOINERS = "'’._,"  # the comma between numbers only
_IDEOGRAPHS = ((0x3041, 0x309F), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
ZERO_WIDTH_SPACE = "\u200b"


def unicode_version() -> str:
    """The version of the Unicode data behind the table; it comes with Python and decides results, if hardly ever."""
    return unicodedata.unidata_version


@functools.lru_cache(maxsize=1)
def character_table() -> NDArray[np.uint8]:
    """Kind and flags of every character below TABLE_SIZE, read-only."""
    table = np.fromiter((_kind(chr(code)) for code in range(TABLE_SIZE)), np.uint8, TABLE_SIZE)
    for first, last in _IDEOGRAPHS:
        letters = (table[first : last + 1] & KIND) == LETTER
        table[first : last + 1][letters] = IDEOGRAPH
    for characters, flag in ((_TERMINALS, TERMINAL), (_BULLETS, BULLET), (_JOINERS, JOINER), ("\"'", CLOSER)):
        for character in characters:
            table[ord(character)] |= flag
    table.flags.writeable = False
    return table


def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace() or character == ZERO_WIDTH_SPACE or category in ("Cc", "Zs", "Zl", "Zp"):
        return SPACE
    if category in ("Lu", "Lt"):
        return LETTER | UPPER
    if category in ("Pe", "Pf"):
        return SYMBOL | CLOSER
    return {"L": LETTER, "N": DIGIT, "M": MARK}.get(category[0], MARK if category == "Cf" else SYMBOL)
