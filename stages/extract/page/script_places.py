"""What stands before a script and in it: words, digits, signs, brackets, atoms.

A script is text above or below other text (`scripts`).
"""

import numpy as np
from corpusmill.stages.columns.compiled import uncounted
from corpusmill.stages.extract.page.block_borders import NOTHING
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, mix, word_hash
from corpusmill.stages.extract.page.page import BLOCK_BEGIN, PENDING, WRITE, Page
from corpusmill.stages.extract.page.tags import is_letter
from numpy.typing import NDArray

LONGEST_SCRIPT = 40  # bytes; longer text is no exponent
NOTED_WORD = 4  # letters; a number above a longer word is a note's, except above these:
_MEASURED = (
    "mile miles inch inches feet foot yard yards acre metre metres meter meters metro metros "
    "mètre mètres sinh cosh tanh grad curl"
)
MEASURED = np.array(
    [word_hash(word) for word in _MEASURED.split()],
    np.uint64,
)
# Elements whose subscripts are numbers of atoms. A subscript 1 is never one.
_ATOMS = "Cl Br Na Ca Mg Al Si Fe Cu Zn Li Mn Ti Pb Ag Hg Cr Ni Co Ba Se"
ATOMS = np.array(
    [ord(letter) for letter in "HCNOSPFB"]
    + [ord(name[0]) << 8 | ord(name[1]) for name in _ATOMS.split()],
    np.int64,
)
LEFT, SQUARE, ZERO, NINE, PLUS, MINUS = (ord(sign) for sign in "([09+-")


@uncounted
def is_above_a_word(page: Page, content: int) -> bool:
    """Whether a number stands above the end of a word or of a sentence, as marks of notes do."""
    if not are_digits(page, content) or page.state[WRITE] - content > 3:
        return False
    text, place, letters = page.text, content, 0
    last = text[content - 1]
    if last in (0x2E, 0x2C, 0x3B, 0x3A, 0x21, 0x3F, 0x22, 0x27):  # . , ; : ! ? " '
        return True
    if last == 0x99 or last == 0x9D or last == 0x82:  # the end of ’ or ” or 。
        return text[content - 3] in (0xE2, 0xE3)
    while place > page.state[BLOCK_BEGIN] and content - place < LONGEST_SCRIPT:
        byte = text[place - 1]
        if not (is_letter(byte) or byte >= 0x80):
            break
        letters += byte < 0x80 or byte >= 0xC0
        place -= 1
    return letters >= NOTED_WORD and not is_listed(MEASURED, word_at(page, place, content))


@uncounted
def is_after_atom(page: Page, content: int) -> bool:
    """Whether the text before `content` ends with the symbol of a chemical element."""
    last = np.int64(page.text[content - 1])
    if 97 <= last <= 122 and content - 2 >= page.state[BLOCK_BEGIN]:
        last |= np.int64(page.text[content - 2]) << 8
    for atom in ATOMS:  # noqa: SIM110 (numba knows no any() over a generator)
        if atom == last:
            return True
    return False


@uncounted
def is_listed(words: NDArray[np.uint64], code: np.uint64) -> bool:
    for word in words:  # noqa: SIM110 (numba knows no any() over a generator)
        if word == code:
            return True
    return False


@uncounted
def word_at(page: Page, begin: int, end: int) -> np.uint64:
    """The hash of text in lower case (ASCII)."""
    code = FNV_OFFSET
    for place in range(begin, end):
        byte = page.text[place]
        code = mix(code, byte | 32 if 65 <= byte <= 90 else byte)
    return code


@uncounted
def are_digits(page: Page, begin: int) -> bool:
    for place in range(begin, page.state[WRITE]):  # noqa: SIM110 (numba knows no all())
        if not ZERO <= page.text[place] <= NINE:
            return False
    return True


@uncounted
def is_sign(page: Page, place: int) -> bool:
    """Whether a plus or minus stands at a place of the text."""
    text = page.text
    return (
        text[place] in (PLUS, MINUS)
        or (text[place] == 0xE2 and text[place + 1] == 0x88 and text[place + 2] == 0x92)
        or (text[place] == 0xE2 and text[place + 1] == 0x80 and text[place + 2] == 0x93)
    )


@uncounted
def is_after_fraction_slash(page: Page, end: int) -> bool:
    text = page.text
    return (
        end - 3 >= page.state[BLOCK_BEGIN]
        and text[end - 3] == 0xE2
        and text[end - 2] == 0x81
        and text[end - 1] == 0x84
    )


@uncounted
def ends_with(page: Page, first: int, second: int, third: int) -> bool:
    text, end = page.text, page.state[WRITE]
    return (
        end - 3 >= page.state[BLOCK_BEGIN]
        and page.state[PENDING] == NOTHING
        and text[end - 3] == first
        and text[end - 2] == second
        and text[end - 1] == third
    )


@uncounted
def ends_with_bracket(page: Page) -> bool:
    """Whether the text ends with an opening bracket, ASCII or full width."""
    last = page.text[page.state[WRITE] - 1]
    return (
        last in (LEFT, SQUARE)
        or ends_with(page, 0xEF, 0xBC, 0x88)
        or ends_with(page, 0xE3, 0x80, 0x90)
    )


@uncounted
def is_word_byte(byte: int) -> bool:
    """Whether a byte is part of a letter or a digit; all beyond ASCII count as letters."""
    return is_letter(byte) or ZERO <= byte <= NINE or byte >= 0x80
