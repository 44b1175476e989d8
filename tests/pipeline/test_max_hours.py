"""`--max-hours` ends a run between two shards. The same command goes on. SIGTERM is a Ctrl-C."""

import json
import os
import signal
import subprocess
import sys

import pytest
from corpusmill.manifests.errors import TimeUp
from corpusmill.pipeline import placement
from corpusmill.pipeline.execute import execute
from corpusmill.pipeline.lease import LEASE
from corpusmill.pipeline.placement import Placement, open_runner
from corpusmill.pipeline.ray_runner import sigterm_kept
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


def test_sigterm_ends_a_run_as_ctrl_c_does_and_it_lets_go_of_its_lease(tmp_path):
    os.mkfifo(tmp_path / "in.jsonl")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "corpusmill.cli", "extract", "-i", "in.jsonl", "-o", "out"),
            *("--runner", "inline"),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    # This opens when the command opens the other end. The command then waits for a line.
    with open(tmp_path / "in.jsonl", "w"):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error_lines(errors)[0].startswith("corpusmill: interrupted; nothing is finished yet")
    assert not (tmp_path / "out" / LEASE).exists()


def test_ray_leaves_the_handler_of_sigterm_as_it_was():
    with placement.stopped_by_sigterm():
        ours = signal.getsignal(signal.SIGTERM)
        with sigterm_kept():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        assert signal.getsignal(signal.SIGTERM) is ours
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
