"""Progress counts bytes of input. Shards of an earlier run do not count in the rate."""

import json
import os

import pytest
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.manifests.shard import Shard, progress_folder
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import counting_reads
from corpusmill.pipeline.display import Progress
from corpusmill.pipeline.progress import Meter
from corpusmill.pipeline.screen import Lines
from corpusmill.pipeline.task import Task

from tests.pipeline.sample_stages import write_documents


def task(name, size, folder):
    return Task("s", "p", name, (Artifact(name, "", size),), str(folder), "", lambda shard: [])


def receipt(name, rows, reused=False):
    return Receipt("s", "p", name, "", counts=[Counts("s", rows, rows)], reused=reused)


def record(folder, name, **values):
    os.makedirs(progress_folder(str(folder)), exist_ok=True)
    found = {"shard": name, "done": 0, "total": None, "unit": "", "read": 0, **values}
    with open(os.path.join(progress_folder(str(folder)), f"{name}.json"), "w") as file:
        json.dump(found, file)


def test_a_shard_under_way_counts_by_the_bytes_it_has_read(tmp_path):
    meter = Meter("p", [task("a", 1000, tmp_path)], str(tmp_path))
    record(tmp_path, "a", done=7, unit="documents", read=250)
    now = meter.progress()
    assert (now.shards_done, now.size_done, now.fraction, now.rows) == (0, 250, 0.25, 7)
    record(tmp_path, "a", unit="pages", read=900)
    assert meter.progress().size_done == 0  # what was read waits for a first answer
    assert meter.progress().seconds_left is None
    record(tmp_path, "a", done=3, total=4, unit="steps")
    assert (meter.progress().fraction, meter.progress().note) == (0.75, "3/4 steps")


def test_reused_shards_are_done_but_count_into_no_rate(tmp_path):
    meter = Meter("p", [task(name, 100, tmp_path) for name in "abc"], str(tmp_path))
    meter.finished(receipt("a", 50, reused=True))
    meter.finished(receipt("b", 5))
    now = meter.progress()
    assert (now.shards_done, now.reused, now.rows) == (2, 1, 5)
    assert (now.size_done, now.size_now) == (200, 100)


def test_the_time_left_is_that_of_the_bytes_that_are_left():
    now = Progress("p", 4, 1000, shards_done=2, size_done=600, reused=1, size_now=200, seconds=10)
    assert now.seconds_left == pytest.approx(20)
    assert Progress("p", 4, 1000, seconds=10).seconds_left is None


def test_what_killed_workers_left_is_no_progress(tmp_path):
    record(tmp_path, "a", read=900)
    meter = Meter("p", [task("a", 1000, tmp_path)], str(tmp_path))
    assert meter.progress().size_done == 0


def test_a_worker_says_how_much_it_has_read(tmp_path, monkeypatch):
    (artifact,) = write_documents(tmp_path, {"a": ["one", "two"]})
    shard = Shard("a", (artifact,), str(tmp_path / "out"))
    monkeypatch.setattr(shard, "_reported", float("-inf"))
    with counting_reads(shard.report_read):
        list(read_parquet(artifact))
        shard._reported = float("-inf")
        shard.report(2)
    with open(shard.progress_path) as file:
        found = json.load(file)
    assert 0 < found["read"] <= 2 * artifact.size
    assert (found["done"], found["unit"]) == (2, "documents")


def test_lines_between_start_and_end_come_each_ten_seconds(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    lines = Lines()
    now = Progress("p", 1, 100, size_done=50, size_now=50, seconds=20)
    lines.start(now)
    for seconds in range(1, 25):
        clock[0] = float(seconds)
        lines.progress(now)
    lines.end(now)
    said = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        "p: start, 1 shard, 100 B",
        *["p: 0 of 1 shard, 50 B of 100 B (50%), 20 s so far, 2 B/s, 20 s left"] * 2,
        "p: stopped, 0 of 1 shard, 50 B of 100 B (50%)",
    ]
