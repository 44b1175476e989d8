"""What must not change the result: the order of shards, partitions, workers, and where a run was
stopped.
"""

from typing import Any

import pytest
from corpusmill.manifests import storage
from corpusmill.pipeline.ray_runner import RayRunner
from corpusmill.stages.contract import Inputs, Pass
from corpusmill.stages.dedup import stage
from corpusmill.stages.dedup.stage import Dedup

from tests.stages.dedup.corpus import (
    Result,
    document,
    mixed_rows,
    output_digests,
    run,
    write_shards,
)


def test_the_order_of_shards_does_not_change_a_byte(tmp_path):
    rows = mixed_rows()
    paths = write_shards(tmp_path / "in", rows[:50], rows[50:60], rows[60:])
    straight = run(paths, tmp_path / "straight")
    shuffled = run([paths[2], paths[0], paths[1]], tmp_path / "shuffled")
    assert straight.removed
    assert output_digests(straight) == output_digests(shuffled)


@pytest.mark.parametrize("partitions", [2, 7])
def test_partitions_do_not_change_a_byte(tmp_path, partitions):
    rows = mixed_rows()
    paths = write_shards(tmp_path / "in", rows[:50], rows[50:])
    whole = run(paths, tmp_path / "whole", partitions=1)
    assert output_digests(whole) == output_digests(
        run(paths, tmp_path / "cut", partitions=partitions)
    )


def test_more_partitions_of_keys_than_of_links_do_not_change_a_byte(tmp_path, monkeypatch):
    rows = mixed_rows()
    paths = write_shards(tmp_path / "in", rows[:50], rows[50:])
    whole = run(paths, tmp_path / "whole")
    monkeypatch.setattr(stage, "KEY_PARTITION_BYTES", 1000)
    split = run(paths, tmp_path / "split")
    tasks = {
        name: len(list((split.folder / "receipts" / name).iterdir()))
        for name in ("match", "clusters", "resolve")
    }
    assert tasks == {"match": 4, "clusters": 1, "resolve": 4}
    assert output_digests(whole) == output_digests(split)


@pytest.mark.parametrize("partitions", [1, 3])
def test_how_documents_are_spread_over_shards_does_not_change_what_stays(tmp_path, partitions):
    rows = mixed_rows()
    backwards = rows[::-1]
    one = run(write_shards(tmp_path / "one", rows), tmp_path / "out1", partitions=partitions)
    cut = [backwards[:7], backwards[7:90], [], backwards[90:]]
    four = run(write_shards(tmp_path / "four", *cut), tmp_path / "out4", partitions=partitions)

    def decisions(result: Result) -> list[tuple[Any, ...]]:
        return sorted(
            (row["id"], row["reason"], row["detail"], row["cluster_size"]) for row in result.removed
        )

    assert one.kept_ids == four.kept_ids
    assert decisions(one) == decisions(four)


def test_what_stays_has_no_duplicates_left(tmp_path):
    """A second run over the output removes nothing."""
    rows = mixed_rows()
    first = run(write_shards(tmp_path / "in", rows), tmp_path / "first")
    again = run(sorted((first.folder / "documents").glob("*.parquet")), tmp_path / "second")
    assert again.removed == []
    assert again.kept_ids == first.kept_ids


def test_workers_do_not_change_a_byte(tmp_path):
    """Three workers for seven shards: they overtake one another. The inline runner is the one
    worker that does all in order.
    """
    rows = mixed_rows()
    paths = write_shards(tmp_path / "in", *(rows[number::7] for number in range(7)))
    alone = run(paths, tmp_path / "alone", partitions=3)
    runner = RayRunner(workers=3)
    try:
        together = run(paths, tmp_path / "together", runner, partitions=3)
    finally:
        runner.close()
    assert alone.removed
    assert output_digests(together) == output_digests(alone)


def test_a_run_is_taken_up_where_it_stopped(tmp_path):
    rows = mixed_rows()
    paths = write_shards(tmp_path / "in", rows[:60], rows[60:])
    first = run(paths, tmp_path / "out", partitions=2)
    expected = output_digests(first)
    (tmp_path / "out" / "work" / "gather" / "000001-part-1.parquet").unlink()
    (tmp_path / "out" / "documents" / "part-0.parquet").unlink()
    assert output_digests(run(paths, tmp_path / "out", partitions=2)) == expected


def test_passes_take_the_shards_of_documents_one_by_one(tmp_path):
    paths = write_shards(tmp_path / "in", [document("a", "one")], [document("b", "two")])
    steps = Dedup().passes(
        Inputs(str(tmp_path), tuple(storage.artifact_of(str(path)) for path in paths))
    )
    first = next(steps)
    assert isinstance(first, Pass)
    assert {name: len(inputs) for name, inputs in first.shards.items()} == {
        "000000-part-0": 1,
        "000001-part-1": 1,
    }
