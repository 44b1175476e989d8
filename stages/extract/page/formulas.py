"""Formulas in a page's text: TeX between dollars."""

from corpusmill.stages.columns.compiled import uncounted
from corpusmill.stages.extract.page.block_borders import NOTHING, SPACE, admits
from corpusmill.stages.extract.page.page import (
    FORMULA_END,
    PENDING,
    SKIPPED_FROM,
    WRITE,
    Page,
)
from corpusmill.stages.extract.page.text import write_character, write_text

DOLLAR, BACKSLASH, ROUND, SQUARE = (ord(sign) for sign in "$\\([")


@uncounted
def write_formula(page: Page, begin: int, end: int, display: bool) -> None:
    """Write data[begin:end], which is TeX, as `$...$`. Write it as `$$...$$` if it stands on a line
    of its own.
    """
    data = page.data
    while begin < end and data[begin] <= SPACE:
        begin += 1
    while end > begin and data[end - 1] <= SPACE:
        end -= 1
    if begin == end:
        return
    following = data[begin + 1] if end - begin > 1 else 0
    if not admits(page):
        return
    marked = data[begin] == DOLLAR or (data[begin] == BACKSLASH and (following in (ROUND, SQUARE)))
    if not marked:
        open_formula(page, display)
    write_text(page, begin, end)
    if not marked:
        close_formula(page, display)
    page.state[FORMULA_END] = page.state[WRITE]


@uncounted
def open_formula(page: Page, display: bool) -> None:
    if page.state[SKIPPED_FROM] == 0:
        length = 2 if display else 1
        for offset in range(length):
            page.buffer[offset] = DOLLAR
        write_character(page, length)


@uncounted
def close_formula(page: Page, display: bool) -> None:
    if page.state[SKIPPED_FROM] == 0:
        page.state[PENDING] = NOTHING
        for _ in range(2 if display else 1):
            page.text[page.state[WRITE]] = DOLLAR
            page.state[WRITE] += 1
