"""What of a text is compared: three rules, as tables in which the kernels look characters up.

- `meaning`: letters are lower-cased and ordinary punctuation is dropped, as in `words`. But what
  changes the meaning stays: decimal points, signs of numbers, operators, currencies, other symbols
  and brackets. `signs.py` has the rule for characters whose neighbours decide.
- `words`: punctuation and symbols are dropped (`stages.columns.word_rule`).
- `datatrove`: the defaults of its `TextNormConfig`, with which FineWeb's code signs documents. Each
  number becomes 0, punctuation separates words, and letters lose their diacritics. Source:
  datatrove 0.10, `utils/text.py`. datatrove then cuts with a tokenizer for each language. Here
  words lie between white space, and scripts without spaces are cut at each character.
"""

import unicodedata
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.stages.columns.word_rule import (
    DROPPED,
    SPACE,
    UNSPACED_CHARACTER,
    WORD,
    word_tables,
)

Normalization = Literal["meaning", "words", "datatrove"]
Tables = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16]]

DIGIT, SIGN = 4, 5  # further kinds of characters, which only `meaning` has

_ORNAMENTS = "©®™•·■□▪▫●○◦◆◇►▶"  # symbols that say nothing
_MEANT = "!#%&'*,-./:\\()[]{}‰′″"  # punctuation that may carry meaning
_DASHES = "‐‑‒–—―−"
# datatrove's set of punctuation, without the control characters.
_SEPARATORS = (
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
)
_NUMBER = r"\p{Nd}+([.,،٫⎖⎗⎘]\p{Nd}+)?"


@lru_cache(maxsize=3)
def tables(normalization: Normalization) -> Tables:
    """The kind of each character of the basic plane, and the character that stands for it."""
    if normalization == "words":
        return word_tables()
    return _meaning_tables() if normalization == "meaning" else _datatrove_tables()


def without_numbers(texts: pa.ChunkedArray, normalization: Normalization) -> pa.ChunkedArray:
    """The texts with 0 for each number, if the rule is datatrove's; else as they are."""
    if normalization != "datatrove":
        return texts
    return pc.replace_substring_regex(texts, _NUMBER, "0")


def _meaning_tables() -> Tables:
    kinds, lower = word_tables()
    kinds, lower = kinds.copy(), lower.copy()
    for code in range(0x10000):
        if kinds[code] == WORD and unicodedata.category(chr(code)) in ("Nd", "Nl", "No"):
            kinds[code] = DIGIT
        elif kinds[code] == DROPPED and unicodedata.category(chr(code)) in ("Sm", "Sc", "So"):
            kinds[code] = SIGN
    for character in _ORNAMENTS:
        kinds[ord(character)] = DROPPED
    for character in _MEANT + "^":
        kinds[ord(character)] = SIGN
    for code in range(0x21, 0x7F):  # the full-width forms of ASCII
        wide = code + 0xFEE0
        if kinds[code] in (SIGN, DIGIT):
            kinds[wide], lower[wide] = kinds[code], code
    for character in _DASHES:
        kinds[ord(character)], lower[ord(character)] = SIGN, ord("-")
    for character, ascii_sign in ("٫.", "٪%"):  # Arabic's decimal and per cent signs
        kinds[ord(character)], lower[ord(character)] = SIGN, ord(ascii_sign)
    lower[ord("⁄")] = ord("/")
    lower[ord("’")], kinds[ord("’")] = ord("'"), SIGN
    return kinds, lower


def _datatrove_tables() -> Tables:
    kinds, lower = word_tables()
    kinds, lower = kinds.copy(), lower.copy()
    kinds[kinds == DROPPED] = WORD  # signs outside its set stay
    for code in range(0x10000):
        character = chr(code)
        bare = unicodedata.normalize("NFD", chr(int(lower[code])))
        if unicodedata.category(character) == "Mn":
            kinds[code] = DROPPED
        elif len(bare) > 1 and all(unicodedata.category(mark) == "Mn" for mark in bare[1:]):
            lower[code] = ord(bare[0])
    for character in _SEPARATORS:
        kinds[ord(character)] = SPACE
    kinds[[*range(32), *range(127, 160)]] = SPACE
    unspaced = word_tables()[0] == UNSPACED_CHARACTER
    kinds[unspaced & (kinds != SPACE)] = UNSPACED_CHARACTER
    return kinds, lower
