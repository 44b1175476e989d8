"""The kinds of characters, against the Unicode database."""

import unicodedata

import pytest
from corpusmill.stages.extract.page.character_kinds import (
    DIGIT,
    IDEOGRAPH,
    KIND,
    LETTER,
    MARK,
    SPACE,
    SYMBOL,
    TABLE_SIZE,
    TERMINAL,
    UPPER,
    character_table,
)

TABLE = character_table()


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("a", LETTER),
        ("Z", LETTER | UPPER),
        ("é", LETTER),
        ("ǅ", LETTER | UPPER),
        ("7", DIGIT),
        ("٣", DIGIT),
        (" ", SPACE),
        ("\u00a0", SPACE),
        ("\u200b", SPACE),
        ("\x00", SPACE),
        (".", SYMBOL | TERMINAL),
        ("。", SYMBOL | TERMINAL),
        (",", SYMBOL),
        ("€", SYMBOL),
        ("\u0301", MARK),
        ("\u200d", MARK),
        ("漢", IDEOGRAPH),
        ("ひ", IDEOGRAPH),
        ("カ", LETTER),
    ],
)
def test_kind(character, kind):
    assert TABLE[ord(character)] == kind


def test_letters_and_numbers_of_the_whole_table_are_those_of_unicode():
    assert len(TABLE) == TABLE_SIZE
    for code in range(TABLE_SIZE):
        category = unicodedata.category(chr(code))
        assert (TABLE[code] & KIND in (LETTER, IDEOGRAPH)) == (category[0] == "L"), hex(code)
        assert (TABLE[code] & KIND == DIGIT) == (category[0] == "N"), hex(code)
        assert bool(TABLE[code] & UPPER) == (category in ("Lu", "Lt")), hex(code)
