"""The record of the edits: what was cut out of a text, or replaced, and where it stood.

The column `filter_cuts` lists the pieces of each text that was edited (`stages.columns.cuts`). A
stage may edit a text more than once: the line edits come first, then each datatrove filter that
edits; and `filter` may run twice. So each piece has the number of its step.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from corpusmill.stages.columns.cuts import Piece, cuts_column, cuts_field, pieces_of
from numpy.typing import NDArray

CUTS: Final = cuts_field(
    "filter_cuts",
    pa.field("step", pa.int32(), nullable=False),
    pa.field("start", pa.int32(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
    pa.field("instead", pa.int32(), nullable=False),
)
REMOVED_BYTES: Final = pa.field("filter_removed_bytes", pa.int32())


def record(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], cuts: NDArray[np.int64]
) -> pa.Array:
    """The column of texts that lie in `data` at `offsets`, after one step.

    cuts: 3 x cuts: the number of the text, its first byte in the text, and the byte behind it.
    """
    texts, begins, ends = cuts
    counts = np.bincount(texts, minlength=offsets.size - 1)
    pieces = pieces_of(data, offsets[texts] + begins, offsets[texts] + ends)
    none = pa.array(np.zeros(texts.size, np.int32))
    return cuts_column(CUTS, counts, [none, pa.array(begins.astype(np.int32)), pieces, none])


def replaced(before: str, after: str, step: int) -> list[dict[str, Any]]:
    """The piece that makes `before` out of `after`: all between what both begin and end with."""
    old, new = before.encode(), after.encode()
    shorter = min(len(old), len(new))
    same = np.frombuffer(old[:shorter], np.uint8) == np.frombuffer(new[:shorter], np.uint8)
    begin = shorter if same.all() else int(same.argmin())
    while begin and begin < len(old) and old[begin] & 0xC0 == 0x80:
        begin -= 1  # a piece begins with a character
    left = shorter - begin
    tail = (
        np.frombuffer(old[len(old) - left :], np.uint8)
        == np.frombuffer(new[len(new) - left :], np.uint8)
    )[::-1]
    end = left if tail.all() else int(tail.argmin())
    while end and old[len(old) - end] & 0xC0 == 0x80:
        end -= 1
    piece = old[begin : len(old) - end].decode()
    return [{"step": step, "start": begin, "text": piece, "instead": len(new) - begin - end}]


def steps(cuts: Sequence[Piece] | None) -> int:
    """How many edits a text has seen."""
    return cuts[-1]["step"] + 1 if cuts else 0


def later(cuts: Sequence[Piece] | None, first: int) -> list[dict[str, Any]]:
    """The pieces with their steps counted from `first` on."""
    return [{**piece, "step": piece["step"] + first} for piece in cuts or ()]
