"""From Arrow string columns to what the kernels read."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import numpy.typing as npt


def text_buffers(texts: pa.ChunkedArray) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]":
    """Offsets and bytes of a string column, for the kernels; null counts as empty."""
    texts = pc.fill_null(texts, "").cast(pa.large_string())
    array = texts.chunk(0) if texts.num_chunks == 1 else texts.combine_chunks()
    if len(array) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    return offsets, np.frombuffer(data_buffer, np.uint8) if data_buffer else np.zeros(0, np.uint8)
