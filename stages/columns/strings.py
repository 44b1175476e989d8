"""Arrow string columns as arrays, and arrays as Arrow string columns.

Every function that reads a column gives `Strings`: bytes first, then offsets, as every kernel takes
them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class Strings(NamedTuple):
    """data: uint8, the UTF-8 of all strings. offsets: int64, n + 1. String i is
    data[offsets[i]:offsets[i + 1]].
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]


def chunks_of(texts: pa.ChunkedArray) -> Iterator[Strings]:
    """The strings of each chunk. The bytes are Arrow's own and read-only. A null is an empty
    string.

    Offsets need not begin at 0: a slice shares the bytes of the whole array.
    """
    for chunk in texts.chunks:
        yield _strings_of(pc.fill_null(chunk, "") if chunk.null_count else chunk)


def joined(texts: pa.ChunkedArray) -> Strings:
    """The strings of all chunks as one. Several chunks are copied; a single one is not. A null is
    an empty string.
    """
    texts = pc.fill_null(texts, "").cast(pa.large_string())
    return _strings_of(texts.chunk(0) if texts.num_chunks == 1 else texts.combine_chunks())


def copied(texts: pa.ChunkedArray) -> Strings:
    """The strings of all chunks in memory of their own, which may be written to. Offsets begin at
    0.
    """
    chunks = list(chunks_of(texts))
    sizes = [np.diff(chunk.offsets) for chunk in chunks]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *sizes]))])
    data, at = np.empty(offsets[-1], np.uint8), 0
    for chunk in chunks:
        begin, end = chunk.offsets[[0, -1]]
        data[at : at + end - begin] = chunk.data[begin:end]
        at += end - begin
    return Strings(data, offsets)


def string_array(
    data: NDArray[np.uint8] | bytes,
    offsets: NDArray[np.int64],
    kind: pa.DataType,
    valid: pa.Array | None = None,
) -> pa.Array:
    """The Arrow array of these strings, without copying the bytes.

    kind: string or large string. valid: which strings are not null; None for all.
    """
    width = np.int64 if pa.types.is_large_string(kind) else np.int32
    buffers = [
        None if valid is None else pa.array(valid, pa.bool_()).buffers()[1],
        pa.py_buffer(offsets.astype(width, copy=False)),
        pa.py_buffer(data),
    ]
    return pa.Array.from_buffers(kind, offsets.size - 1, buffers)


def _strings_of(array: pa.Array) -> Strings:
    _, offset_buffer, data_buffer = array.buffers()
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    if len(array) == 0:
        offsets = np.zeros(1, np.int64)
    else:
        some = slice(array.offset, array.offset + len(array) + 1)
        offsets = np.frombuffer(offset_buffer, width)[some].astype(np.int64)
    data = np.frombuffer(data_buffer or b"", np.uint8)
    data.flags.writeable = False  # so the compiler sees one type, whoever owns the buffer
    return Strings(data, offsets)
