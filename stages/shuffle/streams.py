"""Send rows from many input shards to many output shards, without a file for each pair.

Blend and substring use it. A stream file holds rows sorted by destination. It is cut into at most
`MOST_STREAMS` Arrow streams, each for one destination or for some neighbouring ones. A stream
without rows takes no bytes. The file ends with the places where the streams begin. A reader fetches
two ranges of each file. So what it reads besides its rows does not grow with the destinations.

A writer makes one file, and another one when its rows outgrow memory. If files are many,
`stages.shuffle.exchange` collects them first.
"""

import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.row_sum import RowSum
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched

RUN_BYTES = 128 << 20  # rows held in memory before they are written as one file
MOST_STREAMS = 256  # in a file
DESTINATION = "stream_destination"  # int32 column of sent rows; readers do not see it
_OFFSET = np.dtype("<i8")
# The file's last bytes: the first destination, destinations of a stream, and number of streams. The
# streams' bounds stand before them.
_END = struct.Struct("<qqq")


@dataclass(frozen=True)
class StreamFiles:
    """Stream files for `stages.shuffle.exchange`. Destination r is reader r."""

    readers: int
    column: ClassVar[str] = DESTINATION

    def collect(self, readers: range, where: str, shard: Shard) -> None:
        """Write one file with the rows for these destinations.

        The rows of a destination keep their order, file after file. Raises InputError if a file is
        damaged.
        """
        read = (_received(shard, artifact, readers) for artifact in shard.inputs)
        tables = [table for table in read if table is not None]
        pieces: list[list[pa.Table]] = [[] for _ in _bounds(readers)[1:]]  # of each stream
        sent = RowSum()
        for table in tables:
            sent.add(table)
            bounds = np.searchsorted(table[DESTINATION].to_numpy(), _bounds(readers))
            for stream in np.flatnonzero(np.diff(bounds)).tolist():
                pieces[stream].append(
                    table.slice(bounds[stream], bounds[stream + 1] - bounds[stream])
                )
        path = storage.join(shard.folder, where, f"{shard.name}.streams")
        shard.outputs.append(_write(path, map(_merged, pieces), readers, sent))


