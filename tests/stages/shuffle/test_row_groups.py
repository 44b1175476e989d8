"""Sorted Parquet files, of which a reader takes its own part."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.shard import Shard
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    home_of,
    node_range,
    read_range,
    write_by_partition,
)

SCHEMA = pa.schema(
    [pa.field("partition", pa.uint32(), nullable=False), pa.field("value", pa.int64())]
)


def write(folder: Path, partitions: list[int]) -> Shard:
    shard = Shard("one", (), str(folder))
    table = pa.table([partitions, range(len(partitions))], schema=SCHEMA)
    with shard.parquet("work/x", SCHEMA, row_group_bytes=UNBOUNDED) as output:
        write_by_partition(output, table, 6)
    return shard


def test_each_partition_is_one_row_group(tmp_path):
    (artifact,) = write(tmp_path, [0, 0, 2, 5, 5, 5]).outputs
    metadata = pq.read_metadata(artifact.path)
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [
        2,
        1,
        3,
    ]


def test_a_reader_gets_the_rows_of_its_partition_only(tmp_path):
    artifacts = write(tmp_path, [0, 0, 2, 5, 5, 5]).outputs
    found = {
        partition: read_range(
            Shard("reader", (), "nowhere"), artifacts, "partition", partition, partition + 1, SCHEMA
        )
        for partition in range(6)
    }
    assert {partition: table["value"].to_pylist() for partition, table in found.items()} == {
        0: [0, 1], 1: [], 2: [2], 3: [], 4: [], 5: [3, 4, 5],
    }  # fmt: skip


def test_the_rows_of_a_reader_come_file_after_file(tmp_path):
    one, other = write(tmp_path / "a", [1, 1]), write(tmp_path / "b", [0, 1])
    found = read_range(
        Shard("reader", (), "nowhere"), [*other.outputs, *one.outputs], "partition", 1, 2, SCHEMA
    )
    assert found["value"].to_pylist() == [1, 0, 1]


def test_a_file_cut_short_is_named(tmp_path):
    (artifact,) = write(tmp_path, [1, 1]).outputs
    Path(artifact.path).write_bytes(Path(artifact.path).read_bytes()[:-20])
    with pytest.raises(InputError, match=r"one\.parquet is damaged"):
        read_range(Shard("reader", (), "nowhere"), [artifact], "partition", 0, 9, SCHEMA)


def test_a_shard_s_documents_are_one_range_of_nodes():
    assert node_range(home_of("000003-part-7")) == (3 << 40, 4 << 40)
