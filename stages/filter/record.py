"""The record of the edits: what was cut out of a text, or replaced, and where it stood.

The column `filter_cuts` lists the pieces of each text that was edited. A stage may edit a text more
than once: the line edits come first, then each datatrove filter that edits; and `filter` may run
twice. So each piece has the number of its step. To restore a text, undo the last step first.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
import pyarrow as pa
from corpusmill.stages.columns.strings import string_array
from numpy.typing import NDArray

CUTS: Final = pa.field(
    "filter_cuts",
    pa.list_(
        pa.struct(
            [
                pa.field("step", pa.int32(), nullable=False),  # which edit of this text, from 0
                # where the piece stood: bytes into the text that the step was given
                pa.field("start", pa.int32(), nullable=False),
                pa.field("text", pa.string(), nullable=False),  # the piece
                # bytes that stand there instead; 0 for a piece that was cut
                pa.field("instead", pa.int32(), nullable=False),
            ]
        )
    ),
)
REMOVED_BYTES: Final = pa.field("filter_removed_bytes", pa.int32())

Piece = Mapping[str, Any]


def cuts_column(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], cuts: NDArray[np.int64]
) -> pa.Array:
    """The column of texts that lie in `data` at `offsets`, after one step; null where nothing was
    cut.

    cuts: 3 x cuts: the number of the text, its first byte in the text, and the byte behind it.
    """
    texts, begins, ends = cuts
    sizes = ends - begins
    places = np.concatenate(([0], np.cumsum(sizes)))
    from_data = np.arange(places[-1]) + np.repeat(offsets[texts] + begins - places[:-1], sizes)
    pieces = string_array(data[from_data], places, pa.string())
    none = pa.array(np.zeros(texts.size, np.int32))
    values = pa.StructArray.from_arrays(
        [none, pa.array(begins.astype(np.int32)), pieces, none],
        fields=list(CUTS.type.value_type),
    )
    counts = np.bincount(texts, minlength=offsets.size - 1)
    bounds = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(bounds), values, mask=pa.array(counts == 0)).cast(
        CUTS.type
    )


def removed_bytes(cuts: pa.ChunkedArray) -> list[int]:
    """How many bytes of each text are gone, over all steps."""
    return [
        sum(len(piece["text"].encode()) - piece["instead"] for piece in pieces or ())
        for pieces in cuts.to_pylist()
    ]


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


def restore(text: str, cuts: Sequence[Piece] | None) -> str:
    """The text as it came to `filter`. cuts: its `filter_cuts`, in order."""
    ordered = [list(pieces) for _, pieces in groupby(cuts or (), key=lambda piece: piece["step"])]
    for pieces in reversed(ordered):
        whole, rest = bytearray(), memoryview(text.encode())
        for piece in pieces:
            kept = piece["start"] - len(whole)
            whole += rest[:kept]
            whole += piece["text"].encode()
            rest = rest[kept + piece["instead"] :]
        text = (bytes(whole) + bytes(rest)).decode()
    return text
