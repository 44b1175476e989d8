"""Tables as lines of text: which rows are data, and in which column each cell stands.

A cell stands where the HTML standard puts it (4.9.12.1): behind the cells before it and behind
those that reach down from the rows above (`rowspan`). A cell is written once. The other columns and
rows that it spans are empty, so that every column keeps its place.

A table may be there for layout only. Then its cells hold blocks of text like any other place.
"""

import functools
from collections import defaultdict
from itertools import groupby
from typing import Final

import numpy as np
from corpusmill.stages.extract.page.names import tag_number
from corpusmill.stages.extract.page.page import (
    BEGIN,
    CELL,
    END,
    HEADING,
    LAST,
    LIST_ITEM,
    MARK,
    ORDINAL,
    PARENT,
    PREFORMATTED,
    ROW,
    TAG,
)
from numpy.typing import NDArray

LONG_CELL: Final = 400  # bytes; a longer cell is running text
PARAGRAPH: Final = 60  # bytes that blocks of a cell have on average, if they are paragraphs
MANY_BLOCKS: Final = 3  # a cell of more is no cell of data
MOST_COLUMNS: Final = 100  # cells in columns behind are counted without what spans
TABLE, TR, TD, TH, CAPTION = (tag_number(name) for name in ("table", "tr", "td", "th", "caption"))
_CLOSED: Final = frozenset((TABLE, TD, TH))  # what is inside them is no part of the row
Block = list[int]


class Tables:
    """The tables of a page, each looked at when its first row is written.

    picked: the chosen blocks as lists.
    """

    def __init__(
        self, blocks: NDArray[np.int32], elements: NDArray[np.int32], picked: list[Block]
    ) -> None:
        self._blocks, self._elements = blocks, elements
        self._cells: dict[int, set[int]] = defaultdict(set)  # row -> cells that have chosen text
        for block in picked:
            if block[ROW] and block[CELL]:
                self._cells[block[ROW]].add(block[CELL])
        self._layout: dict[int, bool] = {}  # by table
        self._columns: dict[int, dict[int, int]] = {}  # table -> cell -> column
        self._widths: dict[int, int] = {}  # by row
        self._used: dict[int, list[int]] = {}  # table -> columns that have text

    def is_row(self, row: int, group: list[Block]) -> bool:
        """Whether blocks of a row are cells of data."""
        if any(block[HEADING] or block[PREFORMATTED] for block in group):
            return False
        if any(block[END] - block[BEGIN] > LONG_CELL for block in group):
            return False
        table = self._table_of(row)
        if table not in self._layout:
            self._layout[table] = self._is_layout(table)
        return not self._layout[table]

    def line(self, row: int, group: list[Block], text: bytes) -> str:
        """The row's cells, joined by bars. An empty cell keeps its place."""
        cells: dict[int, str] = {}
        table = self._table_of(row)
        self._place(table)
        columns = self._columns[table]
        for cell, members in groupby(group, key=lambda block: block[CELL]):
            words = (
                text[block[BEGIN] : block[END]].decode("utf-8", "replace") for block in members
            )
            column = columns.get(cell, len(cells))
            written = " ".join(words).replace("\n", " ").replace("|", r"\|")
            cells[column] = f"{cells.get(column, '')} {written}".strip()
        width = max(self._widths.get(row, 0), *(column + 1 for column in cells))
        used = self._used[table] or sorted(cells)
        line = " | ".join(cells.get(column, "") for column in used if column < width)
        return line.replace("|  |", "| |").replace("|  |", "| |").strip()

    def _table_of(self, row: int) -> int:
        element = int(self._elements[row, PARENT])
        while element and self._elements[element, TAG] != TABLE:
            element = int(self._elements[element, PARENT])
        return element

    def _rows(self, table: int) -> list[tuple[int, list[int]]]:
        """The rows of a table with their cells, without those of tables inside it."""
        rows: list[tuple[int, list[int]]] = []
        inside = self._elements[table : int(self._elements[table, LAST]) + 1]
        tags, lasts = inside[:, TAG].tolist(), inside[:, LAST].tolist()
        offset = 1
        while offset < len(tags):
            tag = tags[offset]
            if tag == TR:
                rows.append((table + offset, []))
            elif tag in _CLOSED:
                if rows and tag != TABLE:
                    rows[-1][1].append(table + offset)
                offset = max(lasts[offset] - table, offset)
            offset += 1
        return rows

    def _is_layout(self, table: int) -> bool:
        """Whether a table only puts blocks of text beside each other: its author says so; it has
        one column; or none of its cells is a header, and they hold paragraphs, lists, headings or
        tables, or are one row of text.
        """
        elements = self._elements
        if elements[table, MARK]:
            return True
        rows = self._rows(table)
        if all(len(cells) <= 1 for _, cells in rows):
            return True
        inside = elements[table + 1 : int(elements[table, LAST]) + 1, TAG]
        cells = np.array([cell for _, members in rows for cell in members], np.int64)
        if np.isin(elements[cells, TAG], TH).any() or (inside == CAPTION).any():
            return False
        if (inside == TABLE).any() or self._holds_blocks[cells].any():
            return True
        sizes = self._sizes[cells]
        return len(rows) == 1 and bool((sizes > 0).sum() <= 1 or (sizes > PARAGRAPH).any())

    @functools.cached_property
    def _sizes(self) -> NDArray[np.float64]:
        """By element: the bytes of the blocks in it, if it is a cell."""
        blocks = self._blocks
        size = blocks[:, END] - blocks[:, BEGIN]
        sizes = np.bincount(blocks[:, CELL], size, minlength=len(self._elements))
        return sizes.astype(np.float64)

    @functools.cached_property
    def _holds_blocks(self) -> NDArray[np.bool_]:
        """By element: whether it is a cell that holds paragraphs, items of a list or headings."""
        blocks, count = self._blocks, len(self._elements)
        cells = blocks[:, CELL]
        size = self._sizes
        number = np.bincount(cells, minlength=count)
        items = np.bincount(cells[blocks[:, LIST_ITEM] > 0], minlength=count)
        headings = np.bincount(cells[blocks[:, HEADING] > 0], minlength=count)
        paragraphs = ((number > 1) & (size > PARAGRAPH * number)) | (number > MANY_BLOCKS)
        return paragraphs | (items > 1) | (headings > 0)

    def _place(self, table: int) -> None:
        """Find the columns of a table's cells, the widths of its rows, and the columns in use."""
        if table in self._columns:
            return
        columns: dict[int, int] = {}
        used: set[int] = set()
        reach: dict[int, int] = {}  # column -> the row before which a cell from above ends
        section = -1
        for index, (row, cells) in enumerate(self._rows(table)):
            if self._elements[row, PARENT] != section:
                section, reach = int(self._elements[row, PARENT]), {}
            reach = {column: end for column, end in reach.items() if end > index}
            occupied, column = set(reach), 0
            for cell in cells:
                while column in occupied:
                    column += 1
                columns[cell] = column
                across = max(int(self._elements[cell, ORDINAL]), 1)
                down = int(self._elements[cell, MARK])
                across = across if column + across <= MOST_COLUMNS else 1
                if down != 1 and column < MOST_COLUMNS:  # 0 reaches to the end of the section
                    end = index + down if down > 0 else len(self._elements)
                    reach |= dict.fromkeys(range(column, column + across), end)
                column += across
            self._widths[row] = max(column, max(reach, default=-1) + 1)
            used.update(columns[cell] for cell in self._cells.get(row, ()) if cell in columns)
        self._columns[table], self._used[table] = columns, sorted(used)
