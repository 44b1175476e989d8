"""Sending rows from many input shards to many output shards without a file for each pair (blend, substring).

A spread file is, for each of its destinations in turn, one Arrow stream (absent where nothing goes there), and at its end a table of
where each of them begins. So a reader fetches sixteen bytes and one range of each file, however many destinations there are, and a
writer makes one file; it starts another when its rows outgrow memory.
"""

import itertools
import struct
from collections.abc import Iterator

import pyarrow as pa

from manifests import storage
from manifests.errors import InputError
from manifests.shard import Shard
from manifests.storage import Artifact

RUN_BYTES = 128 << 20  # rows held in memory before they are written as one file
DESTINATION = "destination"  # int32 column, left out of what is written
_OFFSET = struct.Struct("<q")


class Spreader:
    """Takes tables with a `destination` column and writes them as files `<where>/<shard name>-<run>.spread`."""

    def __init__(self, shard: Shard, where: str, schema: pa.Schema, destinations: int) -> None:
        self._shard = shard
        self._where = where
        self._schema = schema
        self._destinations = destinations
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._runs = 0

    def write(self, table: pa.Table) -> None:
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes >= RUN_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left. A shard without rows writes one empty file, so that every shard has an output."""
        if self._held or not self._runs:
            self._flush()

    def _flush(self) -> None:
        rows = pa.concat_tables(self._held) if self._held else None
        path = storage.join(self._shard.folder, self._where, f"{self._shard.name}-{self._runs:03d}.spread")
        offsets = [0]
        with storage.atomic_writer(path) as sink:
            for part in _parts(rows, self._destinations):
                if part is not None and part.num_rows:
                    sink.write(_stream(part.select(self._schema.names).cast(self._schema)))
                offsets.append(sink.tell())
            sink.write(b"".join(_OFFSET.pack(offset) for offset in offsets))
        self._shard.outputs.append(Artifact(path, sink.digest, sink.size, rows.num_rows if rows is not None else 0))
        self._held, self._held_bytes = [], 0
        self._runs += 1


def read_spread(artifact: Artifact, destination: int, destinations: int) -> pa.Table | None:
    """The rows of a spread file that go to `destination`; None if there are none. Raises InputError if the file is damaged."""
    with storage.open_read(artifact.path) as file:
        file.seek(artifact.size - _OFFSET.size * (destinations + 1 - destination))
        start, end = (offset for (offset,) in _OFFSET.iter_unpack(file.read(2 * _OFFSET.size)))
        if start == end:
            return None
        file.seek(start)
        try:
            return pa.ipc.open_stream(file.read(end - start)).read_all()
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{artifact.path} is damaged ({str(error).splitlines()[0]})", "run the same command again"
            ) from error


def _parts(rows: pa.Table | None, destinations: int) -> Iterator[pa.Table | None]:
    if rows is None:
        yield from [None] * destinations
        return
    target = rows[DESTINATION].combine_chunks().to_numpy()
    order = target.argsort(kind="stable")
    bounds = target[order].searchsorted(range(destinations + 1))
    for start, end in itertools.pairwise(bounds.tolist()):
        yield rows.take(pa.array(order[start:end])) if end > start else None


def _stream(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()
