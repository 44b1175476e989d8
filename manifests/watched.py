"""Reading that tells a fault of the storage from damage in a file, and counts what is read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

_on_read: Callable[[int], None] | None = None


@contextmanager
def counting_reads(on_read: Callable[[int], None]) -> Iterator[None]:
    """Call `on_read` with the bytes of every read in this process, for as long as the block runs."""
    global _on_read
    _on_read = on_read
    try:
        yield
    finally:
        _on_read = None


class Watched:
    """A file that remembers what reading it raised, so that a fault of the storage, which another attempt may not meet, is told from damage
    in the file: whatever reads through this may itself raise OSError for what it cannot parse."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.fault: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:
            self.fault = error
            raise
        if _on_read is not None:
            _on_read(len(data))
        return data

    def check(self) -> None:
        """Raise the fault, if there was one."""
        if self.fault is not None:
            raise self.fault
