"""Model files, wherever they live: their digests, a cheap mark that changes when they do, and a local copy where a library needs one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, ModelError

_CHUNK = 8 << 20


def digest(path: str) -> str:
    """SHA-256 of the file. Raises ModelError if it is not there or cannot be read."""
    return _digest(path, mark(path))


def mark(path: str) -> str:
    """What changes when the file does, without reading it: a key for caches. Raises ModelError if the file is not there."""
    try:
        return storage.mark(path)
    except FileNotFoundError as error:
        raise missing(path) from error


def missing(path: str) -> ModelError:
    return ModelError(
        f"the model file {path} does not exist",
        "check the setting; for a model that an earlier step trains, write step:NAME/models/FILE and run that step first",
    )


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """A path in the local file system with the file's content; a remote file is copied there for as long as the block runs."""
    if not storage.is_remote(path):
        yield storage.local(path)
        return
    with tempfile.TemporaryDirectory(prefix="corpusmill-model-") as folder:
        copy = os.path.join(folder, path.rsplit("/", 1)[-1])
        with storage.open_read(path) as source, open(copy, "wb") as target:
            while chunk := source.read(_CHUNK):
                target.write(chunk)
        yield copy


@lru_cache(maxsize=64)
def _digest(path: str, _mark: str) -> str:
    try:
        return storage.digest_of(path)
    except InputError as error:
        raise ModelError(f"the model file {path} cannot be read", error.mend) from error
