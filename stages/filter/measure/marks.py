"""The kernel that compares all bytes of texts, 64 at a time, and finds where parts and lines begin
and end.

A comparison gives 64 bits, one for each byte: whether it is white space, a letter, a line feed.
(simdjson works this way: Langdale and Lemire 2019, arXiv:1902.08318.) The kernel counts characters
by counting bits. A part begins or ends where the bit of white space differs from the bit before it.
The kernel writes these places down without a branch for each byte. One addition tells for all parts
of 64 bytes what they are made of (`_hits`). Only bytes above 127 are decoded. Their bits are then
set like those of ASCII.

Definitions: `stages.filter.statistics`.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.characters import (
    IDEOGRAPH,
    LETTER,
    LOWER,
    NUMBER,
    SPACE,
    TABLE_SIZE,
    UPPER,
)
from corpusmill.stages.filter.measure.utf8 import decode
from corpusmill.stages.filter.measure.wide_bytes import bytes_within, ones, trailing_zeros
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

ZERO, ONE, TWO, LAST = (np.uint64(number) for number in (0, 1, 2, 63))
BLANK, SMALL_A, CAPITAL_A, DIGIT_0, FEED, DOT = (ord(sign) for sign in " aA0\n.")
COLON, EXCLAMATION, QUESTION, OPENING, CLOSING, COMMA, HASH = (ord(sign) for sign in ":!?(),#")

(
    CHARACTERS,
    PART_CHARACTERS,
    UPPERCASE,
    DIGITS,
    SYMBOLS,
    ALPHABETIC_PARTS,
    PARENTHESES,
    HASH_SIGNS,
) = range(8)
LINE_BEGIN, LINE_END, LINE_PART, LINE_CONTINUATIONS = range(4)
HARD, MARKED, WIDE, MIXED, CONTINUATIONS = range(5)  # rows of bits


@njit
def lay_out(
    texts: Bytes, offsets: NDArray[np.int64], begins: NDArray[np.int64], data: Bytes
) -> None:
    """Copy the texts into `data`. Each goes to its begin, a multiple of 64, with white space behind
    it up to the begin of the next.

    begins: one more than there are texts. At least one byte is free behind each.
    """
    for text in range(begins.size - 1):
        read, write, size = offsets[text], begins[text], offsets[text + 1] - offsets[text]
        for index in range(size):
            data[np.uint64(write + index)] = texts[np.uint64(read + index)]
        for index in range(write + size, begins[text + 1]):
            data[np.uint64(index)] = BLANK


@njit
def mark_bytes(
    data: Bytes,
    begins: NDArray[np.int64],
    sizes: NDArray[np.int64],
    classes: NDArray[np.uint16],
    bits: Keys,
    edges: Integers,
    lines: Integers,
    text_lines: Integers,
    counts: NDArray[np.int64],
) -> None:
    """Mark the bytes of texts that `lay_out` laid out.

    classes: `characters.character_table()`.

    bits: a bit for each byte of data, 64 bytes a column. In row CONTINUATIONS: whether the byte
    begins no character. In the other rows the bit stands at the byte behind a part, and says
    whether the part is:

    - HARD: something else than ASCII letters with at most one of `,.:;!?)` behind them, or a
      capital and a full stop;
    - MARKED: ends in one of these marks, and is more than the mark;
    - WIDE: not ASCII;
    - MIXED: has other characters than letters.

    edges: where parts begin and end, by turns; with room for 64 more than there are. lines: by
    line, its first byte, the byte behind it, its first part, and its bytes that begin no character.
    One more line than there are closes the list. text_lines: the first line of each text, one more
    than there are texts. A text has one line more than line feeds: after a last line feed an empty
    one. counts: by text, the eight rows named above.
    """
    n_edges = n_lines = 0
    for text in range(sizes.size):
        begin, end = begins[text], begins[text] + sizes[text]
        text_lines[text] = n_lines
        lines[LINE_BEGIN, n_lines], lines[LINE_PART, n_lines] = begin, n_edges >> 1
        upper = digits = symbols = part_characters = alphabetic = parentheses = hash_signs = 0
        n_continuations = before_line = 0
        was_space, was_mark, was_dot, were_capital, more_spaces, more_letters = (
            ONE,
            ZERO,
            ZERO,
            ZERO,
            ZERO,
            ZERO,
        )
        hard_goes_on = wide_goes_on = mixed_goes_on = letters_go_on = ZERO
        for place in range(begin >> 6, begins[text + 1] >> 6):
            at, block = place << 6, np.uint64(place)
            capital = bytes_within(data, at, CAPITAL_A, 26)
            plain = bytes_within(data, at, SMALL_A, 26) | capital
            digit = bytes_within(data, at, DIGIT_0, 10)
            wide = bytes_within(data, at, 0x80, 0x80)
            continuing = bytes_within(data, at, 0x80, 0x40)
            dot = bytes_within(data, at, DOT, 1)
            mark = dot | bytes_within(data, at, COLON, 2) | bytes_within(data, at, EXCLAMATION, 1)
            closing = bytes_within(data, at, CLOSING, 1)
            mark |= bytes_within(data, at, QUESTION, 1) | closing | bytes_within(data, at, COMMA, 1)
            parentheses += np.int64(ones(closing | bytes_within(data, at, OPENING, 1)))
            hash_signs += np.int64(ones(bytes_within(data, at, HASH, 1)))
            space, letter = bytes_within(data, at, 0, BLANK + 1) | more_spaces, plain | more_letters
            symbols += np.int64(ones(~(space | letter | digit | wide)))
            upper += np.int64(ones(capital))
            digits += np.int64(ones(digit))
            more_letters = more_spaces = ZERO
            if wide != ZERO:
                letters, more_letters, spaces, more_spaces, capitals, others, signs = _decode_all(
                    data, classes, at, wide & ~continuing
                )
                letter |= letters
                space |= spaces
                upper += capitals
                digits += others
                symbols += signs
            part_characters += np.int64(ones(~(space | continuing)))

            after_space = space << ONE | was_space
            mark &= ~after_space  # a mark at the begin of a part is no mark behind a word
            after_mark = mark << ONE | was_mark
            after_dot, behind_capital = dot << ONE | was_dot, capital << TWO | were_capital
            was_space, was_mark, was_dot, were_capital = (
                space >> LAST,
                mark >> LAST,
                dot >> LAST,
                capital >> (LAST - ONE),
            )
            hardens = (~(plain | mark) | after_mark) & ~space
            hard, hard_goes_on = _hits(hardens, space, hard_goes_on)
            is_wide, wide_goes_on = _hits(wide & ~space, space, wide_goes_on)
            mixed, mixed_goes_on = _hits(~(letter | space), space, mixed_goes_on)
            with_letter, letters_go_on = _hits(letter, space, letters_go_on)
            alphabetic += np.int64(ones(with_letter))
            bits[HARD, block], bits[MARKED, block] = (
                hard | after_dot & behind_capital & space,
                after_mark & space,
            )
            bits[WIDE, block], bits[MIXED, block], bits[CONTINUATIONS, block] = (
                is_wide,
                mixed,
                continuing,
            )

            edge = space ^ after_space
            feeds = bytes_within(data, at, FEED, 1)
            n_lines, before_line = _end_lines(
                feeds, at, edge, n_edges, continuing, n_continuations, before_line, lines, n_lines
            )
            n_continuations += np.int64(ones(continuing))
            n_edges = _write_places(edge, at, edges, n_edges)
        lines[LINE_END, n_lines], lines[LINE_CONTINUATIONS, n_lines] = (
            end,
            n_continuations - before_line,
        )
        n_lines += 1
        counts[CHARACTERS, text], counts[PART_CHARACTERS, text] = (
            sizes[text] - n_continuations,
            part_characters,
        )
        counts[UPPERCASE, text], counts[DIGITS, text], counts[SYMBOLS, text] = (
            upper,
            digits,
            symbols,
        )
        counts[ALPHABETIC_PARTS, text], counts[PARENTHESES, text] = alphabetic, parentheses
        counts[HASH_SIGNS, text] = hash_signs
    text_lines[sizes.size] = n_lines
    lines[LINE_PART, n_lines] = n_edges >> 1


@njit
def _decode_all(
    data: Bytes, classes: NDArray[np.uint16], at: int, leads: int
) -> tuple[Any, Any, Any, Any, int, int, int]:
    """Decode the characters that begin at the places of `leads` among the 64 bytes from `at` on.

    Returns the bits of letters, in these 64 bytes and in the next; the bits of white space,
    likewise; and how many characters are capitals, numbers, symbols.
    """
    letters = more_letters = spaces = more_spaces = ZERO
    capitals = numbers = symbols = 0
    while leads != ZERO:
        shift = trailing_zeros(leads)
        leads &= leads - ONE
        code, width = decode(data, at + np.int64(shift))
        about = np.int64(classes[code]) if code < TABLE_SIZE else IDEOGRAPH
        whole = (ONE << np.uint64(width)) - ONE
        here, beyond = whole << shift, whole >> (LAST - shift) >> ONE
        if about & LETTER:
            letters |= here
            more_letters |= beyond
            capitals += about & (UPPER | LOWER) == UPPER
        elif about & SPACE:
            spaces |= here
            more_spaces |= beyond
        elif about & NUMBER:
            numbers += 1
        else:
            symbols += 1
    return letters, more_letters, spaces, more_spaces, capitals, numbers, symbols


@njit(inline="always")
def _end_lines(
    feeds: int,
    at: int,
    edge: int,
    n_edges: int,
    continuing: int,
    n_continuations: int,
    before_line: int,
    lines: Integers,
    n_lines: int,
) -> tuple[int, int]:
    """End a line at each of `feeds` among the 64 bytes from `at` on, and begin the next. Returns
    how many lines have ended, and how many bytes before that begin no character.

    edge, continuing: bits of the begins and ends of parts, and of bytes that begin no character.
    n_edges, n_continuations: how many before `at`.
    """
    while feeds != ZERO:
        shift = trailing_zeros(feeds)
        feeds &= feeds - ONE
        upto = (TWO << shift) - ONE
        before = n_continuations + np.int64(ones(continuing & upto))
        lines[LINE_END, n_lines], lines[LINE_CONTINUATIONS, n_lines] = (
            at + np.int64(shift),
            before - before_line,
        )
        before_line = before
        n_lines += 1
        lines[LINE_BEGIN, n_lines] = at + np.int64(shift) + 1
        lines[LINE_PART, n_lines] = (n_edges + np.int64(ones(edge & upto))) >> 1
    return n_lines, before_line


@njit(inline="always")
def _hits(hits: int, space: int, goes_on: int) -> tuple[Any, Any]:
    """Which parts have a hit, as bits behind their ends; and whether the part that goes on beyond
    the 64 bytes has one.

    All bits of a part are 1. If bits inside the part are added, a carry runs through the part and
    stops right behind it. goes_on: of the 64 bytes before.
    """
    part = ~space
    total = part + hits
    carried = total + goes_on
    return carried & space, np.uint64((total < part) | (carried < total))


@njit(inline="always")
def _write_places(bits: int, at: int, places: Integers, n: int) -> int:
    """Write the places of the set bits, eight at a time. Places without meaning may follow. Returns
    the new number of places.
    """
    count = np.int64(ones(bits))
    for first in range(n, n + count, 8):
        for index in range(8):
            places[np.uint64(first + index)] = at + np.int64(trailing_zeros(bits | ONE << LAST))
            bits &= bits - ONE
    return n + count
