"""Local files that appear whole or not at all: written beside their place under a temporary name, synced, and renamed.

A killed writer leaves a `.partial`. The next process that writes the file removes it, if it was there when that process first wrote into
the folder: to look each time would cost more and more in a folder of a hundred thousand files. The rest is found by `remove_partials`,
at the end of a stage.
"""

import functools
import hashlib
import os
import platform
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from corpusmill.manifests.errors import StorageError

PARTIAL = ".partial"
_ABANDONED_SECONDS = 24 * 3600


class HashingWriter:
    """A write-only file object that hashes and counts what passes through it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False
        self.abandoned = (
            False  # the write failed: what a library still flushes as it is torn down goes nowhere
        )

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self.abandoned:
            return view.nbytes
        self._hash.update(view)
        self.size += view.nbytes
        self._inner.write(view)
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._inner.flush()

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:  # the context manager below owns the inner file
        self.closed = True

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def written_whole(target: str, synced: bool) -> Iterator[IO[bytes]]:
    """A file that appears at the local path `target` when the block ends without an error; its folder is made where there is none.

    synced: it appears only when the disk has it. Raises StorageError where no folder can be made, and OSError.
    """
    folder, name = os.path.dirname(target) or ".", os.path.basename(target)
    try:
        os.makedirs(folder, exist_ok=True)
    except (
        FileNotFoundError
    ) as error:  # /proc and its like: there are folders in which none can be made
        raise StorageError(
            f"no folder can be made at {folder}", "choose another --output"
        ) from error
    _remove_abandoned(folder, name)
    partial = os.path.join(
        folder, f".{name}.{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{PARTIAL}"
    )
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        if os.path.exists(partial):
            os.unlink(partial)
        raise


def remove_partials(folder: str) -> None:
    """Remove what killed writers left anywhere below a local folder."""
    for root, _, names in os.walk(folder):
        for name in filter(_is_partial, names):
            _remove_if_abandoned(os.path.join(root, name))


def _remove_abandoned(folder: str, name: str) -> None:
    """Remove what killed writers of the file left."""
    partials = _partials_in(folder)
    for partial in [partial for partial in partials if partial.startswith(f".{name}.")]:
        if _remove_if_abandoned(os.path.join(folder, partial)):
            partials.discard(partial)


@functools.lru_cache(maxsize=1024)
def _partials_in(folder: str) -> set[str]:
    """Names of the partial files that were there when this process first wrote into the folder."""
    return set(filter(_is_partial, os.listdir(folder)))


def _remove_if_abandoned(partial: str) -> bool:
    """Whether the partial file is gone now; its writer, or whoever else removes it, may be first."""
    try:
        if not _is_abandoned(partial):
            return False
        os.unlink(partial)
    except FileNotFoundError:
        pass
    return True


def _is_partial(name: str) -> bool:
    return name.startswith(".") and name.endswith(PARTIAL)


def _is_abandoned(partial: str) -> bool:
    """Whether the writer of a partial file is gone: its process on this machine, or anyone's for a day."""
    written = re.search(
        rf"\.{re.escape(platform.node())}-(\d+)-[0-9a-f]+{re.escape(PARTIAL)}$", partial
    )
    if written:
        return not _is_alive(int(written[1]))
    return time.time() - os.stat(partial).st_mtime > _ABANDONED_SECONDS


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return (
            False  # this very process writes a file once: what is there is from a write that failed
        )
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
