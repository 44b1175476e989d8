"""The words of each block as numbers: one pass over a page's text.

A word is a run of letters, digits and marks. An ideograph is a word by itself. Stop-word density
and link density are jusText's measures (Pomikalek, Removing Boilerplate and Duplicate Content from
Web Corpora, 2011). The other measures are cheap to count in the same pass.
"""

from typing import Final, NamedTuple

import numpy as np
from corpusmill.stages.columns.compiled import merged, njit, uncounted
from corpusmill.stages.extract.page.character_kinds import (
    DIGIT,
    IDEOGRAPH,
    KIND,
    LETTER,
    MARK,
    SYMBOL,
    TABLE_SIZE,
    TERMINAL,
    UPPER,
)
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, FNV_PRIME, HashTable, look_up
from corpusmill.stages.extract.page.page import (
    BEGIN,
    CHARACTERS,
    END,
    HEADING,
    IMAGES,
    LINK_CHARACTERS,
    LINKS,
    LIST_DEPTH,
    PREFORMATTED,
    RULED,
    STRONG_CHARACTERS,
    TITLE,
)
from corpusmill.stages.extract.page.phrases import LONGEST_BLOCK, LONGEST_PHRASE
from numpy.typing import NDArray

COMMA, COLON, COPYRIGHT, BAR, AT, NEWLINE, SPACE_BYTE = (ord(sign) for sign in ",:©|@\n ")
LONG_TITLE: Final = 64

# Columns of the result.
MEASURES: Final = (
    *(
        "words",
        "link_density",
        "stop_density",
        "upper_share",
        "digit_share",
        "symbol_share",
        "stops_per_word",
        "last_character",
    ),
    *(
        "first_character",
        "word_length",
        "links",
        "strong_share",
        "images",
        "heading",
        "list_depth",
        "preformatted",
        "lines",
    ),
    *(
        "repeats",
        "repeated_before",
        "in_title",
        "of_title",
        "ruled",
        "sentences",
        "signs",
        "numbers",
        "capitalised",
    ),
    "phrase",
)
(
    WORDS,
    LINK_DENSITY,
    STOP_DENSITY,
    UPPER_SHARE,
    DIGIT_SHARE,
    SYMBOL_SHARE,
    STOPS_PER_WORD,
    LAST_CHARACTER,
) = range(8)
(
    FIRST_CHARACTER,
    WORD_LENGTH,
    LINK_COUNT,
    STRONG_SHARE,
    IMAGE_COUNT,
    HEADING_LEVEL,
    DEPTH_OF_LIST,
    IS_CODE,
    LINES,
) = range(8, 17)
(
    REPEATS,
    REPEATED_BEFORE,
    IN_TITLE,
    OF_TITLE,
    AFTER_RULE,
    SENTENCES,
    SIGNS,
    NUMBERS,
    CAPITALISED,
) = range(17, 26)
PHRASE: Final = 26  # the sort of phrase that the block opens with (`phrases`); 0 for none
ENDS_IN_COLON: Final = 2  # a value of LAST_CHARACTER (`_sort`): comma or colon


class CharacterTables(NamedTuple):
    """classes: `character_kinds.character_table`. lower: the lower-case form of each character of
    the basic plane. phrases: `phrases.phrase_table`.
    """

    classes: NDArray[np.uint8]
    lower: NDArray[np.uint16]
    phrases: HashTable


@njit
def measure_blocks(
    text: NDArray[np.uint8],
    blocks: NDArray[np.int32],
    tables: CharacterTables,
    stop_words: HashTable,
    measures: NDArray[np.float32],
    hashes: NDArray[np.uint64],
) -> None:
    """Fill a row of `measures` for each block, except its repeats. Fill `hashes` with a hash of
    each block's words.
    """
    title_words = np.zeros(LONG_TITLE, np.uint64)
    title_size = 0
    for number in range(blocks.shape[0]):
        block, row = blocks[number], measures[number]
        is_title = block[TITLE] != 0
        hashes[number] = _measure(
            text, block, tables, stop_words, title_words, np.int64(title_size), row
        )
        if is_title and title_size == 0:
            title_size = _words_of(text, block, tables, title_words)


