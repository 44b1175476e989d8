"""A count and a digest of the rows that one pass sends to the next. Row order does not matter.

A pass must receive the rows that the earlier pass sent. The sender sums its rows. The receivers sum
theirs. The two sums must be equal. A row's hash covers its numbers. Of a string it covers the
length and up to four windows of eight bytes. That tells rows apart, and it costs little: about ten
nanoseconds a row and column.
"""

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ALL = ~np.uint64(0)
WINDOWS = 4  # of a string


@dataclass
class RowSum:
    """rows: how many. digest: the sum of their hashes modulo 2**64."""

    rows: int = 0
    digest: int = 0

    def add(self, table: pa.Table) -> None:
        """Add the rows of a table. Only its columns of numbers and of strings are hashed."""
        if table.num_rows:
            self.rows += table.num_rows
            self.digest = (self.digest + int(row_hashes(table).sum(dtype=np.uint64))) % 2**64

    def merge(self, other: "RowSum") -> None:
        self.rows += other.rows
        self.digest = (self.digest + other.digest) % 2**64


def row_hashes(table: pa.Table) -> Hashes:
    """One 64-bit hash for each row: uint64, shape (rows,).

    It covers all columns of numbers and strings. Their order does not matter. A null counts as a
    missing column does, because concatenated tables may have gained columns of nulls.
    """
    found = np.zeros(table.num_rows, np.uint64)
    for name in table.column_names:
        column = table[name]
        if _is_number(column.type):
            values = _of_numbers(column)
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            values = _of_strings(column)
        else:
            continue
        values = (values + _named(name)) * _MIX_1
        values ^= values >> np.uint64(32)
        if column.null_count:
            values[column.is_null().to_numpy()] = 0
        found += values
    found ^= found >> np.uint64(30)
    found *= _MIX_2
    return found ^ (found >> np.uint64(31))


@functools.cache
def _named(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big"))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _of_numbers(column: pa.ChunkedArray) -> Hashes:
    values = (pc.fill_null(column, 0) if column.null_count else column).to_numpy()
    if values.dtype.kind == "f":
        values = values.view(f"u{values.itemsize}")
    return values.astype(np.uint64)


def _of_strings(column: pa.ChunkedArray) -> Hashes:
    parts = [_of_chunk(chunk) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _of_chunk(chunk: pa.Array) -> Hashes:
    wide = pa.types.is_large_string(chunk.type)
    _, offset_buffer, data_buffer = chunk.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64 if wide else np.int32)
    offsets = offsets[chunk.offset : chunk.offset + len(chunk) + 1].astype(np.int64)
    begin, length = offsets[:-1], np.diff(offsets)
    found = length.astype(np.uint64)
    if data_buffer is None or not data_buffer.size:
        return found
    data = np.frombuffer(data_buffer, np.uint8)
    if data.size < offsets[-1] + 8:  # the loop below reads eight bytes at a time
        data = np.concatenate([data[: offsets[-1]], np.zeros(8, np.uint8)])
    words = np.ndarray((data.size - 7,), "<u8", data, strides=(1,))
    bits = np.minimum(length, 8).astype(np.uint64) * np.uint64(8)
    mask = np.where(bits == 64, _ALL, (np.uint64(1) << (bits % np.uint64(64))) - np.uint64(1))
    within = np.maximum(length - 8, 0)
    for window in range(WINDOWS):
        found = found * _STEP + (words[begin + within * window // (WINDOWS - 1)] & mask)
    return found
