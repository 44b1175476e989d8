"""Calls that harm a process as bad pages do. The child of a sandbox imports them by name."""

import ctypes
import os
import sys
import time

from corpusmill.manifests.errors import ModelError


def behave(what, value=None):
    """One call, harmful as `what` says. A healthy one returns `value`."""
    if what == "value":
        return value
    if what == "process":
        return os.getpid()
    if what == "parent":
        return os.getppid()
    if what == "raise":
        raise ModelError("the model is gone", "get another")
    if what == "raise what cannot be pickled":
        raise type("Local", (Exception,), {})("odd")
    if what == "hang in C":
        # PyDLL keeps the interpreter's lock, as lexbor does. So no thread and no handler runs.
        ctypes.PyDLL(None).sleep(3600)
    if what == "burn":
        while True:
            sum(range(100_000))
    if what == "slow":
        time.sleep(value)
        return "late"
    if what == "crash":
        ctypes.string_at(0)
    if what == "exit":
        os._exit(3)
    if what == "eat":
        held = []
        while True:
            held.append(bytearray(16 << 20))
    if what == "eat in C":
        allocate = ctypes.CDLL(None).malloc
        allocate.argtypes, allocate.restype = [ctypes.c_size_t], ctypes.c_void_p
        while address := allocate(16 << 20):
            ctypes.memset(address, 1, 16 << 20)
        os.abort()  # as C code does when it cannot go on
    if what == "print":
        print("to stdout")
        sys.stdout.flush()
        return "printed"
    raise AssertionError(what)
