"""Spread files: every row reaches the destination that it names, whatever the runs and destinations."""

import pyarrow as pa
import pytest

from manifests.errors import InputError
from manifests.shard import Shard
from stages import spread
from stages.spread import Spreader, read_spread

SCHEMA = pa.schema([("id", pa.string()), ("epoch", pa.int16())])


def table(names, destinations):
    rows = len(names)
    return pa.table(
        {
            "id": names,
            "epoch": pa.array([0] * rows, pa.int16()),
            spread.DESTINATION: pa.array(destinations, pa.int32()),
        }
    )


def ids(artifacts, destination, destinations):
    parts = [read_spread(artifact, destination, destinations) for artifact in artifacts]
    return [name for part in parts if part is not None for name in part["id"].to_pylist()]


def test_rows_reach_their_destinations_in_the_order_written(tmp_path):
    shard = Shard("s", (), str(tmp_path))
    spreader = Spreader(shard, "work/spread", SCHEMA, 4)
    spreader.write(table(["a", "b", "c"], [2, 0, 2]))
    spreader.write(table(["d"], [2]))
    spreader.close()
    assert [ids(shard.outputs, destination, 4) for destination in range(4)] == [["b"], [], ["a", "c", "d"], []]


def test_more_rows_than_memory_may_hold_become_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr(spread, "RUN_BYTES", 100)
    shard = Shard("s", (), str(tmp_path))
    spreader = Spreader(shard, "work/spread", SCHEMA, 3)
    for number in range(30):
        spreader.write(table([f"document {number}"], [number % 3]))
    spreader.close()
    assert len(shard.outputs) > 1
    assert ids(shard.outputs, 1, 3) == [f"document {number}" for number in range(1, 30, 3)]


def test_a_shard_without_rows_still_writes_a_file(tmp_path):
    shard = Shard("s", (), str(tmp_path))
    Spreader(shard, "work/spread", SCHEMA, 5).close()
    assert len(shard.outputs) == 1
    assert ids(shard.outputs, 4, 5) == []


def test_a_damaged_file_is_refused_by_name(tmp_path):
    shard = Shard("s", (), str(tmp_path))
    spreader = Spreader(shard, "work/spread", SCHEMA, 1)
    spreader.write(table(["a"], [0]))
    spreader.close()
    (artifact,) = shard.outputs
    data = bytearray((tmp_path / "work/spread/s-000.spread").read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    (tmp_path / "work/spread/s-000.spread").write_bytes(data)
    with pytest.raises(InputError, match=r"s-000.spread is damaged"):
        read_spread(artifact, 0, 1)
