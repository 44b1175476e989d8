"""Local files that appear whole or not at all.

A file is written beside its place under a temporary name, then synced, then renamed. A killed
writer leaves a `.partial` file. The next process that writes the same file removes it. That process
lists the folder only once, because a folder may hold a hundred thousand files. `remove_partials`
finds the others at the end of a stage.
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
        # After a failed write, a library may still flush. That data is thrown away.
        self.abandoned = False

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

    def close(self) -> None:  # `written_whole` closes the inner file
        self.closed = True

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def written_whole(target: str, synced: bool) -> Iterator[IO[bytes]]:
    """A file that appears at the local path `target` when the block ends without an error.

    Its folder is made if there is none. synced: the file is on the disk before it appears. Raises
    StorageError if the folder cannot be made, and OSError.
    """
    folder, name = os.path.dirname(target) or ".", os.path.basename(target)
    try:
        os.makedirs(folder, exist_ok=True)
    except FileNotFoundError as error:  # some folders, such as /proc, take no new folder
        raise StorageError(
            f"the folder {folder} cannot be made", "choose another --output"
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
    """Remove all partial files of killed writers below a local folder."""
    for root, _, names in os.walk(folder):
        for name in filter(_is_partial, names):
            _remove_if_abandoned(os.path.join(root, name))


def _remove_abandoned(folder: str, name: str) -> None:
    """Remove the partial files of killed writers of the file `name`."""
    partials = _partials_in(folder)
    for partial in [partial for partial in partials if partial.startswith(f".{name}.")]:
        if _remove_if_abandoned(os.path.join(folder, partial)):
            partials.discard(partial)


@functools.lru_cache(maxsize=1024)
def _partials_in(folder: str) -> set[str]:
    """Names of the partial files in a folder, listed when this process first writes there."""
    return set(filter(_is_partial, os.listdir(folder)))


def _remove_if_abandoned(partial: str) -> bool:
    """Remove a partial file if its writer is gone. Returns whether the file is gone now.

    Another process may remove it first.
    """
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
    """Whether the writer of a partial file is gone.

    A writer on this machine is gone if its process is. A file of another machine is abandoned
    after a day without a write.
    """
    written = re.search(
        rf"\.{re.escape(platform.node())}-(\d+)-[0-9a-f]+{re.escape(PARTIAL)}$", partial
    )
    if written:
        process = int(written[1])
        # This process writes each file once, so its own is left from a failed write.
        return process == os.getpid() or not is_running(process)
    return time.time() - os.stat(partial).st_mtime > _ABANDONED_SECONDS


def is_running(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
