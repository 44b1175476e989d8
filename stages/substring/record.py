"""The record of the cuts: made from the kernels' numbers, and used to restore the original text.

The original text is the text that stays, with the pieces put back. A piece is copied from its
keeper's *original* text, which may need to be restored first. This ends, because keepers are read
before the documents that repeat them. A piece that repeats its own document repeats an earlier
place of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from corpusmill.stages.substring.find import Found
from corpusmill.stages.substring.settings import CUTS
from numpy.typing import NDArray


def record(
    found: Found, text: NDArray[np.uint8], offsets: NDArray[np.int64], ids: pa.ChunkedArray
) -> pa.Array:
    """The column `substring_cuts`: the pieces of each document that was cut, null for the others.

    text: before the cuts, with documents at `offsets`. ids: of the documents.
    """
    pieces = found.pieces
    of_cut = np.repeat(found.was_cut, np.diff(pieces.offsets))
    begins, ends, sources = pieces.begins[of_cut], pieces.ends[of_cut], pieces.sources[of_cut]
    document = np.searchsorted(offsets, begins, side="right") - 1
    bridged = sources < 0
    keeper = np.searchsorted(offsets, np.maximum(sources, 0), side="right") - 1
    gaps: list[str | None] = [None] * len(begins)
    for index in np.flatnonzero(bridged):
        gaps[index] = text[begins[index] : ends[index]].tobytes().decode()
    columns = [
        pa.array((begins - offsets[document]).astype(np.int32)),
        pa.array((ends - begins).astype(np.int32)),
        ids.combine_chunks().take(pa.array(keeper, mask=bridged)).cast(pa.string()),
        pa.array((sources - offsets[keeper]).astype(np.int32), mask=bridged),
        pa.array(gaps, pa.string()),
    ]
    values = pa.StructArray.from_arrays(columns, fields=list(CUTS.type.value_type))
    lengths = np.where(found.was_cut, np.diff(pieces.offsets), 0)
    bounds = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(bounds), values, mask=pa.array(~found.was_cut)).cast(
        CUTS.type
    )


def restore(
    text: str, cuts: Sequence[Mapping[str, Any]] | None, itself: str, text_of: Callable[[str], str]
) -> str:
    """The original text. itself: the document's id. text_of: id -> original text of another
    document.
    """
    whole = bytearray()
    rest = memoryview(text.encode())
    for piece in cuts or ():
        kept = piece["start"] - len(whole)
        whole += rest[:kept]
        rest = rest[kept:]
        if piece["keeper"] is None:
            whole += piece["text"].encode()
        elif piece["keeper"] == itself:
            # Byte by byte, because the piece may overlap its source.
            for place in range(piece["keeper_start"], piece["keeper_start"] + piece["length"]):
                whole.append(whole[place])
        else:
            source = text_of(piece["keeper"]).encode()
            whole += source[piece["keeper_start"] : piece["keeper_start"] + piece["length"]]
    return (whole + rest).decode()
