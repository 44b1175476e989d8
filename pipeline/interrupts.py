"""Signals while Ray starts and ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Ctrl-C takes effect when the block ends. A second Ctrl-C takes effect at once.

    An interrupt during Ray's start or end has crashed its native code (SIGSEGV).
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # another handler is set
        yield
        return
    presses = 0

    def press(number: int, frame: object) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if presses:
        raise KeyboardInterrupt


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Ray's start sets a SIGTERM handler that ends the process. Afterwards the old one is set."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
