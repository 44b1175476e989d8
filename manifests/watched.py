"""Reads that tell a storage error from a damaged file, and that count bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

_on_read: Callable[[int], None] | None = None


@contextmanager
def counting_reads(on_read: Callable[[int], None]) -> Iterator[None]:
    """While the block runs, call `on_read` with the bytes of each read in this process."""
    global _on_read
    _on_read = on_read
    try:
        yield
    finally:
        if _on_read is on_read:  # another shard of this process may have begun meanwhile
            _on_read = None


class Watched:
    """A file that remembers the error that a read raised.

    A parser may raise OSError for a damaged file. Then `fault` is None. If the storage failed,
    `fault` holds its error: another attempt may succeed.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.fault: OSError | None = None

    @classmethod
    def of(cls, file: "IO[bytes] | Watched") -> "Watched":
        """The file, watched. One that is watched already stays as it is."""
        return file if isinstance(file, Watched) else cls(file)

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
        """Raise the storage's error, if there was one."""
        if self.fault is not None:
            raise self.fault
