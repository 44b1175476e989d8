"""Changing text that has just been written: words of the walk's own notation, insertions, removals.

Insertions move the bytes behind them. So callers insert only near the end of the text, or once for
a formula.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import uncounted
from corpusmill.stages.extract.page.block_borders import NEWLINE, NOTHING, SPACE, admits
from corpusmill.stages.extract.page.page import (
    BLOCK_BEGIN,
    LINK_PLACE,
    LINKS_READ,
    PENDING,
    S_LINKS,
    TEXT_CHARACTERS,
    TEXT_LINK_CHARACTERS,
    TEXT_LINKS,
    TEXT_STRONG,
    WRITE,
    Page,
)
from corpusmill.stages.extract.page.text import write_character
from numpy.typing import NDArray

_WORDS: Final = (
    *("(", ")", "{", "}", "_{", "^{", "^{1/", r"\frac{", r"\sqrt{", r"\matrix{", " & ", r" \\ "),
    *(",", "/"),
)
(
    ROUND_OPEN,
    ROUND_CLOSE,
    OPEN,
    CLOSE,
    BELOW,
    ABOVE,
    ROOT_OF,
    FRACTION_OF,
    SQUARE_ROOT,
    MATRIX,
    NEXT_CELL,
    NEXT_ROW,
    COMMA,
    OVER,
) = range(len(_WORDS))
_LENGTHS = np.array([len(word) for word in _WORDS])
_BYTES = np.array([list(word.ljust(8).encode()) for word in _WORDS], np.uint8)


@uncounted
def write_word(page: Page, word: int) -> None:
    """Write a word of the notation, after the white space that waits before it."""
    if admits(page):
        for offset in range(_LENGTHS[word]):
            page.buffer[offset] = _BYTES[word, offset]
        write_character(page, _LENGTHS[word])


@uncounted
def append_word(page: Page, word: int) -> None:
    """Write a word of the notation close to the text before it."""
    if page.state[WRITE] > page.state[BLOCK_BEGIN]:
        page.state[PENDING] = NOTHING
        write_word(page, word)


@uncounted
def insert(page: Page, place: int, byte: int, count: int) -> None:
    """Insert `count` times a byte at a place of the text."""
    for at in range(page.state[WRITE] - 1, place - 1, -1):
        page.text[at + count] = page.text[at]
    for offset in range(count):
        page.text[place + offset] = byte
    page.state[WRITE] += count


@uncounted
def remove(page: Page, begin: int, top: NDArray[np.int32]) -> None:
    """Take away the text from `begin` on, which an element of the row `top` has written. White
    space before it waits again.
    """
    state = page.state
    characters = 0
    for place in range(begin, state[WRITE]):
        characters += SPACE < page.text[place] < 0x80 or page.text[place] >= 0xC0
    if state[TEXT_LINKS] > top[S_LINKS]:
        state[TEXT_LINKS] = top[S_LINKS]
        state[TEXT_LINK_CHARACTERS] -= min(characters, state[TEXT_LINK_CHARACTERS])
    state[TEXT_CHARACTERS] -= min(characters, state[TEXT_CHARACTERS])
    state[PENDING] = NOTHING
    if state[BLOCK_BEGIN] < begin < state[WRITE] and page.text[begin] in (SPACE, NEWLINE):
        state[PENDING] = page.text[begin]
    state[WRITE] = begin
    while state[LINKS_READ] > 0 and page.links[state[LINKS_READ] - 1, LINK_PLACE] >= begin:
        state[LINKS_READ] -= 1
    if begin <= state[BLOCK_BEGIN]:
        state[TEXT_CHARACTERS] = state[TEXT_LINK_CHARACTERS] = 0
        state[TEXT_LINKS] = state[TEXT_STRONG] = 0


@uncounted
def content_begin(page: Page, begin: int) -> int:
    """Where text written from `begin` on begins, after white space."""
    while begin < page.state[WRITE] and page.text[begin] in (SPACE, NEWLINE):
        begin += 1
    return begin
