"""Local copies and digests of model files.

A recipe names a model by a folder, an fsspec URL, a name on the Hugging Face hub, or
`package:models/NAME`. `folder` gives a local folder for each of them. `local_copy` gives a local
path for a single file (a fastText model, a head). Digests are of the bytes, so that a model's place
does not matter.
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

from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import InputError, ModelError
from corpusmill.manifests.package_data import package_file

TOKENIZER, TOKENIZER_SETTINGS = "tokenizer.json", "tokenizer_config.json"
# All that a tokenizer's folder may hold.
TOKENIZER_FILES = (
    TOKENIZER,
    TOKENIZER_SETTINGS,
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tekken.json",
)


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    noun: its name in messages. patterns: name patterns of the files to fetch. mend: what to do if
    there is no such model.
    """

    noun: str
    patterns: tuple[str, ...]
    mend: str


def folder(name: str, kind: Kind, revision: str | None = None) -> str:
    """A local folder with the model's files.

    Files on a store are fetched once a process. Files on the hub stay in the hub's cache.
    revision: a commit on the hub. Raises ModelError if there is no such model.
    """
    path = local_path(name)
    if os.path.isdir(path):
        return path
    if storage.is_remote(name):
        return _fetched(name, kind)
    if path.startswith((".", "/", "~")) or path.count("/") > 1:
        raise ModelError(f"there is no {kind.noun} folder {name}", kind.mend)
    return _snapshot(name, kind, revision)


def short_name(name: str) -> str:
    """The model's name in lineage: the name of its folder, or its name on the hub."""
    path = local_path(name)
    if storage.is_remote(name):
        return storage.name_of(name)
    return storage.name_of(os.path.abspath(path)) if os.path.isdir(path) else name


def listing(folder: str, names: Iterable[str]) -> str:
    """One line `NAME DIGEST` for each named file of the folder, in the given order."""
    return "".join(f"{name} {digest(os.path.join(folder, name))}\n" for name in names)


def folder_digest(folder: str, names: Iterable[str]) -> str:
    """SHA-256 of the names and digests of the folder's files, hex.

    Each file is read once a process, unless it changes.
    """
    return hashlib.sha256(listing(folder, names).encode()).hexdigest()


def digest(path: str) -> str:
    """SHA-256 of the file, hex. Raises ModelError if it is missing or cannot be read."""
    return _digest(path, mark(path))


def mark(path: str) -> str:
    """A key for caches that changes with the file. The file's bytes are not read.

    Raises ModelError if the file is missing.
    """
    if not storage.is_remote(path) and not os.path.isfile(storage.local(path)):
        raise missing(path)
    try:
        return storage.mark(path)
    except FileNotFoundError as error:
        raise missing(path) from error


def missing(path: str) -> ModelError:
    return ModelError(
        f"the model file {path} does not exist",
        "check the setting; for a model that an earlier step trains, "
        "write step:NAME/models/FILE and run that step first",
    )


@contextmanager
def local_copy(path: str) -> Iterator[str]:
    """A local path of the file. A remote file is copied; the copy is removed after the block."""
    if not storage.is_remote(path):
        yield storage.local(path)
        return
    with tempfile.TemporaryDirectory(prefix="corpusmill-model-") as folder:
        yield str(storage.local_copy(path, Path(folder)))


def local_path(name: str) -> str:
    """The local path of a model. It resolves `package:`, which defaults of settings may hold."""
    if name.startswith("package:"):
        return str(package_file(*name.removeprefix("package:").split("/")))
    return storage.local(name)


@functools.lru_cache(maxsize=256)
def _digest(path: str, _mark: str) -> str:
    try:
        return storage.digest_of(path)
    except InputError as error:
        raise ModelError(f"the model file {path} cannot be read", error.mend) from error


@functools.lru_cache(maxsize=8)
def _fetched(url: str, kind: Kind) -> str:
    """A local copy of the files directly in a remote folder, removed when the process ends."""
    found = [
        name
        for name in finding.names_in(url)
        if any(fnmatch.fnmatch(name, pattern) for pattern in kind.patterns)
    ]
    if not found:
        raise ModelError(f"there is no {kind.noun} folder {url}", kind.mend)
    copy = tempfile.TemporaryDirectory(prefix="corpusmill-model-")
    _COPIES.append(copy)
    for name in found:
        storage.copy(storage.join(url, name), os.path.join(copy.name, name))
    return copy.name


_COPIES: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


@functools.lru_cache(maxsize=8)
def _snapshot(name: str, kind: Kind, revision: str | None) -> str:
    import httpx
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(name, revision=revision, allow_patterns=list(kind.patterns)))
    except (httpx.HTTPError, OSError, ValueError) as error:  # the hub's own errors are among these
        why = str(error).splitlines()[0]
        raise ModelError(
            f"the {kind.noun} {name} is not a folder here, and the hub does not give it ({why})",
            f"{kind.mend}; log in to the hub if the model is gated, or fill its cache beforehand",
        ) from error
