"""Models of every kind, wherever they live: where their files are on this machine, and which files they are.

A model is named by a folder, by an fsspec URL, by its name on the Hugging Face hub, or as `package:models/NAME`. `folder` gives a local
folder for any of them; a file of its own (a fastText model, a head) is read through `local_copy`. Digests are of bytes, so that a model
keeps its name wherever it lies.
"""

import fnmatch
import functools
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, ModelError
from corpusmill.manifests.package_data import package_file


@dataclass(frozen=True)
class Kind:
    """noun: what messages call it. patterns: names of its files, which are fetched. mend: what to do where there is none."""

    noun: str
    patterns: tuple[str, ...]
    mend: str


def folder(name: str, kind: Kind, revision: str | None = None) -> str:
    """A local folder with the model's files: fetched once per process from a store, and kept in the hub's own cache from there.

    revision: a commit of the hub's. Raises ModelError with the kind's mend if there is none.
    """
    path = _path(name)
    if os.path.isdir(path):
        return path
    if storage.is_remote(name):
        return _fetched(name, kind)
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise ModelError(f"there is no {kind.noun} folder {name}", kind.mend)
    return _snapshot(name, kind, revision)


def short_name(name: str) -> str:
    """What a model is called in lineage: its folder's own name, or its name on the hub."""
    path = _path(name)
    if storage.is_remote(name):
        return storage.name_of(name)
    return storage.name_of(os.path.abspath(path)) if os.path.isdir(path) else name


def listing(folder: str, names: Iterable[str]) -> str:
    """A line `NAME DIGEST` for each of the folder's files, in the order given: what a digest of several files is taken over."""
    return "".join(f"{name} {digest(os.path.join(folder, name))}\n" for name in names)


def folder_digest(folder: str, names: Iterable[str]) -> str:
    """SHA-256 over the names and bytes of the folder's files, hex. Each file is read once per process, as long as it does not change."""
    return hashlib.sha256(listing(folder, names).encode()).hexdigest()


def digest(path: str) -> str:
    """SHA-256 of the file. Raises ModelError if it is not there or cannot be read."""
    return _digest(path, mark(path))


def mark(path: str) -> str:
    """What changes when the file does, without reading it: a key for caches. Raises ModelError if the file is not there."""
    if not storage.is_remote(path) and not os.path.isfile(storage.local(path)):
        raise missing(path)
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
        yield str(storage.local_copy(path, Path(folder)))


def _path(name: str) -> str:
    """A recipe's `package:` references arrive resolved; the default of a setting does not."""
    if name.startswith("package:"):
        room, _, inner = name.removeprefix("package:").partition("/")
        return str(package_file(room, inner))
    return storage.local(name)


@functools.lru_cache(maxsize=256)
def _digest(path: str, _mark: str) -> str:
    try:
        return storage.digest_of(path)
    except InputError as error:
        raise ModelError(f"the model file {path} cannot be read", error.mend) from error


@functools.lru_cache(maxsize=8)
def _fetched(url: str, kind: Kind) -> str:
    """A local copy of the files that lie directly in a remote folder, for the life of this process."""
    found = [
        name
        for name in storage.names_in(url)
        if any(fnmatch.fnmatch(name, pattern) for pattern in kind.patterns)
    ]
    if not found:
        raise ModelError(f"there is no {kind.noun} folder {url}", kind.mend)
    copy = tempfile.TemporaryDirectory(prefix="corpusmill-model-")
    _COPIES.append(copy)
    for name in found:
        storage.copy(storage.join(url, name), os.path.join(copy.name, name))
    return copy.name


_COPIES: list[tempfile.TemporaryDirectory[str]] = []  # each is removed when the process ends


@functools.lru_cache(maxsize=8)
def _snapshot(name: str, kind: Kind, revision: str | None) -> str:
    import httpx
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(name, revision=revision, allow_patterns=list(kind.patterns)))
    except (httpx.HTTPError, OSError, ValueError) as error:  # the hub's own errors are among these
        raise ModelError(
            f"the {kind.noun} {name} is no folder here, and the hub does not give it ({str(error).splitlines()[0]})",
            f"{kind.mend}; log in to the hub if the model is gated, or fill its cache beforehand",
        ) from error
