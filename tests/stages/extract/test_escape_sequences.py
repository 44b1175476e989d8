"""Terminal escape sequences go as a whole."""

import pytest
from corpusmill.stages.extract.escape_sequences import without_escape_sequences
from corpusmill.stages.extract.html import clean, main_text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[31mFAILED\x1b[0m in red", "FAILED in red"),
        ("\x1b[1;38;2;1;2;3mOK\x1b[m", "OK"),
        ("Epoch 1 \x1b[A\x1b[2K done \x1b[?25h", "Epoch 1  done "),
        ("\x1b[4:3mcurly\x1b[!p \x1b[ q", "curly "),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://example.org/\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r0m\x1b\\a", "a"),
        ("\x1b(Ba\x1b)0b\x1b%G", "ab"),
        ("\x1b7a\x1b8\x1b=\x1bc\x1bM", "a"),
        ("\x9b31ma\x9b0m", "a"),
        ("\x9d8;;http://x\x9clink\x9d8;;\x9c", "link"),
        ("N\x08NA\x08AM\x08M _\x08x", "NAM x"),
        ("no sequence [31m at all", "no sequence [31m at all"),
    ],
)
def test_whole_sequences_go(text, left):
    assert without_escape_sequences(text) == left
    assert clean(text) == left


@pytest.mark.parametrize(
    "text", ["â\x80\x9d said â\x80\x9c", "it\x9b stays", "a\x9b b", "\x9d x \x9c"]
)
def test_characters_of_a_wrong_charset_are_left_to_the_repair(text):
    assert without_escape_sequences(text) == text


def test_a_command_without_an_end_costs_no_text():
    assert clean("\x1b]0;a title without end\nand a line") == "0;a title without end\nand a line"


def test_many_commands_without_an_end_take_little_time():
    assert "\x1b" not in clean("\x1b]" * 200_000)


def test_sequences_in_a_page_go():
    page = "<pre>\x1b[31mred\x1b[0m and &#27;[1mplain</pre>"
    assert "[31m" not in main_text(page, "main_content", lambda _text: "en")
