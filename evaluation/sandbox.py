"""Run generated programs, each in a process that can compute and nothing else.

The process has no network, starts no other process, writes no file, and has limits on time and
memory (`evaluation.confined`). It starts in an empty folder, without this process's environment,
and everything that it prints is dropped. It can read files. An exception's text could hold what it
read, so only the name of the exception's built-in class is kept.

This needs Linux on x86-64. It protects the machine from a program. It does not stop a program that
knows of it from faking a pass.
"""

import builtins
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from corpusmill.manifests.errors import EngineError
from corpusmill.manifests.settings import Settings
from pydantic import PositiveInt

PASSED = "passed"
_WALL = 3  # real time of a program is limited to so many times its processor time
_CHILD = Path(__file__).with_name("confined.py")
_NO_SANDBOX = 97  # of `evaluation.confined`
_EXCEPTIONS = {
    name
    for name, found in vars(builtins).items()
    if isinstance(found, type) and issubclass(found, BaseException)
}
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class CodeLimits(Settings):
    """Limits of one generated program."""

    seconds: PositiveInt = 10
    """Processor time. Real time is limited to three times as long."""
    memory_mb: PositiveInt = 1024
    """Address space, the interpreter's own included."""
    parallel: PositiveInt = 1
    """Programs that run at a time."""


@dataclass(frozen=True)
class Verdict:
    """What became of a program. reason: passed, timeout, memory, crashed, ended, or the name of the
    built-in class of the exception that it raised. detail: the limit, signal or exit code.
    """

    reason: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        return self.reason == PASSED


def run_all(programs: Sequence[str], limits: CodeLimits) -> list[Verdict]:
    """The verdict on each program. Raises EngineError if there is no sandbox here."""
    check(limits)
    with ThreadPoolExecutor(limits.parallel) as pool:
        return list(pool.map(lambda program: run(program, limits), programs))


def check(limits: CodeLimits) -> None:
    """Raises EngineError if programs cannot be confined on this machine, with these limits."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise EngineError(
            "generated code can only be confined on Linux with x86-64 processors",
            "set evaluate.run_code to false: code tasks are then left out",
        )
    ended = _ended("", limits)
    if ended is not None and ended.code == _NO_SANDBOX:
        raise EngineError(
            f"this machine's kernel does not let a program be confined ({ended.answer})",
            "set evaluate.run_code to false: code tasks are then left out",
        )


def run(program: str, limits: CodeLimits) -> Verdict:
    """Run one program."""
    ended = _ended(program, limits)
    if ended is None:
        return Verdict("timeout", f"{_WALL * limits.seconds} seconds of real time")
    if ended.code == 0 and ended.answer == ended.secret:
        return Verdict(PASSED)
    if ended.code < 0:
        stopped = -ended.code in (9, 24)  # SIGKILL and SIGXCPU, after the processor time is over
        if stopped:
            return Verdict("timeout", f"{limits.seconds} seconds of processor time")
        return Verdict("crashed", f"signal {-ended.code}")
    if ended.answer == "MemoryError":
        return Verdict("memory", f"more than {limits.memory_mb} MB")
    if ended.answer not in _EXCEPTIONS:  # it ended itself, or wrote something else to the pipe
        return Verdict("ended", f"exit code {ended.code}")
    return Verdict(ended.answer)


@dataclass(frozen=True)
class _Ended:
    """How a process ended. answer: what it wrote. secret: what it writes if the program passed."""

    code: int
    answer: str
    secret: str


def _ended(program: str, limits: CodeLimits) -> _Ended | None:
    """Run a program to its end. None: it took too long."""
    reading, writing = os.pipe()
    secret = secrets.token_hex(16)
    order = {
        "program": program,
        "pipe": writing,
        "secret": secret,
        "memory_mb": limits.memory_mb,
        "seconds": limits.seconds,
    }
    with tempfile.TemporaryDirectory() as folder, os.fdopen(reading, "rb") as answers:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writing],
            cwd=folder,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
        os.close(writing)
        try:
            process.communicate(json.dumps(order).encode(), timeout=_WALL * limits.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None
        return _Ended(process.returncode, answers.read().decode("utf-8", "replace"), secret)