@njit
def count_repeats(hashes: NDArray[np.uint64], measures: NDArray[np.float32]) -> None:
    """Count, for each block, how many blocks of the page have the same words, and how many of them
    come before it.
    """
    count = hashes.size
    size = 8
    while size < 2 * count:
        size *= 2
    first = np.full(size, -1, np.int64)  # the first block with the words of a slot
    met = np.zeros(size, np.int64)
    slots = np.empty(count, np.int64)
    for number in range(count):
        slot = np.int64(hashes[number] & np.uint64(size - 1))
        while first[slot] >= 0 and hashes[first[slot]] != hashes[number]:
            slot = (slot + 1) & (size - 1)
        if first[slot] < 0:
            first[slot] = number
        measures[number, REPEATED_BEFORE] = met[slot]
        met[slot] += 1
        slots[number] = slot
    for number in range(count):
        measures[number, REPEATS] = met[slots[number]]


@merged
def _next(text: NDArray[np.uint8], place: int, end: int) -> tuple[int, int]:
    """The code point at `place` and the place after it. The text is well-formed UTF-8."""
    byte = int(text[place])
    if byte < 0x80:
        return byte, place + 1
    if byte < 0xE0:
        return ((byte & 0x1F) << 6) | (text[place + 1] & 0x3F), place + 2
    if byte < 0xF0:
        return ((byte & 0x0F) << 12) | ((text[place + 1] & 0x3F) << 6) | (
            text[place + 2] & 0x3F
        ), place + 3
    return 0x1F600 if byte > 0xF0 or text[place + 1] < 0xA0 else 0x20000, place + 4


@merged
def _mixed(code: np.uint64, letter: int) -> np.uint64:
    """The hash of a word with one letter added, in UTF-8 as `hashing.word_hash` takes it."""
    if letter < 0x80:
        return (code ^ np.uint64(letter)) * FNV_PRIME
    if letter < 0x800:
        code = (code ^ np.uint64(0xC0 | (letter >> 6))) * FNV_PRIME
        return (code ^ np.uint64(0x80 | (letter & 0x3F))) * FNV_PRIME
    code = (code ^ np.uint64(0xE0 | (letter >> 12))) * FNV_PRIME
    code = (code ^ np.uint64(0x80 | ((letter >> 6) & 0x3F))) * FNV_PRIME
    return (code ^ np.uint64(0x80 | (letter & 0x3F))) * FNV_PRIME


