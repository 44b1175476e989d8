"""Many files for many readers: collected in between, with the same result."""

import pyarrow as pa
import pytest
from corpusmill.manifests.receipt import Receipt
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import PassResult
from corpusmill.stages.shuffle import exchange as exchanging
from corpusmill.stages.shuffle import row_groups as shuffle
from corpusmill.stages.shuffle.exchange import exchange
from corpusmill.stages.shuffle.row_groups import Sorted

from tests.stages.dedup.corpus import mixed_rows, output_digests, run, write_shards
from tests.stages.dedup.test_earlier import against, first_snapshot


@pytest.fixture
def few(monkeypatch):
    """Makes limits small: three files are many, and two hundred bytes are much."""
    monkeypatch.setattr(exchanging, "FAN_IN", 2)
    monkeypatch.setattr(exchanging, "COLLECT_BYTES", 200)


def test_collecting_on_the_way_does_not_change_a_byte(tmp_path, few, monkeypatch):
    rows = mixed_rows()
    paths = write_shards(tmp_path / "in", rows[:30], rows[30:60], rows[60:70], rows[70:], [])
    collected = run(paths, tmp_path / "collected", partitions=7)
    passes = {path.name for path in (collected.folder / "receipts").iterdir()}
    assert {
        "collect-sign",
        "collect-match",
        "collect-clusters",
        "collect-gather",
        "collect-resolve",
    } <= passes
    monkeypatch.undo()
    assert output_digests(collected) == output_digests(
        run(paths, tmp_path / "straight", partitions=1)
    )


def test_many_small_reads_are_collected_too(tmp_path, monkeypatch):
    rows = mixed_rows()
    paths = write_shards(
        tmp_path / "in", *(rows[start : start + 30] for start in range(0, len(rows), 30))
    )
    straight = run(paths, tmp_path / "straight", partitions=7)
    monkeypatch.setattr(exchanging, "MANY_READS", 5 * 7)
    monkeypatch.setattr(exchanging, "COLLECT_FILES", 3)
    collected = run(paths, tmp_path / "collected", partitions=7)
    passes = {
        path.name: len(list(path.iterdir())) for path in (collected.folder / "receipts").iterdir()
    }
    assert passes["collect-clusters"] == 3
    assert passes["collect-resolve"] == 3
    assert output_digests(straight) == output_digests(collected)


def test_earlier_signatures_are_collected_too(tmp_path, few, monkeypatch):
    rows = mixed_rows()
    earlier = first_snapshot(tmp_path, rows[::3])
    new = [{**row, "id": f"b{row['id']}"} for row in rows]
    collected = against(tmp_path / "a", earlier, new[:30], new[30:], partitions=5)
    monkeypatch.undo()
    assert output_digests(collected) == output_digests(
        against(tmp_path / "b", earlier, new[:30], new[30:])
    )


def test_few_files_are_read_as_they_are(tmp_path):
    schema = pa.schema([pa.field("partition", pa.uint32(), nullable=False)])
    shard = Shard("one", (), str(tmp_path))
    with shard.parquet("work/x", schema) as output:
        output.write(pa.table([[0, 1, 2]], schema=schema))
    steps = exchange("x", tuple(shard.outputs), Sorted(schema, "partition", 3))
    with pytest.raises(StopIteration) as done:
        next(steps)
    assert done.value.value(1) == tuple(shard.outputs)


def test_a_collected_reader_opens_one_file_a_group_and_finds_all_of_its_rows(tmp_path, few):
    schema = pa.schema(
        [pa.field("partition", pa.uint32(), nullable=False), pa.field("value", pa.int64())]
    )
    files = []
    for number in range(5):
        shard = Shard(f"{number}", (), str(tmp_path))
        table = pa.table([[0, 1, 1, 6], [10 * number + i for i in range(4)]], schema=schema)
        with shard.parquet("work/x", schema) as output:
            shuffle.write_by_partition(output, table, 7)
        files += shard.outputs
    steps = exchange("x", tuple(files), Sorted(schema, "partition", 7))
    step = next(steps)
    receipts = {}
    for name, inputs in step.shards.items():
        shard = Shard(name, inputs, str(tmp_path))
        step.work(shard)
        receipts[name] = Receipt("dedup", step.name, name, "", outputs=shard.outputs)
    with pytest.raises(StopIteration) as done:
        steps.send(PassResult(receipts))
    reads = done.value.value
    assert [len(reads(reader)) for reader in range(7)] == [3] * 7
    found = shuffle.read_range(Shard("reader", (), "nowhere"), reads(1), "partition", 1, 2, schema)[
        "value"
    ].to_pylist()
    assert found == [value for number in range(5) for value in (10 * number + 1, 10 * number + 2)]
