"""Extraction in a process of its own, so that a poison page costs that page and nothing else.

A page can make an HTML library hang or crash inside C code, where neither a signal handler nor an
exception reaches. So one child process per worker does the work: started once (a fresh interpreter,
never a fork of a threaded worker), fed with batches of pages through shared memory, answering page
by page over a pipe. The parent watches the clock of each page. When the child hangs, dies or runs
out of memory, that page gets a verdict (`timeout`, `crashed`, `memory`), a new child takes over,
and the pages after it go on.

- The clock counts the child's processor time, which other processes on the machine do not change;
  real time counts only after `WALL` times as long. Healthy pages need a thousandth of the limit,
  and a new child warms up before its first page.
- A page that failed is tried once more, in a fresh child: the verdict depends neither on timing nor
  on the pages before.
- Memory is limited by RLIMIT_DATA (private memory; address space would count libraries as well).
- The child is in a session of its own, so Ctrl-C reaches the parent alone. It dies with the parent:
  the kernel kills it (PR_SET_PDEATHSIG) even while it hangs, and a closed pipe ends it while it
  waits.

Linux only; elsewhere, and with a limit of 0 seconds, the work is done in the worker itself
(`called`).
"""

import atexit
import contextlib
import ctypes
import functools
import mmap
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

WALL = 10  # real time that a page may take, in multiples of its processor time: a child that sleeps must end too
LONGEST = 600  # seconds of real time, unless the limit itself is longer
START_SECONDS = 300  # for loading libraries and compiling kernels
_FRAME = struct.Struct("<Qd")  # length of what follows, and the child's processor seconds so far
_START = "import sys; sys.path[:] = {path!r}; from corpusmill.stages.extract.sandbox import serve; serve(*{handles!r})"
_PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """The child was stopped or died over one call. reason: timeout, memory or crashed. detail: what
    was seen.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass
class _Child:
    process: "subprocess.Popen[bytes]"
    orders: (
        int  # file handles: the parent writes orders and reads answers; `memory` holds the pages
    )
    answers: int
    memory: int
    inherited: int  # MB: the mark that Linux hands on from the parent; only above it does the mark speak of the child
    seconds: float = 0.0  # the processor time it had used at its last answer


class Sandbox:
    """Calls a function over many arguments in a child process, for one caller at a time. seconds,
    memory_mb: what one call may take.
    """

    def __init__(self, seconds: float, memory_mb: int) -> None:
        self.seconds, self.memory_mb = seconds, memory_mb
        self._child: _Child | None = None
        self._owner = os.getpid()

    def run(
        self,
        function: Callable[..., Any],
        arguments: Sequence[tuple[Any, ...]],
        warm_up: tuple[Any, ...],
    ) -> list[Any]:
        """For each tuple of arguments what `function` returns, the exception that it raises, or
        Stopped. All of them are pickled.

        warm_up: arguments of a first call in a new child, without a clock, in which it loads and
        compiles what it needs. Raises RuntimeError if the child cannot be started.
        """
        results: list[Any] = []
        tried: int | None = (
            None  # the call that has failed once: in a fresh child nothing but itself can be the cause
        )
        while len(results) < len(arguments):
            child = self._running(function, warm_up)
            self._order(child, function, arguments[len(results) :])
            while len(results) < len(arguments):
                try:
                    results.append(self._answer(child, self.seconds))
                except Stopped as stopped:
                    self.stop()
                    if tried != len(results):
                        tried = len(results)
                    else:
                        results.append(stopped)
                    break
        return results

    def stop(self) -> None:
        """End the child. The next run starts another."""
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        for handle in (child.orders, child.answers, child.memory):
            os.close(handle)
        if child.process.returncode is None:
            child.process.kill()
            child.process.wait()

    def _running(self, function: Callable[..., Any], warm_up: tuple[Any, ...]) -> _Child:
        if self._owner != os.getpid():  # a forked copy must not talk to its parent's child
            self._child, self._owner = None, os.getpid()
        if self._child is not None and self._child.process.poll() is not None:
            self.stop()
        if self._child is None:
            self._child = _started(self.memory_mb)
            try:
                self._order(self._child, function, [warm_up])
                self._answer(self._child, START_SECONDS)
            except Stopped as stopped:
                self.stop()
                raise RuntimeError(
                    f"the process for extraction does not start: {stopped.detail}"
                ) from stopped
        return self._child

    def _order(
        self, child: _Child, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]
    ) -> None:
        """Put the calls into shared memory, then say how long they are: a few bytes, which no pipe
        blocks on.
        """
        data = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
        os.ftruncate(child.memory, len(data))
        view = memoryview(data)
        written = 0
        while written < len(data):
            written += os.pwrite(child.memory, view[written:], written)
        with contextlib.suppress(
            BrokenPipeError
        ):  # it died since we looked: reading its answer will say so
            os.write(child.orders, _FRAME.pack(len(data), 0.0))

    def _answer(self, child: _Child, limit: float) -> Any:
        """The child's next answer. Raises Stopped."""
        length, seconds = _FRAME.unpack(self._read(child, _FRAME.size, limit))
        data = self._read(child, length, limit)
        child.seconds = seconds
        answer = pickle.loads(data)
        if isinstance(answer, MemoryError):
            raise Stopped("memory", f"more than {self.memory_mb} MB")
        return answer

    def _read(self, child: _Child, size: int, limit: float) -> bytes:
        started = time.monotonic()
        poll = select.poll()
        poll.register(child.answers, select.POLLIN)
        data = b""
        while len(data) < size:
            if not poll.poll(max(0.01, limit / 10) * 1000):
                _check_clock(child, time.monotonic() - started, limit)
                continue
            piece = os.read(child.answers, min(size - len(data), 1 << 20))
            if not piece:
                raise self._autopsy(child)
            data += piece
        return data

    def _autopsy(self, child: _Child) -> Stopped:
        """Why a child is dead: its memory's high-water mark tells an allocation that C code did not
        survive from another crash.
        """
        _, status, usage = os.wait4(child.process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        child.process.returncode = code
        peak = usage.ru_maxrss // 1024
        if peak > child.inherited and 5 * peak >= 4 * self.memory_mb:
            return Stopped("memory", f"the extractor died with {peak} MB of {self.memory_mb}")
        how = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return Stopped("crashed", f"the extractor died: {how}")


def _check_clock(child: _Child, waited: float, limit: float) -> None:
    """Raises Stopped if the call that the child is at has had its time."""
    try:
        times = psutil.Process(child.process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return  # the pipe will say so
    used = times.user + times.system - child.seconds
    if used >= limit:
        raise Stopped("timeout", f"processor_seconds > {limit:g}")
    if waited >= max(limit, min(WALL * limit, LONGEST)):
        raise Stopped("timeout", f"seconds > {waited:.0f}")


@functools.cache
def shared(seconds: float, memory_mb: int) -> Sandbox:
    """This process's sandbox with these limits. It ends with the process."""
    sandbox = Sandbox(seconds, memory_mb)
    atexit.register(sandbox.stop)
    return sandbox


def called(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """As `Sandbox.run`, in this process and without limits."""
    return [_outcome(function, item) for item in arguments]


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - it is the caller who knows what an exception means
        return error


def _started(memory_mb: int) -> _Child:
    memory = os.memfd_create("pages")
    orders_out, orders = os.pipe()
    answers, answers_in = os.pipe()
    theirs = (orders_out, answers_in, memory)
    code = _START.format(path=sys.path, handles=(*theirs, memory_mb, os.getpid()))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=theirs,
        start_new_session=True,
    )
    os.close(orders_out)
    os.close(answers_in)
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return _Child(process, orders, answers, memory, inherited)


def serve(orders: int, answers: int, memory: int, memory_mb: int, parent: int) -> None:
    """The child: take orders until the pipe closes, answer each call with its value or its
    exception.
    """
    import resource

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to die with it
        return
    resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while len(order := os.read(orders, _FRAME.size)) == _FRAME.size:
        length, _ = _FRAME.unpack(order)
        with mmap.mmap(memory, length, prot=mmap.PROT_READ) as pages:
            function, arguments = pickle.loads(pages)
        for item in arguments:
            _send(answers, _outcome(function, item))


def _send(answers: int, outcome: Any) -> None:
    try:
        data = pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
        pickle.loads(data) if isinstance(outcome, Exception) else None
    except Exception as error:  # noqa: BLE001 - an exception of a library need not survive pickling; its words do
        data = pickle.dumps(RuntimeError(f"{type(outcome).__name__}: {outcome} ({error})"))
    view = memoryview(_FRAME.pack(len(data), time.process_time()) + data)
    while view:
        view = view[os.write(answers, view) :]
