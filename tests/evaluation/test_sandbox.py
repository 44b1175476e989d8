"""Generated programs: what they may do, and what becomes of those that do more."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpusmill.evaluation import confined
from corpusmill.evaluation.sandbox import CodeLimits, run, run_all

LIMITS = CodeLimits(seconds=2, memory_mb=512)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("assert sum(range(4)) == 6", "passed"),
        ("import collections, math, re\nassert re.sub('a', 'b', 'a') == 'b'", "passed"),
        ("assert 1 == 2", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os\nos._exit(0)", "ended"),
        ("import ctypes\nctypes.string_at(0)", "crashed"),
        ("x = [0] * 10**9", "memory"),
        ("while True: pass", "timeout"),
        ("import time\ntime.sleep(100)", "timeout"),
        ("import socket\nsocket.socket()", "PermissionError"),
        ("import os\nos.fork()", "PermissionError"),
        ("import subprocess\nsubprocess.run(['ls'])", "PermissionError"),
        ("import threading\nthreading.Thread(target=print).start()", "RuntimeError"),
        ("import os\nos.kill(os.getppid(), 9)", "PermissionError"),
        ("import resource as r\nr.setrlimit(r.RLIMIT_CPU, (99, 99))", "ValueError"),
    ],
)
def test_a_program_gets_its_verdict(program, reason):
    assert run(program, LIMITS).reason == reason


def test_a_program_changes_no_file(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    for action in (
        f"open({str(kept)!r}, 'w')",
        f"open({str(kept)!r}, 'a').write('more')",
        f"__import__('os').remove({str(kept)!r})",
        f"__import__('os').rename({str(kept)!r}, {str(tmp_path / 'moved')!r})",
        f"__import__('os').truncate({str(kept)!r}, 0)",
        f"__import__('os').mkdir({str(tmp_path / 'new')!r})",
        "open('here', 'w')",
    ):
        assert run(action, LIMITS).reason == "PermissionError", action
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert kept.read_text() == "as it was"


def test_what_a_program_prints_goes_nowhere(capfd):
    assert run("print('x' * 1000)\nimport sys\nsys.stderr.write('y')", LIMITS).passed
    assert capfd.readouterr() == ("", "")


def test_programs_run_side_by_side_and_keep_their_order():
    programs = ["import time\ntime.sleep(0.5)\nassert 0", "assert 1", "assert 0"]
    begun = time.perf_counter()
    verdicts = run_all(programs, CodeLimits(seconds=5, parallel=3))
    assert [verdict.passed for verdict in verdicts] == [False, True, False]
    assert time.perf_counter() - begun < 15


def test_the_child_reads_nothing_of_the_parent():
    """The child gets no environment, and runs as a file without the package."""
    assert run("import os\nassert 'HOME' not in os.environ", LIMITS).passed
    assert "corpusmill" not in {line.split(" ")[1].split(".")[0] for line in _imports()}


def _imports():
    lines = Path(confined.__file__).read_text().splitlines()
    return [line for line in lines if line.startswith(("import ", "from "))]


def test_the_filter_lists_every_call_once():
    numbers = list(confined.ALLOWED.values())
    assert len(set(numbers)) == len(numbers)
    assert len(confined.filter_program()) // 8 < 255  # jumps are one byte


def test_without_the_filter_the_same_program_would_work():
    """The refusals above come from the filter, not from this machine."""
    done = subprocess.run([sys.executable, "-c", "import os\nos.fork()"], check=False)
    assert done.returncode == 0
