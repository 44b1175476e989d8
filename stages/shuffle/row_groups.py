"""How passes hand on rows by key: sorted Parquet files, of which a reader takes a few row groups.

A task that sends rows to many readers writes one file. It is sorted by the column that names the
reader: a partition, or a document's node. Parquet keeps the smallest and the greatest value of each
row group. So a reader opens every file and reads only its own part of it.

A **node** stands for a document between passes. It is one 64-bit number: the position of the
document's shard, and its row there. Nodes need no dictionary of ids, and the documents of a shard
are one range of nodes.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_output import ParquetOutput
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched

MOST_PARTITIONS = 1 << 16
ROW_BITS = 40  # rows of a shard; 24 bits are left for shards
MOST_GROUPS = 256  # row groups that a file is cut into
LEAST_NODE_ROWS = 1 << 12  # of a row group; a smaller one costs more to find than to read
UNBOUNDED = 1 << 62  # the writer ends row groups itself, not at a size


@dataclass(frozen=True)
class Sorted:
    """Parquet files sorted by a column, for `stages.shuffle.exchange`.

    Reader r gets the rows from r << shift to below (r + 1) << shift.
    """

    schema: pa.Schema
    column: str
    readers: int
    shift: int = 0

    def collect(self, readers: range, where: str, shard: Shard) -> None:
        """Read one range of the column from the inputs. Write it as one file for its readers."""
        first, end = readers.start << self.shift, readers.stop << self.shift
        table = read_range(shard, shard.inputs, self.column, first, end, self.schema)
        table = table.take(pa.array(np.argsort(table[self.column].to_numpy(), kind="stable")))
        with shard.parquet(where, self.schema, row_group_bytes=UNBOUNDED, temporary=True) as output:
            if self.shift:
                write_by_node(output, table)
            else:
                write_by_partition(output, table, 1)


def node_range(home: int) -> tuple[int, int]:
    """The nodes [first, end) of the documents of the shard at position `home`."""
    return home << ROW_BITS, (home + 1) << ROW_BITS


def home_of(shard_name: str) -> int:
    """A shard's position. The names of passes that need it begin with it (`000012-part-7`)."""
    return int(shard_name.split("-", 1)[0])


def read_range(
    shard: Shard,
    artifacts: Sequence[Artifact],
    column: str,
    first: int,
    end: int,
    schema: pa.Schema,
) -> pa.Table:
    """The rows with `first <= column < end` of files sorted by `column`, file after file.

    The shard counts them as received. Raises InputError if a file is missing or cannot be read.
    """
    found = []
    for artifact in artifacts:
        for table in _groups(artifact, column, first, end, schema.names):
            shard.receive(artifact, table)
            found.append(table)
    return pa.concat_tables(found).cast(schema) if found else schema.empty_table()


def partition_of(key: npt.NDArray[np.uint64], partitions: int) -> npt.NDArray[np.uint32]:
    """Partitions are equal ranges of keys. So rows sorted by key are sorted by partition."""
    return (((key >> np.uint64(32)) * np.uint64(partitions)) >> np.uint64(32)).astype(np.uint32)


def write_by_partition(output: ParquetOutput, table: pa.Table, partitions: int) -> None:
    """Write rows that are sorted by their `partition` column. They count as sent.

    Each partition gets a row group. If there are more than `MOST_GROUPS` partitions, neighbouring
    ones share a row group.
    """
    output.send(table)
    group = table["partition"].to_numpy() // np.uint32(-(-partitions // MOST_GROUPS))
    starts = run_starts(group)
    for start, length in zip(starts, np.diff(starts, append=table.num_rows), strict=True):
        output.write(table.slice(start, length))
        output.flush()


def write_by_node(output: ParquetOutput, table: pa.Table) -> None:
    """Write rows that are sorted by their `node` column. They count as sent.

    Row groups are small, so that a reader skips most of them. A reader opens every file, so
    what it reads in vain grows with the corpus.
    """
    output.send(table)
    rows = max(LEAST_NODE_ROWS, -(-table.num_rows // MOST_GROUPS))
    for start in range(0, table.num_rows, rows):
        output.write(table.slice(start, rows))
        output.flush()


def run_starts(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Where each run of equal neighbours begins."""
    if len(values) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))


def _groups(
    artifact: Artifact, column: str, first: int, end: int, names: list[str]
) -> Iterator[pa.Table]:
    with storage.open_read(artifact.path) as opened:
        source = Watched(opened)
        try:
            file = pq.ParquetFile(source)
            footer, place = file.metadata, file.schema_arrow.get_field_index(column)
            groups = range(footer.num_row_groups)
            for group in groups[
                bisect_left(groups, first, key=lambda group: _bounds(footer, group, place)[1]) :
            ]:
                if _bounds(footer, group, place)[0] >= end:
                    break
                table = file.read_row_group(group, columns=names, use_threads=False)
                values = table[column].to_numpy()
                start, stop = np.searchsorted(values, np.array([first, end], dtype=values.dtype))
                yield table.slice(start, stop - start)
        except (pa.ArrowInvalid, OSError) as error:
            source.check()
            raise InputError(
                f"{artifact.path} is damaged ({str(error).splitlines()[0]})",
                "run the same command again",
            ) from error


def _bounds(footer: pq.FileMetaData, group: int, place: int) -> tuple[int, int]:
    """The least and the greatest value of a column in a row group."""
    statistics = footer.row_group(group).column(place).statistics
    return statistics.min, statistics.max
