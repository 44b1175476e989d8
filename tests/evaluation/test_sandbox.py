"""Generated programs: what they may do, and what becomes of those that do more."""

import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpusmill.evaluation import confined
from corpusmill.evaluation.sandbox import CodeLimits, run, run_all

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the filter knows x86-64 only"
)
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
        ("class passed(Exception): pass\nraise passed", "Exception"),
        ("import json\njson.loads('no')", "ValueError"),
        ("import os\nos._exit(97)", "ended"),  # the code of a child without a sandbox
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


def test_a_program_sets_no_flag_of_a_file(tmp_path):
    """FS_IOC_SETFLAGS needs no right to write: an owner makes a file immutable so."""
    (tmp_path / "kept").touch()
    flags = (
        f"import fcntl\nfile = open({str(tmp_path / 'kept')!r})\n"
        "fcntl.ioctl(file, 0x40086602, b'\\0' * 8)"
    )
    assert run(flags, LIMITS).reason == "PermissionError"


def test_a_program_has_no_signal_sent_by_a_notification():
    """dnotify: reading a folder would send the chosen signal to the chosen process."""
    with subprocess.Popen(["sleep", "60"]) as other:
        notified = (
            "import fcntl, os\nfolder = os.open('/etc', os.O_RDONLY)\n"
            "fcntl.fcntl(folder, 10, 9)\n"  # F_SETSIG
            "fcntl.fcntl(folder, 1026, 0x80000021)\n"  # F_NOTIFY
            f"fcntl.fcntl(folder, 8, {other.pid})\n"  # F_SETOWN
            "open('/etc/passwd').read()"
        )
        assert run(notified, LIMITS).reason == "PermissionError"
        assert other.poll() is None
        other.kill()


def test_what_a_program_prints_goes_nowhere(capfd):
    assert run("print('x' * 1000)\nimport sys\nsys.stderr.write('y')", LIMITS).passed
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "leak",
    [
        "raise ValueError(found)",
        "raise type(found, (ValueError,), {})",
        "raise type(found, (ValueError,), {'__module__': 'builtins'})",
        "import os\nfor pipe in range(3, 20):\n try: os.write(pipe, found.encode())\n"
        " except OSError: pass\nos._exit(0)",
    ],
)
def test_what_a_program_reads_is_in_no_verdict(tmp_path, leak):
    (tmp_path / "file").write_text("hidden words")
    verdict = run(f"found = open({str(tmp_path / 'file')!r}).read()\n{leak}", LIMITS)
    assert verdict.reason in ("ValueError", "ended")
    assert "hidden" not in f"{verdict.reason} {verdict.detail}"


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
