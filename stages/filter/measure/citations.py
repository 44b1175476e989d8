"""Citation marks, which C4 takes out of lines: `[12]`, `[]`, `[edit]`, `[citation needed]`. And
brackets of code, which look like them.
"""

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.line_bytes import has_text
from corpusmill.stages.filter.measure.line_kinds import begins_with
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

DOT, OPENING, CLOSING, ROUND, SEMICOLON, ZERO = (ord(sign) for sign in ".[](;0")
MOST_DIGITS = 3  # of a citation; [1998] is none
EDIT, CITATION_NEEDED = (
    np.frombuffer(b"[edit]", np.uint8),
    np.frombuffer(b"[citation needed]", np.uint8),
)


@njit
def citation_at(data: Bytes, begin: int, end: int) -> int:
    """The number of bytes of a citation mark that begins here, or 0."""
    after = begin + 1
    while after < end and 48 <= data[after] <= 57:
        after += 1
    if after < end and data[after] == CLOSING:
        return after + 1 - begin
    for mark in (EDIT, CITATION_NEEDED):
        if begins_with(data, begin, end, mark):
            return mark.size
    return 0


@njit
def is_code(data: Bytes, begin: int, at: int, size: int, end: int, is_prose: bool) -> bool:
    """Whether the citation mark of `size` bytes at `at` is an index or a list of a program.

    begin, end: of the line. is_prose: whether the line has no `=`. `[edit]` is never code.
    """
    if size > 2 and not 48 <= data[at + 1] <= 57:
        return False
    if size <= 2 or size - 2 > MOST_DIGITS or data[at + 1] == ZERO or not is_prose:
        return size > 0
    after = at + size
    if (at > begin and data[at - 1] == ROUND) or (after < end and data[after] == ROUND):
        return True
    if after < end and data[after] == SEMICOLON:  # in prose, text goes on behind it
        return not has_text(data, after + 1, end, end, end)
    return after + 1 < end and data[after] == DOT and 97 <= data[after + 1] <= 122


@njit
def is_all_marks(data: Bytes, begin: int, end: int) -> bool:
    """Whether nothing but citation marks and white space stands there."""
    while begin < end:
        size = citation_at(data, begin, end) if data[begin] == OPENING else 0
        if size == 0 and data[begin] > 32:
            return False
        begin += max(size, 1)
    return True