@uncounted
def _measure(
    text: NDArray[np.uint8],
    block: NDArray[np.int32],
    tables: CharacterTables,
    stop_words: HashTable,
    title_words: NDArray[np.uint64],
    title_size: int,
    row: NDArray[np.float32],
) -> np.uint64:
    """Fill one row. Returns the hash of the block's words."""
    words = stops = letters = uppers = digits = symbols = marks_of_sentence = lines = sentences = (
        signs
    ) = numbers = 0
    titled = capitalised = 0
    first = last = 0
    place, end = np.int64(block[BEGIN]), np.int64(block[END])
    code, in_word, has_digit, begins_upper = FNV_OFFSET, False, False, False
    whole = opening = FNV_OFFSET
    phrase, opened = 0, 0  # the sort of phrase met so far, and its words
    title_seen = np.uint64(0)
    while place <= end:
        if place < end:
            character, place = _next(text, place, end)
        else:
            character, place = 32, place + 1
        entry = tables.classes[character] if character < TABLE_SIZE else np.uint8(IDEOGRAPH)
        kind = entry & KIND
        joins = kind in (LETTER, DIGIT, MARK)
        if in_word and not joins:
            words += 1
            stops += look_up(stop_words, code) >= 0
            numbers += has_digit
            capitalised += begins_upper
            whole = (whole ^ code) * FNV_PRIME
            if opened < LONGEST_PHRASE and not has_digit:
                opened += 1
                opening = (opening ^ code) * FNV_PRIME
                phrase = max(look_up(tables.phrases, opening), 0) or phrase
            for index in range(title_size):
                if title_words[index] == code:
                    titled += 1
                    title_seen |= np.uint64(1) << np.uint64(index)
                    break
            code, in_word, has_digit = FNV_OFFSET, False, False
        if joins:
            if not in_word:
                begins_upper = entry & UPPER != 0
            in_word = True
            letters += kind == LETTER
            digits += kind == DIGIT
            has_digit = has_digit or kind == DIGIT
            uppers += entry & UPPER != 0
            letter = int(tables.lower[character]) if character < 0x10000 else 0xFFFD
            code = _mixed(code, letter)
        elif kind == IDEOGRAPH:
            words += 1
            letters += 1
            whole = (whole ^ np.uint64(character)) * FNV_PRIME
            if opened < LONGEST_PHRASE:
                opened += 1
                opening = (opening ^ np.uint64(character)) * FNV_PRIME
                phrase = max(look_up(tables.phrases, opening), 0) or phrase
        elif kind == SYMBOL:
            symbols += 1
            terminal = int(entry & TERMINAL != 0)
            marks_of_sentence += terminal | (character == COMMA)
            if place >= end or text[place] == SPACE_BYTE:
                sentences += terminal
            signs += character in (COPYRIGHT, BAR, AT)
        else:
            lines += character == NEWLINE
        if place <= end and character > 32:
            last = character
            if first == 0:
                first = character
    visible = max(block[CHARACTERS], 1)
    some = max(words, 1)
    seen = 0
    for index in range(title_size):
        seen += (title_seen >> np.uint64(index)) & np.uint64(1) != 0
    row[WORDS], row[LINK_DENSITY], row[STOP_DENSITY] = (
        words,
        block[LINK_CHARACTERS] / visible,
        stops / some,
    )
    row[UPPER_SHARE], row[DIGIT_SHARE], row[SYMBOL_SHARE] = (
        uppers / max(letters, 1),
        digits / visible,
        symbols / visible,
    )
    row[STOPS_PER_WORD], row[WORD_LENGTH] = marks_of_sentence / some, (letters + digits) / some
    row[LAST_CHARACTER], row[FIRST_CHARACTER] = _sort(tables, last), _sort(tables, first)
    row[LINK_COUNT], row[STRONG_SHARE], row[IMAGE_COUNT] = (
        block[LINKS],
        block[STRONG_CHARACTERS] / visible,
        block[IMAGES],
    )
    row[HEADING_LEVEL], row[DEPTH_OF_LIST], row[IS_CODE] = (
        block[HEADING],
        block[LIST_DEPTH],
        block[PREFORMATTED],
    )
    row[LINES], row[SENTENCES], row[SIGNS], row[NUMBERS] = lines, sentences, signs, numbers / some
    row[IN_TITLE], row[OF_TITLE], row[AFTER_RULE] = (
        titled / some,
        seen / max(title_size, 1),
        block[RULED],
    )
    row[CAPITALISED] = capitalised / some
    row[PHRASE] = phrase if words <= LONGEST_BLOCK else 0
    return whole


@merged
def _sort(tables: CharacterTables, character: int) -> int:
    """0: none; 1: ends a sentence; 2: comma or colon; 3: letter; 4: capital; 5: digit; 6: anything
    else.
    """
    if character == 0:
        return 0
    entry = tables.classes[character] if character < TABLE_SIZE else np.uint8(IDEOGRAPH)
    if entry & TERMINAL:
        return 1
    if character in (COMMA, COLON):
        return 2
    if entry & UPPER:
        return 4
    kind = entry & KIND
    return 3 if kind in (LETTER, IDEOGRAPH) else 5 if kind == DIGIT else 6


@uncounted
def _words_of(
    text: NDArray[np.uint8],
    block: NDArray[np.int32],
    tables: CharacterTables,
    words: NDArray[np.uint64],
) -> int:
    """Put the hashes of a block's words of more than three letters into `words`. Returns their
    number.
    """
    place, end, count, length = np.int64(block[BEGIN]), np.int64(block[END]), 0, 0
    code = FNV_OFFSET
    while place <= end and count < words.size:
        if place < end:
            character, place = _next(text, place, end)
        else:
            character, place = 32, place + 1
        entry = tables.classes[character] if character < TABLE_SIZE else np.uint8(IDEOGRAPH)
        kind = entry & KIND
        if kind in (LETTER, DIGIT, MARK):
            code = _mixed(code, int(tables.lower[character]) if character < 0x10000 else 0xFFFD)
            length += 1
        else:
            if length > 3:
                words[count] = code
                count += 1
            code, length = FNV_OFFSET, 0
    return count
