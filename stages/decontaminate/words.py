"""The words that are compared: hashes of folded words, with the bytes where each stands.

Text is cut at everything that is no letter, digit or mark. So `a well-known fact` has four words,
and re-punctuated text has the same words. Two things join: apostrophes (`don't`), and commas
between digits (`1,000`). Letters are folded: compatibility forms, case and diacritics go. In
scripts without spaces each character is a word (`stages.columns.word_rule`).
"""

import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.columns.word_rule import UNSPACED_CHARACTER, word_tables
from numpy.typing import NDArray

LETTER, SEPARATOR, JOINED, SINGLE, DIGIT = 0, 1, 2, 3, 4  # SINGLE: a word of its own
_APOSTROPHES = "'’ʼ‘`´"
_PRIME = np.uint64(0x00000100000001B3)  # FNV-1a
_BASIS = np.uint64(0xCBF29CE484222325)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_BITS_33 = np.uint64(33)

Words = tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32]]  # hashes, begins, ends


@lru_cache(maxsize=1)
def character_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The kind of each character of the basic plane, and the character that stands for it."""
    unspaced = word_tables()[0] == UNSPACED_CHARACTER
    kinds = np.full(0x10000, SEPARATOR, np.uint8)
    folded = np.arange(0x10000, dtype=np.uint16)
    for code in range(0x10000):
        character = _folded(chr(code))
        if len(character) == 1 and ord(character) < 0x10000:
            folded[code] = ord(character)
        category = unicodedata.category(chr(folded[code]))
        if category[0] in "LM":
            kinds[code] = SINGLE if unspaced[code] else LETTER
        elif category[0] == "N":
            kinds[code] = DIGIT if category == "Nd" else LETTER
        if unicodedata.category(chr(code)) in ("Mn", "Cf") and not unspaced[code]:
            kinds[code] = JOINED  # combining marks, soft hyphens
    for apostrophe in _APOSTROPHES:
        kinds[ord(apostrophe)] = JOINED
    return kinds, folded


def _folded(character: str) -> str:
    """Without compatibility form, case and diacritics."""
    bare = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", character).lower())
    return "".join(part for part in bare if unicodedata.category(part) != "Mn") or character


def spelled(word: bytes) -> str:
    """A word's folded spelling. Words with one hash have one spelling."""
    kinds, folded = character_tables()
    return "".join(
        chr(folded[ord(character)]) if ord(character) < 0x10000 else character
        for character in word.decode(errors="replace")
        if ord(character) >= 0x10000 or kinds[ord(character)] not in (JOINED, SEPARATOR)
    )


def words_of(text: bytes) -> Words:
    """The words of one text."""
    data = np.frombuffer(text, np.uint8)
    room = len(data) // 2 + 2
    hashes, begins, ends = (
        np.empty(room, np.uint64),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
    )
    data.flags.writeable = False
    count = find_words(data, 0, len(data), *character_tables(), hashes, begins, ends)
    return hashes[:count], begins[:count], ends[:count]


@njit(nogil=True)
def find_words(
    data: Any, start: int, stop: int, kinds: Any, folded: Any, hashes: Any, begins: Any, ends: Any
) -> int:
    """Write the words of data[start:stop]: their hashes, and their bytes counted from `start`.
    Return how many there are.

    hashes, begins, ends: room for (stop - start) // 2 + 2.
    """
    count = 0
    word, begin, end = _BASIS, 0, 0
    last = SEPARATOR
    i = start
    while i < stop:
        lead = data[i]
        place = i
        if lead < 0x80:
            kind, code = kinds[lead], np.uint64(folded[lead])
            i += 1
        else:
            raw, size = _decode(data, i, stop)
            i += size
            if raw < 0x10000:
                kind, code = kinds[raw], np.uint64(folded[raw])
            else:
                kind = np.uint8(SINGLE if 0x20000 <= raw <= 0x3FFFF else LETTER)
                code = np.uint64(raw)
        if kind in (LETTER, DIGIT):
            if word == _BASIS:
                begin = place
            word = (word ^ code) * _PRIME
            end = i
        elif kind != JOINED:
            if lead == 0x2C and last == DIGIT and i < stop and kinds[data[i]] == DIGIT:
                continue  # a comma between digits
            if word != _BASIS:
                hashes[count] = _mixed(word)
                begins[count], ends[count] = begin - start, end - start
                count += 1
                word = _BASIS
            if kind == SINGLE:
                hashes[count] = _mixed((_BASIS ^ code) * _PRIME)
                begins[count], ends[count] = place - start, i - start
                count += 1
        last = kind
    if word != _BASIS:
        hashes[count] = _mixed(word)
        begins[count], ends[count] = begin - start, end - start
        count += 1
    return count


@njit(nogil=True, inline="always")
def _mixed(word: Any) -> Any:
    word = (word ^ (word >> _BITS_33)) * _MIX
    return word ^ (word >> _BITS_33)


@njit(nogil=True, inline="always")
def _decode(data: Any, i: int, stop: int) -> Any:
    """The character that begins at data[i], and its bytes. A byte that is not UTF-8 is a
    character of its own.
    """
    lead = np.int64(data[i])
    if lead >= 0xF0 and i + 3 < stop:
        code = (lead & 7) << 18 | (np.int64(data[i + 1]) & 63) << 12
        return code | (np.int64(data[i + 2]) & 63) << 6 | (np.int64(data[i + 3]) & 63), 4
    if 0xE0 <= lead < 0xF0 and i + 2 < stop:
        code = (lead & 15) << 12 | (np.int64(data[i + 1]) & 63) << 6
        return code | (np.int64(data[i + 2]) & 63), 3
    if 0xC0 <= lead < 0xE0 and i + 1 < stop:
        return (lead & 31) << 6 | (np.int64(data[i + 1]) & 63), 2
    return 0xDC00 + lead, 1
