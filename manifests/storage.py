"""Local and remote files: read, written whole and copied. `manifests.finding` finds them.

A path is a local path or any fsspec URL. Local files do not go through fsspec, because fsspec has
neither fsync nor links. Remote files go through `manifests.stores`.

A file is written whole or not at all, and its SHA-256 is known. A local file is written beside its
place and renamed (`manifests.partials`). A remote file is written to a local temporary file and
uploaded when it is complete. So a reader never sees half a file.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from corpusmill.manifests.errors import InputError, StorageError
from corpusmill.manifests.partials import PARTIAL, HashingWriter, written_whole
from corpusmill.manifests.stores import (
    RemoteFile,
    ensure_whole,
    is_remote,
    is_version,
    make_new,
    reaching,
    version_of,
    writing,
)

_CHUNK = 8 << 20
_PACKED = {"gz", "gzip", "zst", "zstd", "bz2", "xz", "lzma", "lz4", "zip", "zlib", "zz"}
_RECORDS = {"warc", "wet", "wat", "arc", "jsonl", "ndjson", "json", "parquet", "csv", "tsv"}
_TEXTS = {"txt", "text", "md", "rst", "tex", "html", "htm", "xhtml", "xht", "shtml"}
_SUFFIXES = _PACKED | _RECORDS | _TEXTS
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSALS = _FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST}


@dataclass(frozen=True)
class Artifact:
    """A file and what it must hold.

    digest: SHA-256 of the bytes. For an input on an object store: the store's version of the file
    (`etag:...`).
    size: in bytes.
    rows, text_bytes, tokens: of a Parquet file, else 0.
    rows_digest: of a file that one pass sends to another: the digest of its rows in any order
    (`manifests.row_sum`). None for all other files.
    """

    path: str
    digest: str
    size: int
    rows: int = 0
    text_bytes: int = 0
    tokens: int = 0
    rows_digest: int | None = None

    @property
    def name(self) -> str:
        return name_of(self.path)

    @property
    def stem(self) -> str:
        """The file's name without known suffixes.

        `crawl-1.warc.gz` becomes `crawl-1`, `part.0001.jsonl` becomes `part.0001`.
        """
        return stem_of(self.path)


def name_of(path: str) -> str:
    """The last part of a path: the file's or folder's own name."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def stem_of(path: str) -> str:
    """The name of the file at `path` without known suffixes."""
    name = name_of(path)
    while (cut := name.rpartition("."))[0] and cut[2].lower() in _SUFFIXES:
        name = cut[0]
    return name


def local(path: str) -> str:
    return path.removeprefix("file://")


def absolute(path: str) -> str:
    """The absolute form of a local path. A URL stays as it is."""
    return path if is_remote(path) else os.path.abspath(local(path))


def join(folder: str, *parts: str) -> str:
    return "/".join([folder.rstrip("/"), *(part.strip("/") for part in parts if part)])


def exists(path: str) -> bool:
    if not is_remote(path):
        return os.path.exists(local(path))
    with reaching(path) as (store, inner):
        return bool(store.exists(inner))


def size_of(path: str) -> int:
    if not is_remote(path):
        return os.path.getsize(local(path))
    with reaching(path) as (store, inner):
        return int(store.size(inner))


def is_folder(path: str) -> bool:
    if not is_remote(path):
        return os.path.isdir(local(path))
    with reaching(path) as (store, inner):
        return bool(store.isdir(inner))


def open_read(path: str) -> IO[bytes]:
    """Open a file for reading; it is seekable.

    Raises InputError if the file is missing or may not be read, and StorageError if its store
    cannot be reached.
    """
    try:
        if not is_remote(path):
            return open(local(path), "rb")
        with reaching(path) as (store, inner):
            return cast(IO[bytes], RemoteFile(store.open(inner, "rb"), path))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror})", "check the path and its permissions"
        ) from error


def read_bytes(path: str) -> bytes:
    with open_read(path) as file:
        return file.read()


@contextmanager
def atomic_writer(path: str, temporary: bool = False) -> Iterator[HashingWriter]:
    """Write `path` whole or not at all. It appears when the block ends without an error.

    temporary: do not wait until it is on the disk. A power cut may damage it, and the receipt's
    digest shows that. Raises StorageError if the storage refuses (disk full, no permission).
    """
    try:
        with (
            _remote_spool(path)
            if is_remote(path)
            else written_whole(local(path), not temporary) as file
        ):
            writer = HashingWriter(file)
            try:
                yield writer
            except BaseException:
                writer.abandoned = True
                raise
    except OSError as error:
        if error.errno in _REFUSALS:
            raise StorageError(
                f"cannot write {path} ({os.strerror(error.errno or 0)})",
                "free space, mend permissions or choose another place, "
                "then run the same command again",
            ) from error
        raise


