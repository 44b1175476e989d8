"""Where a run says how far it is. `screen.py` and `metrics.py` have the displays that show it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar

from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.receipt import Receipt


@dataclass(frozen=True)
class Progress:
    """The state of a pass.

    title: name of the pass. shards, size: all shards, and bytes of their input. shards_done,
    size_done: finished ones, with those of earlier runs. reused: shards of earlier runs. rows:
    documents of this run. size_now: bytes of this run. seconds: time of this run. note: other work
    of a worker.
    """

    title: str
    shards: int
    size: int
    shards_done: int = 0
    size_done: int = 0
    reused: int = 0
    rows: int = 0
    size_now: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def fraction(self) -> float:
        return self.size_done / self.size if self.size else 1.0

    @property
    def seconds_left(self) -> float | None:
        """The seconds that the rest takes. None if it is too early to say."""
        if not self.size_now or self.seconds < 1:
            return None
        return (self.size - self.size_done) * self.seconds / self.size_now


class Display:
    """A display that shows nothing. Subclasses override what they show."""

    shows: ClassVar[bool] = False

    def say(self, text: str) -> None:
        """Show work that is not a pass over shards."""

    def start(self, progress: Progress) -> None: ...

    def progress(self, progress: Progress) -> None: ...

    def shard(self, title: str, receipt: Receipt) -> None:
        """Show a finished shard."""

    def failure(self, stage: str, shard: str, message: str, quarantined: bool) -> None:
        """Show that a shard failed. It is tried again, or quarantined."""

    def end(self, progress: Progress) -> None: ...

    def stage(self, manifest: Manifest) -> None:
        """Show a finished stage."""

    def error(self, text: str) -> bool:
        """Show the error that ends the run. Returns whether it is shown."""
        return False

    def close(self) -> None: ...


_current: ContextVar[Display] = ContextVar("display")
_NOTHING = Display()


def current() -> Display:
    """The display of this run. It shows nothing unless the command line sets another."""
    return _current.get(_NOTHING)


@contextmanager
def showing(display: Display) -> Iterator[None]:
    """Use `display` while the block runs."""
    token = _current.set(display)
    try:
        yield
    finally:
        _current.reset(token)
        display.close()
