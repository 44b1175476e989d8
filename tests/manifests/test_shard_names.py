"""Shard names come from file names, and from folders only if file names are equal."""

import time

from corpusmill.manifests.shard import Shard
from corpusmill.manifests.shard_names import shard_names
from corpusmill.manifests.storage import Artifact


def names(*paths):
    return [
        (name, artifact.path)
        for name, artifact in shard_names(
            tuple(Artifact(path, "0" * 64, 1) for path in paths)
        ).items()
    ]


def test_a_file_name_without_suffixes_is_enough():
    assert names("/a/crawl-1.warc.gz", "/a/crawl-2.warc.gz") == [
        ("crawl-1", "/a/crawl-1.warc.gz"),
        ("crawl-2", "/a/crawl-2.warc.gz"),
    ]


def test_equal_file_names_are_told_apart_by_the_folders_that_differ():
    assert names(
        "/o/level=high/kind=actual/x.parquet", "/o/level=low/kind=actual/x.parquet", "/o/y.parquet"
    ) == [
        ("level-high-kind-actual-x", "/o/level=high/kind=actual/x.parquet"),
        ("level-low-kind-actual-x", "/o/level=low/kind=actual/x.parquet"),
        ("y", "/o/y.parquet"),
    ]


def test_the_order_of_the_inputs_does_not_matter():
    paths = ["/a/x.jsonl", "/b/x.jsonl", "/b/c/x.jsonl"]
    assert names(*paths) == names(*reversed(paths))
    assert len(dict(names(*paths))) == 3


def test_equal_paths_get_a_number_and_a_hundred_thousand_names_take_no_time():
    assert [name for name, _ in names("/a/x.jsonl", "/a/x.jsonl")] == ["x", "x-1"]
    started = time.process_time()
    assert (
        len(
            names(
                *(
                    f"/o/{folder}/part-{number}.parquet"
                    for folder in "ab"
                    for number in range(50_000)
                )
            )
        )
        == 100_000
    )
    assert time.process_time() - started < 10


def test_a_number_behind_a_name_never_takes_another_file_s_name():
    paths = ("/a/readme.md", "/a/readme.txt", "/a/readme-1.md", "/a/readme-1.txt")
    assert sorted(path for _, path in names(*paths)) == sorted(paths)
    assert names(*paths) == names(*paths[::-1])


def test_runs_with_different_remote_outputs_share_no_local_folder():
    """Else one would go on from the other's checkpoints, or answer with its replies."""
    one, other = (Shard("a", (), f"s3://bucket/{name}", plan_hash="0" * 64) for name in "xy")
    again = Shard("a", (), "s3://bucket/x/", plan_hash="0" * 64)
    assert one.scratch != other.scratch
    assert one.progress_path != other.progress_path
    assert one.scratch == again.scratch
    assert one.scratch != Shard("a", (), "s3://bucket/x", plan_hash="1" * 64).scratch
