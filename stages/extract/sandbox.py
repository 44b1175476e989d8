"""Extraction in a process of its own, so that a bad page costs that page and nothing else.

A page can make an HTML library hang or crash inside C code, where neither a signal handler nor an
exception helps. So each worker has one child process that does the work. The child starts once, as
a fresh interpreter and never as a fork of a threaded worker. It gets batches of pages through
shared memory and answers page by page over a pipe. The parent watches the time of each page. If the
child hangs, dies or runs out of memory, that page gets a verdict (`timeout`, `crashed`, `memory`).
A new child then takes over the pages after it.

- The clock counts the child's processor time, which other processes on the machine do not change.
  Real time counts only after `WALL` times as long. Healthy pages need a thousandth of the limit,
  and a new child warms up before its first page.
- A page that failed is tried once more, in a fresh child. So the verdict depends neither on timing
  nor on the pages before.
- Memory is limited by RLIMIT_DATA (private memory; address space would count libraries as well).
- The child is in a session of its own, so Ctrl-C reaches only the parent. The child dies with the
  parent: the kernel kills it (PR_SET_PDEATHSIG) even while it hangs, and a closed pipe ends it
  while it waits.

This needs Linux. Elsewhere, and with a limit of 0 seconds, the worker itself does the work
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

# The real time of a page is limited too, to so many times its processor time. A child that sleeps
# uses no processor time, and must end as well.
WALL = 10
LONGEST = 600  # most seconds of real time, unless the limit itself is longer
START_SECONDS = 300  # for loading libraries and compiling kernels
_FRAME = struct.Struct("<Qd")  # length of the message, and the child's processor seconds so far
_START = (
    "import sys; sys.path[:] = {path!r}; from corpusmill.stages.extract.sandbox import "
    "serve; serve(*{handles!r})"
)
_PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """The child was stopped or died during one call. reason: timeout, memory or crashed. detail:
    the facts.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass
class _Child:
    process: "subprocess.Popen[bytes]"
    # File handles: the parent writes orders and reads answers. `memory` holds the pages.
    orders: int
    answers: int
    memory: int
    # MB. Linux passes the parent's high-water mark on to the child. Only a mark above it says
    # something about the child.
    inherited: int
    seconds: float = 0.0  # the child's processor time at its last answer


class Sandbox:
    """Calls a function over many arguments in a child process, for one caller at a time. seconds,
    memory_mb: the limits of one call.
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
        """For each tuple of arguments: what `function` returns, the exception that it raises, or
        Stopped. All are pickled.

        warm_up: arguments of a first call in a new child, without a time limit. In it the child
        loads and compiles what it needs. Raises RuntimeError if the child cannot be started.
        """
        results: list[Any] = []
        # The call that has failed once. In a fresh child only the call itself can be the cause.
        tried: int | None = None
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
        if self._owner != os.getpid():  # a forked copy must not use its parent's child
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
        """Put the calls into shared memory, then send their sizes. These are a few bytes, so the
        pipe never blocks.
        """
        data = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
        os.ftruncate(child.memory, len(data))
        view = memoryview(data)
        written = 0
        while written < len(data):
            written += os.pwrite(child.memory, view[written:], written)
        # The child has just died. Reading its answer will say so.
        with contextlib.suppress(BrokenPipeError):
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
        """Why a child is dead. Its memory's high-water mark tells an allocation that failed in C
        code from other crashes.
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
    """Raises Stopped if the child's present call has used up its time."""
    try:
        times = psutil.Process(child.process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return  # it is dead; reading the pipe will say so
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
    """Like `Sandbox.run`, but in this process and without limits."""
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
    """The child process: take orders until the pipe closes, and answer each call with its value or
    its exception.
    """
    import resource

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before PR_SET_PDEATHSIG was set
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
