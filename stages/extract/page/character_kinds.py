"""The kind of every character, as the extractor sees it, in one byte. The forest was trained with
this table.

The low three bits are the character's kind, after its Unicode general category (Unicode Standard,
4.5). The others are flags.
"""

import functools
import unicodedata
from typing import Final

import numpy as np
from numpy.typing import NDArray

SPACE: Final = 0  # white space and controls
SYMBOL: Final = 1  # punctuation, signs, emoji, unassigned
LETTER: Final = 2
DIGIT: Final = 3  # numbers of any script
MARK: Final = 4  # combining marks and invisible format characters: part of the character before
IDEOGRAPH: Final = 5  # Han and Hiragana: a word each, since their scripts do not separate words
KIND: Final = 7  # mask

TERMINAL: Final = 8  # ends a sentence
UPPER: Final = 64

TABLE_SIZE: Final = 0x20000  # planes 0 and 1; above lie ideographs and format characters only

# Unicode's Sentence_Terminal (PropList) for scripts in living use, without the ellipsis.
_TERMINALS = ".!?։؟۔܀܁܂।॥၊။።፧፨។៕᠃᠉‼‽⁇⁈⁉⸮。﹒﹖﹗！．？｡"
_IDEOGRAPHS = ((0x3041, 0x309F), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
ZERO_WIDTH_SPACE = "\u200b"


@functools.lru_cache(maxsize=1)
def character_table() -> NDArray[np.uint8]:
    """Kind and flags of every character below TABLE_SIZE, read-only."""
    table = np.fromiter((_kind(chr(code)) for code in range(TABLE_SIZE)), np.uint8, TABLE_SIZE)
    for first, last in _IDEOGRAPHS:
        letters = (table[first : last + 1] & KIND) == LETTER
        table[first : last + 1][letters] = IDEOGRAPH
    for character in _TERMINALS:
        table[ord(character)] |= TERMINAL
    table.flags.writeable = False
    return table


def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace() or character == ZERO_WIDTH_SPACE or category in ("Cc", "Zs", "Zl", "Zp"):
        return SPACE
    if category in ("Lu", "Lt"):
        return LETTER | UPPER
    return {"L": LETTER, "N": DIGIT, "M": MARK}.get(
        category[0], MARK if category == "Cf" else SYMBOL
    )