class StreamWriter:
    """Writes tables with a `DESTINATION` column as files `<where>/<shard name>-<run>.streams`."""

    def __init__(self, shard: Shard, where: str, schema: pa.Schema, destinations: int) -> None:
        self._shard = shard
        self._where = where
        self._schema = schema.append(pa.field(DESTINATION, pa.int32()))
        self._destinations = range(destinations)
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._runs = 0
        self._sent = RowSum()

    def write(self, table: pa.Table) -> None:
        """Send rows, each to the destination in its column `DESTINATION`."""
        self._sent.add(table.select(self._schema.names))
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes >= RUN_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is left. A shard without rows writes one empty file: every shard has one."""
        if self._held or not self._runs:
            self._flush()

    def _flush(self) -> None:
        path = storage.join(
            self._shard.folder, self._where, f"{self._shard.name}-{self._runs:03d}.streams"
        )
        self._shard.outputs.append(_write(path, self._streams(), self._destinations, self._sent))
        self._held, self._held_bytes, self._sent = [], 0, RowSum()
        self._runs += 1

    def _streams(self) -> Iterator[pa.Table | None]:
        if not self._held:
            return
        rows = pa.concat_tables(self._held).select(self._schema.names).cast(self._schema)
        target = rows[DESTINATION].to_numpy()
        order = target.argsort(kind="stable")
        bounds = target[order].searchsorted(_bounds(self._destinations)).tolist()
        for start, end in itertools.pairwise(bounds):
            yield rows.take(pa.array(order[start:end])) if end > start else None


def read_streams(shard: Shard, destination: int, artifacts: Iterable[Artifact]) -> list[pa.Table]:
    """The rows of the files for `destination`, in the order in which they were sent.

    The shard counts them as received. Raises InputError if a file is damaged.
    """
    wanted = range(destination, destination + 1)
    found = (_received(shard, artifact, wanted) for artifact in artifacts)
    return [table.drop_columns(DESTINATION) for table in found if table is not None]


def _received(shard: Shard, artifact: Artifact, wanted: range) -> pa.Table | None:
    found = _read(artifact, wanted)
    if found is not None:
        shard.receive(artifact, found)
    return found


def _read(artifact: Artifact, wanted: range) -> pa.Table | None:
    """The rows for the wanted destinations, sorted by destination. None if there are none."""
    with storage.open_read(artifact.path) as opened:
        file = Watched(opened)
        try:
            tables = [_within(table, wanted) for table in _streams_of(file, artifact.size, wanted)]
        except (ValueError, OSError, struct.error) as error:  # Arrow's own are among them
            file.check()
            raise InputError(
                f"{artifact.path} is damaged ({str(error).splitlines()[0]})",
                "run the same command again",
            ) from error
    found = pa.concat_tables(tables) if tables else None
    return found if found is not None and found.num_rows else None


def _streams_of(file: Watched, size: int, wanted: range) -> Iterator[pa.Table]:
    """The streams of a file of `size` bytes that may hold rows for the wanted destinations."""
    file.seek(max(0, size - _END.size - _OFFSET.itemsize * (MOST_STREAMS + 1)))
    end = file.read()
    first, step, streams = _END.unpack(end[-_END.size :])
    if not (step > 0 and 0 <= streams <= MOST_STREAMS):
        raise ValueError("its end is not that of a stream file")
    begins = np.frombuffer(end[-_END.size - _OFFSET.itemsize * (streams + 1) : -_END.size], _OFFSET)
    low = max(0, (wanted.start - first) // step)
    high = min(streams, -(-(wanted.stop - first) // step))
    if low >= high or begins[low] == begins[high]:
        return
    file.seek(int(begins[low]))
    data = pa.py_buffer(file.read(int(begins[high] - begins[low])))
    for stream in range(low, high):
        start, length = int(begins[stream] - begins[low]), int(begins[stream + 1] - begins[stream])
        if length:
            yield pa.ipc.open_stream(data.slice(start, length)).read_all()


def _within(table: pa.Table, wanted: range) -> pa.Table:
    start, stop = np.searchsorted(table[DESTINATION].to_numpy(), [wanted.start, wanted.stop])
    return table.slice(start, stop - start)


def _bounds(destinations: range) -> list[int]:
    """The first destination of each stream, and the end of the last stream's."""
    return [*range(destinations.start, destinations.stop, _step(destinations)), destinations.stop]


def _step(destinations: range) -> int:
    return max(1, -(-len(destinations) // MOST_STREAMS))


def _merged(pieces: list[pa.Table]) -> pa.Table | None:
    """Merge tables that are sorted by destination. Equal destinations keep the tables' order."""
    if not pieces:
        return None
    rows = pa.concat_tables(pieces, promote_options="default")
    target = rows[DESTINATION].to_numpy()
    return (
        rows
        if (target[:-1] <= target[1:]).all()
        else rows.take(pa.array(target.argsort(kind="stable")))
    )


def _write(
    path: str, streams: Iterable[pa.Table | None], destinations: range, sent: RowSum
) -> Artifact:
    """Write one file: streams in the order of their destinations.

    None is an empty stream, and so is one that is missing. sent: the sum of the rows as they were
    sent, which is compared with the receivers' sums.
    """
    offsets = [0]
    with storage.atomic_writer(path, temporary=True) as sink:
        for table in streams:
            if table is not None:
                sink.write(_stream(table))
            offsets.append(sink.tell())
        count = len(_bounds(destinations)) - 1
        offsets += [sink.tell()] * (count + 1 - len(offsets))
        sink.write(
            np.array(offsets, _OFFSET).tobytes()
            + _END.pack(destinations.start, _step(destinations), count)
        )
    return Artifact(path, sink.digest, sink.size, sent.rows, rows_digest=sent.digest)


def _stream(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()
