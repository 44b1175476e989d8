"""Stream files: every row reaches its destination, in any runs, with a collect pass or not."""

import io

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.receipt import Receipt
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import PassResult
from corpusmill.stages.shuffle import exchange as exchanging
from corpusmill.stages.shuffle import streams as module
from corpusmill.stages.shuffle.exchange import exchange
from corpusmill.stages.shuffle.streams import StreamFiles, StreamWriter, read_streams
from hypothesis import given, settings
from hypothesis import strategies as st

SCHEMA = pa.schema([("id", pa.string()), ("epoch", pa.int16())])


def table(names, destinations):
    rows = len(names)
    return pa.table(
        {
            "id": names,
            "epoch": pa.array([0] * rows, pa.int16()),
            module.DESTINATION: pa.array(destinations, pa.int32()),
        }
    )


def reader():
    return Shard("reader", (), "nowhere")


def ids(artifacts, destination):
    parts = read_streams(reader(), destination, artifacts)
    return [name for part in parts for name in part["id"].to_pylist()]


def test_rows_reach_their_destinations_in_the_order_written(tmp_path):
    shard = Shard("s", (), str(tmp_path))
    writer = StreamWriter(shard, "work/shuffle", SCHEMA, 4)
    writer.write(table(["a", "b", "c"], [2, 0, 2]))
    writer.write(table(["d"], [2]))
    writer.close()
    assert [ids(shard.outputs, destination) for destination in range(4)] == [
        ["b"],
        [],
        ["a", "c", "d"],
        [],
    ]


def test_more_rows_than_memory_may_hold_become_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RUN_BYTES", 100)
    shard = Shard("s", (), str(tmp_path))
    writer = StreamWriter(shard, "work/shuffle", SCHEMA, 3)
    for number in range(30):
        writer.write(table([f"document {number}"], [number % 3]))
    writer.close()
    assert len(shard.outputs) > 1
    assert ids(shard.outputs, 1) == [f"document {number}" for number in range(1, 30, 3)]


def test_a_shard_without_rows_still_writes_a_file(tmp_path):
    shard = Shard("s", (), str(tmp_path))
    StreamWriter(shard, "work/shuffle", SCHEMA, 5).close()
    assert len(shard.outputs) == 1
    assert ids(shard.outputs, 4) == []


def test_a_damaged_file_is_refused_by_name(tmp_path):
    shard = Shard("s", (), str(tmp_path))
    writer = StreamWriter(shard, "work/shuffle", SCHEMA, 1)
    writer.write(table(["a"], [0]))
    writer.close()
    (artifact,) = shard.outputs
    data = bytearray((tmp_path / "work/shuffle/s-000.streams").read_bytes())
    data[: len(data) // 2] = bytes(len(data) // 2)
    (tmp_path / "work/shuffle/s-000.streams").write_bytes(data)
    with pytest.raises(InputError, match=r"s-000.streams is damaged"):
        read_streams(reader(), 0, [artifact])


@pytest.mark.parametrize("size", [0, 5, 30])
def test_a_file_that_is_cut_short_is_damaged(tmp_path, size):
    path = str(tmp_path / "a.streams")
    artifact = storage.write_bytes(path, b"\xff" * size)
    with pytest.raises(InputError, match=r"a.streams is damaged"):
        read_streams(reader(), 0, [artifact])


def test_a_fault_of_the_storage_is_not_damage(tmp_path, monkeypatch):
    shard = Shard("s", (), str(tmp_path))
    StreamWriter(shard, "work/shuffle", SCHEMA, 1).close()

    class Fails(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, "open_read", lambda _: Fails())
    with pytest.raises(OSError, match="Input/output error"):
        read_streams(reader(), 0, shard.outputs)


def collected(steps, folder):
    """Run the pass of `exchange`, if it has one. Returns its result and that pass's shards."""
    try:
        step = next(steps)
    except StopIteration as done:
        return done.value, {}
    receipts = {}
    for name, inputs in step.shards.items():
        shard = Shard(name, inputs, folder)
        step.work(shard)
        receipts[name] = Receipt("blend", step.name, name, "", outputs=shard.outputs)
    with pytest.raises(StopIteration) as ended:
        steps.send(PassResult(receipts))
    return ended.value.value, step.shards


@settings(deadline=None, max_examples=60)
@given(
    files=st.lists(st.lists(st.integers(0, 10**6), max_size=12), min_size=1, max_size=9),
    destinations=st.integers(1, 40),
    fan_in=st.integers(1, 9),
    streams=st.integers(1, 12),
    collect_bytes=st.sampled_from([1, 700, 10**9]),
)
def test_every_row_arrives_once_and_in_order_however_it_travels(
    tmp_path_factory, files, destinations, fan_in, streams, collect_bytes
):
    folder = str(tmp_path_factory.mktemp("shuffle"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchanging, "FAN_IN", fan_in)
        patch.setattr(exchanging, "COLLECT_BYTES", collect_bytes)
        patch.setattr(module, "MOST_STREAMS", streams)
        written: list[storage.Artifact] = []
        expected: list[list[str]] = [[] for _ in range(destinations)]
        for number, rows in enumerate(files):
            shard = Shard(f"{number}", (), folder)
            writer = StreamWriter(shard, "work/shuffle", SCHEMA, destinations)
            sent = [(f"{number}-{row}", target % destinations) for row, target in enumerate(rows)]
            for name, target in sent:
                writer.write(table([name], [target]))
                expected[target].append(name)
            writer.close()
            written += shard.outputs
        reads, groups = collected(
            exchange("shuffle", tuple(written), StreamFiles(destinations)), folder
        )
        assert [
            ids(reads(destination), destination) for destination in range(destinations)
        ] == expected
        for destination in range(destinations):
            assert len(reads(destination)) <= (
                -(-len(files) // fan_in) if len(files) > fan_in else fan_in
            )
        assert all(len(group) <= fan_in for group in groups.values())


def test_what_a_reader_reads_in_vain_is_bounded_however_many_destinations_there_are(tmp_path):
    rows = 2000
    shard = Shard("s", (), str(tmp_path))
    writer = StreamWriter(shard, "work/shuffle", SCHEMA, 100_000)
    target = np.arange(rows) * 49 + 7
    writer.write(table([str(number) for number in target], target))
    writer.close()
    assert shard.outputs[0].size < 1000 * module.MOST_STREAMS
    assert ids(shard.outputs, 7 + 49 * 1234) == [str(7 + 49 * 1234)]
    assert ids(shard.outputs, 8) == []


def test_files_of_different_columns_are_collected_to_all_of_them(tmp_path):
    written = []
    for name, columns in (("a", {"x": [1]}), ("b", {"y": ["two"]})):
        shard = Shard(name, (), str(tmp_path))
        some = pa.table({"id": [name], **columns})
        writer = StreamWriter(shard, "work/shuffle", some.schema, 2)
        writer.write(some.append_column(module.DESTINATION, pa.array([1], pa.int32())))
        writer.close()
        written += shard.outputs
    shard = Shard("000000-000000", tuple(written), str(tmp_path))
    StreamFiles(2).collect(range(2), "work/collect-shuffle", shard)
    (found,) = read_streams(reader(), 1, shard.outputs)
    assert found.to_pylist() == [{"id": "a", "x": 1, "y": None}, {"id": "b", "x": None, "y": "two"}]
