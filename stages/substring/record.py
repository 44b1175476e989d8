"""The record of the cuts, made from the kernels' numbers. `stages.columns.cuts.restore` undoes
them.
"""

import numpy as np
import pyarrow as pa
from corpusmill.stages.columns.cuts import cuts_column
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
    return cuts_column(CUTS, np.where(found.was_cut, np.diff(pieces.offsets), 0), columns)
