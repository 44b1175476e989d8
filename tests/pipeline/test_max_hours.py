"""`--max-hours` ends a run between two shards. The same command goes on."""

import json

import pytest
from corpusmill.manifests.errors import TimeUp
from corpusmill.pipeline import placement
from corpusmill.pipeline.execute import execute
from corpusmill.pipeline.lease import LEASE
from corpusmill.pipeline.placement import Placement, open_runner
from corpusmill.pipeline.runner import InlineRunner

from tests.command_line import corpusmill, error_lines
from tests.pipeline.sample_stages import CountAndCopy, write_documents
from tests.pipeline.test_execute import job


def test_shards_that_were_begun_are_finished_and_no_other_is_begun(tmp_path, monkeypatch):
    documents = write_documents(tmp_path, {name: [name] for name in "abc"})
    out = tmp_path / "out" / "copy"
    clock = [1000.0]
    monkeypatch.setattr("corpusmill.pipeline.task.time.time", lambda: clock[0])

    class Slow(InlineRunner):
        """A quarter of an hour for each shard: 45 minutes for the pass `count`."""

        def run(self, tasks, *, holds_engine):
            for task, result in super().run(tasks, holds_engine=holds_engine):
                clock[0] += 900
                yield task, result

    monkeypatch.setattr(placement, "_runner", lambda _placement: Slow())
    up = pytest.raises(TimeUp, match=r"1\.2 hours are up; copy has 5 shards; run the same command")
    with up, open_runner(str(tmp_path / "out"), Placement(max_hours=1.2)) as runner:
        execute(job(CountAndCopy(), out, documents), runner)
    assert not (out / "manifest.json").exists()
    assert not (out / LEASE).exists()
    with open_runner(str(tmp_path / "out"), Placement(max_hours=24)) as runner:
        manifest = execute(job(CountAndCopy(), out, documents), runner)
    assert (manifest.shards, manifest.work.made, manifest.work.reused) == (3, 1, 5)


def test_a_run_without_time_has_exit_code_5(tmp_path):
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": "One."}) + "\n")
    command = ["extract", "-i", "in.jsonl", "-o", "out", "--runner", "inline", "--max-hours", "0"]
    up = corpusmill(*command, cwd=tmp_path)
    assert (up.returncode, error_lines(up.stderr)) == (
        5,
        ["corpusmill: 0 hours are up; out has 0 shards; run the same command again to go on"],
    )


def test_finished_work_needs_no_time(tmp_path):
    documents = write_documents(tmp_path, {name: [name] for name in "abc"})
    execute(job(CountAndCopy(), tmp_path / "out", documents), InlineRunner())
    with open_runner(str(tmp_path), Placement("inline", max_hours=0)) as runner:
        manifest = execute(job(CountAndCopy(), tmp_path / "out", documents), runner)
    assert (manifest.work.made, manifest.work.reused) == (0, 6)
