"""blend and substring with more files than a reader opens (dedup: tests/stages/dedup).

The files are collected in between, and the bytes stay the same.
"""

from functools import partial

import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.verify import verify
from corpusmill.manifests.receipt import list_receipts
from corpusmill.stages.shuffle import exchange
from corpusmill.stages.shuffle import streams as module
from corpusmill.stages.shuffle.streams import StreamFiles

from tests.stages.small_corpus import bytes_of, documents, run, text, write_shard

SHARDS = 7


@pytest.fixture
def few(monkeypatch):
    """Makes limits small: three files are many, and a file is cut into four streams."""
    monkeypatch.setattr(exchange, "FAN_IN", 2)
    monkeypatch.setattr(exchange, "COLLECT_BYTES", 2000)
    monkeypatch.setattr(module, "MOST_STREAMS", 4)


def blend(folder):
    """Two sources over more shards than a file has streams. One is repeated, one is cut off."""
    for number in range(SHARDS):
        write_shard(folder / f"in/web/{number}.parquet", documents(f"web{number}", 40))
        write_shard(folder / f"in/math/{number}.parquet", documents(f"math{number % 2}", 9))
    sources = {
        "web": {"input": str(folder / "in/web"), "weight": 2},
        "math": {"input": str(folder / "in/math"), "weight": 1, "max_epochs": 2.5},
    }
    return partial(run, "blend", {"sources": sources, "tokens": 6000, "shards": 9})


def substring(folder):
    """Rows on several sites. Some repeat others."""
    paths = [
        write_shard(
            folder / f"in/{number}.parquet",
            [
                {
                    "id": f"{number}-{row}",
                    "url": f"https://site{row % 3}.example/{row}",
                    "kind": "actual",
                }
                | {"text": text(row, 60) + "\n" + text(number + row, 60)}
                for row in range(12)
            ],
        )
        for number in range(SHARDS)
    ]
    return lambda output: run(
        "substring", {"part_bytes": 6000, "min_text_chars": 0}, output, *paths
    )


@pytest.mark.parametrize("stage", [blend, substring])
def test_collecting_on_the_way_does_not_change_a_byte(tmp_path, few, monkeypatch, stage):
    run_into = stage(tmp_path)
    run_into(tmp_path / "collected")
    receipts = list_receipts(str(tmp_path / "collected"))
    collecting = [receipt for receipt in receipts if receipt.pass_name == "collect-shuffle"]
    assert len({receipt.shard.split("-")[0] for receipt in collecting}) > 1 < len(collecting)
    assert all(len(receipt.inputs) <= 2 for receipt in collecting)
    opened = [len(receipt.inputs) for receipt in receipts if receipt.pass_name == stage.__name__]
    assert max(opened) <= 1 + SHARDS  # of 7 or 14 files; substring reads the schema too
    assert verify(str(tmp_path / "collected")).problems == []
    monkeypatch.undo()
    manifest = run_into(tmp_path / "straight")
    assert manifest.shards > 4
    assert not (tmp_path / "straight/receipts/collect-shuffle").exists()
    straight, found = (
        bytes_of(
            tmp_path / name, "documents", "excluded", *(["plan.json"] if stage is blend else [])
        )
        for name in ("straight", "collected")
    )
    assert straight == found
    assert len(straight) > 8


@pytest.mark.parametrize("stage", [blend, substring])
def test_many_small_reads_are_collected_too(tmp_path, monkeypatch, stage):
    run_into = stage(tmp_path)
    monkeypatch.setattr(exchange, "MANY_READS", SHARDS * 5)
    monkeypatch.setattr(exchange, "COLLECT_FILES", 3)
    run_into(tmp_path / "collected")
    assert len(list((tmp_path / "collected/receipts/collect-shuffle").iterdir())) > 1
    opened = [
        len(receipt.inputs)
        for receipt in list_receipts(str(tmp_path / "collected"), stage.__name__)
    ]
    assert max(opened) <= 2  # one sent file; substring reads the schema too
    monkeypatch.undo()
    run_into(tmp_path / "straight")
    straight, found = (
        bytes_of(tmp_path / name, "documents", "excluded") for name in ("straight", "collected")
    )
    assert straight == found


@pytest.mark.parametrize("stage", [blend, substring])
def test_what_cannot_be_collected_ends_the_stage(tmp_path, few, monkeypatch, stage):
    collect = StreamFiles.collect

    def fails(by, readers, where, shard):
        if shard.name.startswith("000001"):
            raise MemoryError("no room")
        collect(by, readers, where, shard)

    run_into = stage(tmp_path)
    monkeypatch.setattr(StreamFiles, "collect", fails)
    with pytest.raises(
        CorpusmillError, match=rf"{stage.__name__} could not finish 000001-000000 .*collect-shuffle"
    ):
        run_into(tmp_path / "out")
    assert not storage.exists(str(tmp_path / "out/manifest.json"))
    monkeypatch.setattr(StreamFiles, "collect", collect)
    assert run_into(tmp_path / "out").conserved
