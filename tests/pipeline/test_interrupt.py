"""Ctrl-C and SIGTERM: one line that says what is finished, exit code 130, and no traceback.

The same command goes on.
"""

import os
import signal
import subprocess
import sys

import pytest
from corpusmill.manifests.errors import Interrupted
from corpusmill.pipeline import placement
from corpusmill.pipeline.execute import execute
from corpusmill.pipeline.interrupts import interrupts_deferred, sigterm_kept
from corpusmill.pipeline.lease import LEASE
from corpusmill.pipeline.placement import Placement, open_runner
from corpusmill.pipeline.runner import InlineRunner

from tests.command_line import error_lines
from tests.pipeline.sample_stages import CountAndCopy, write_documents
from tests.pipeline.test_execute import job


@pytest.fixture(autouse=True)
def handler():
    """Set the process's own SIGINT handler again after a test."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_says_what_is_finished(tmp_path):
    documents = write_documents(tmp_path, {"a": ["one"], "b": ["two"]})

    class Stopped(InlineRunner):
        def run(self, tasks, *, holds_engine):
            yield next(super().run(tasks, holds_engine=holds_engine))
            raise KeyboardInterrupt

    nothing = pytest.raises(
        Interrupted, match="nothing is finished yet; run the same command again to go on"
    )
    with nothing, open_runner(str(tmp_path / "out"), Placement("inline")):
        raise KeyboardInterrupt
    execute(job(CountAndCopy(), tmp_path / "out" / "one", documents), InlineRunner())
    something = pytest.raises(
        Interrupted, match="one finished, two has 1 shards; run the same command again to go on"
    )
    with something, open_runner(str(tmp_path / "out"), Placement("inline")):
        execute(job(CountAndCopy(), tmp_path / "out" / "two", documents), Stopped())


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_are_one_line_and_exit_code_130(tmp_path, stop):
    os.mkfifo(tmp_path / "in.jsonl")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "corpusmill.cli",
            *("extract", "-i", "in.jsonl", "-o", "out", "--runner", "inline"),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    # This opens when the command opens the other end. The command then waits for a line.
    with open(tmp_path / "in.jsonl", "w"):
        process.send_signal(stop)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error_lines(errors) == [
        "corpusmill: interrupted; nothing is finished yet; run the same command again to go on"
    ]
    assert not (tmp_path / "out" / LEASE).exists()


def test_an_interrupt_waits_for_the_end_of_what_must_not_be_cut():
    done = []

    def press(*times):
        with interrupts_deferred():
            for time in times:
                signal.raise_signal(signal.SIGINT)
                done.append(time)

    with pytest.raises(KeyboardInterrupt):
        press("once")
    with pytest.raises(KeyboardInterrupt):
        press("once", "twice")
    assert done == ["once", "once"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ray_leaves_the_handler_of_sigterm_as_it_was():
    with placement.stopped_by_sigterm():
        ours = signal.getsignal(signal.SIGTERM)
        with sigterm_kept():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        assert signal.getsignal(signal.SIGTERM) is ours
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
