"""The words that deduplication compares, as two tables in which kernels look characters up.

Text is cut at white space (`str.isspace`). Punctuation and symbols (general categories P and S) are
dropped from the pieces, and letters are lower-cased one by one. What remains of a piece is a word.
In scripts that are written without spaces each character is a word (`UNSPACED`: Chinese, Japanese,
Thai, Lao, Khmer, Burmese, Tibetan). So such text is compared by n-grams of characters. Characters
beyond the basic plane are letters, or Han in planes 2 and 3.

The rule is simpler than `stages.filter.measure.characters` on purpose. Signatures are kept and
compared for years, so the rule must never need a change.
"""

import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

WORD, SPACE, DROPPED, UNSPACED_CHARACTER = 0, 1, 2, 3
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x109F),  # Tibetan, Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK and Kangxi radicals
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark, zero
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Burmese extension B
    (0xAA60, 0xAA7F),  # Burmese extension A
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x20000, 0x3FFFF),  # Han extensions B and later
)


@lru_cache(maxsize=1)
def word_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]:
    """The kind of each character of the basic plane (WORD, SPACE, ...), and its lower-case form. A
    character whose lower-case form is several characters stays as it is.
    """
    kinds = np.full(0x10000, WORD, dtype=np.uint8)
    lower = np.arange(0x10000, dtype=np.uint16)
    for first, last in UNSPACED:
        kinds[first : last + 1] = UNSPACED_CHARACTER
    for code in range(0x10000):
        character = chr(code)
        if character.isspace():
            kinds[code] = SPACE
        elif unicodedata.category(character)[0] in "PS":
            kinds[code] = DROPPED
        folded = character.lower()
        if folded != character and len(folded) == 1 and ord(folded) < 0x10000:
            lower[code] = ord(folded)
    return kinds, lower
