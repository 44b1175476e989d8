"""From chosen blocks to Markdown-light text: headings, lists, tables, code, and paragraphs.

    ## Heading     - item     1. item     a cell | the next cell     ``` code ```

The text is for a language model. So it is light: inline marks (links, emphasis) are not written,
and nothing is escaped.
"""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
from corpusmill.stages.extract.page.page import (
    BEGIN,
    CELL,
    END,
    HEADING,
    LIST_DEPTH,
    LIST_ITEM,
    ORDINAL,
    PREFORMATTED,
    ROW,
)
from numpy.typing import NDArray

LONG_CELL = 400  # bytes; a row with a longer block is layout, and its blocks become paragraphs
DEEPEST_LIST = 8
FENCE = "```"


def rendered(
    text: bytes, blocks: NDArray[np.int32], elements: NDArray[np.int32], chosen: NDArray[np.bool_]
) -> str:
    """The chosen blocks as text. `page.page` names the columns."""
    parts: list[str] = []
    before = ""  # the sort of the line before
    items: set[int] = set()  # list items whose mark is written
    for row, members in groupby(blocks[chosen].tolist(), key=lambda block: block[ROW]):
        group = list(members)
        is_row = row and all(
            block[END] - block[BEGIN] <= LONG_CELL
            and not block[HEADING]
            and not block[PREFORMATTED]
            for block in group
        )
        lines = (
            [("row", _row(text, group))]
            if is_row
            else (_line(text, block, elements, items) for block in group)
        )
        for sort, line in lines:
            if parts:
                parts.append("\n" if sort == before and sort in ("row", "item") else "\n\n")
            parts.append(line)
            before = sort
    return "".join(parts)


def _row(text: bytes, blocks: list[list[int]]) -> str:
    """A table's row on one line."""
    cells: Iterator[str] = (
        " ".join(_text(text, block).replace("\n", " ") for block in members)
        for _, members in groupby(blocks, key=lambda block: block[CELL])
    )
    return " | ".join(cells)


def _line(
    text: bytes, block: list[int], elements: NDArray[np.int32], items: set[int]
) -> tuple[str, str]:
    """The sort of line that a block makes (item, or the empty string), and the line with its
    marks.
    """
    words = _text(text, block)
    if block[PREFORMATTED]:
        return "", f"{FENCE}\n{words}\n{FENCE}"
    if block[HEADING]:
        return "", f"{'#' * block[HEADING]} {words.replace(chr(10), ' ')}"
    item = block[LIST_ITEM]
    if not item:
        return "", words
    indent = "  " * min(max(block[LIST_DEPTH] - 1, 0), DEEPEST_LIST)
    ordinal = int(elements[item, ORDINAL])
    mark = "  " if item in items else f"{ordinal}. " if ordinal else "- "
    items.add(item)
    return "item", f"{indent}{mark}{words.replace(chr(10), chr(10) + indent + '  ')}"


def _text(text: bytes, block: list[int]) -> str:
    return text[block[BEGIN] : block[END]].decode("utf-8", "replace")
