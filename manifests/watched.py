"""Reading that tells a fault of the storage from damage in a file."""

from typing import IO, Any


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
            return self._file.read(size)
        except OSError as error:
            self.fault = error
            raise

    def check(self) -> None:
        """Raise the fault, if there was one."""
        if self.fault is not None:
            raise self.fault