@contextmanager
def _remote_spool(path: str) -> Iterator[Any]:
    """A temporary file that is uploaded when the block ends without an error.

    The store's library tries again after an error. A store may also keep only a part of the file
    and report success. The size shows that, and the file is sent again.
    """
    with tempfile.NamedTemporaryFile(suffix=PARTIAL) as spool:
        yield spool
        spool.flush()
        with writing(path) as (store, inner):
            store.put_file(spool.name, inner)
            size = os.path.getsize(spool.name)
            ensure_whole(store, inner, size, lambda: store.put_file(spool.name, inner))


def write_bytes(path: str, data: bytes) -> Artifact:
    with atomic_writer(path) as file:
        file.write(data)
    return Artifact(path, file.digest, file.size)


def write_new(path: str, data: bytes) -> None:
    """Make a file with its content in one step. A file that is there already stays as it is.

    A few stores cannot do so. Then the last of several writers wins. Raises StorageError, and
    OSError if a local file cannot be made.
    """
    if is_remote(path):
        make_new(path, data)
        return
    target = local(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    whole = f"{target}.{uuid.uuid4().hex}{PARTIAL}"
    try:
        with open(whole, "wb") as file:
            file.write(data)
        try:
            os.link(whole, target)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            with suppress(FileExistsError), open(target, "xb") as file:
                file.write(data)
    finally:
        remove(whole)


def digest_of(path: str) -> str:
    """SHA-256 of the file's bytes, hex."""
    digest = hashlib.sha256()
    with open_read(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def artifact_of(path: str) -> Artifact:
    """The artifact of a file that has none yet.

    On an object store, the store's version takes the place of the SHA-256. If the store gives no
    version, the file is read.
    """
    if not is_remote(path):
        return Artifact(path, digest_of(path), size_of(path))
    version, size = _described(path)
    return Artifact(path, version or digest_of(path), size)


def matches(artifact: Artifact) -> bool:
    """Whether the file is there and has the artifact's digest and size."""
    if is_version(artifact.digest):
        try:
            return _described(artifact.path) == (artifact.digest, artifact.size)
        except FileNotFoundError:
            return False
    if not exists(artifact.path) or size_of(artifact.path) != artifact.size:
        return False
    return digest_of(artifact.path) == artifact.digest


def mark(path: str) -> str:
    """A key for caches that changes with the file. Raises FileNotFoundError.

    The file's bytes are read only if the store gives no version.
    """
    if not is_remote(path):
        stat = os.stat(local(path))
        return f"{stat.st_size}:{stat.st_mtime_ns}"
    version, size = _described(path)
    return f"{size}:{version or digest_of(path)}"


def _described(path: str) -> tuple[str, int]:
    """(version, size in bytes) of a remote file, from its store. Raises FileNotFoundError."""
    with reaching(path) as (store, inner):
        described = store.info(inner)
    return version_of(described), int(described["size"])


def remove(path: str) -> None:
    """Remove a file if it is there. Another process may remove it at the same time."""
    with suppress(FileNotFoundError, NotADirectoryError):
        if not is_remote(path):
            os.unlink(local(path))
            return
        with reaching(path) as (store, inner):
            if store.exists(inner):
                store.rm_file(inner)


def local_copy(path: str, folder: Path, size: int = -1) -> Path:
    """A path in `folder` with the file's own name: a link to a local file, a copy of a remote one.

    size: in bytes. A copy of this size from an earlier attempt is not fetched again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.rsplit("/", 1)[-1]
    if not is_remote(path):
        target.unlink(missing_ok=True)
        target.symlink_to(Path(local(path)).resolve())
    elif not target.exists() or target.stat().st_size != size:
        copy(path, str(target))
    return target


def copy(path: str, target: str) -> Artifact:
    """Copy a file to `target`, whole or not at all."""
    with atomic_writer(target) as sink, open_read(path) as source:
        shutil.copyfileobj(source, sink, _CHUNK)  # type: ignore[misc]
    return Artifact(target, sink.digest, sink.size)
