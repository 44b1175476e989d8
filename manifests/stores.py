"""Object stores and other remote places, through fsspec: access, file versions and errors.

Each store's library raises its own exceptions. This module turns them into StorageError. While an
open file is read they become ReadFailed, which is an OSError, so that the reader can try again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from corpusmill.manifests.errors import CorpusmillError, ReadFailed, StorageError

UPLOADS = 3  # attempts, if a store keeps only a part of a file

# Stores of buckets need no folders, and s3fs would make a bucket whose name is misspelt.
_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")

# Keys of a file's version, in fsspec's info -> in our digests. A version changes with the bytes. It
# is the same in a listing and in a head request. Google has a generation; S3, Azure and web servers
# have an ETag; the hub has a blob. S3's version id comes in head requests only, so it is not used.
_VERSIONS = (
    ("generation", "generation"),
    ("ETag", "etag"),
    ("etag", "etag"),
    ("blob_id", "blob"),
)


def is_remote(path: str) -> bool:
    return "://" in path and not path.startswith("file://")


def filesystem(path: str) -> tuple[Any, str]:
    """The fsspec filesystem of `path` and the path within it.

    Raises StorageError if the filesystem's package is not installed. Listings are not cached,
    because other processes write into the same folders.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(path, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        s3 = path.startswith(("s3://", "s3a://"))
        raise StorageError(
            f"{path} cannot be reached ({_line(error)})",
            "pip install 'corpusmill[s3]'" if s3 else "install the fsspec package of that protocol",
        ) from error


@contextmanager
def reaching(path: str) -> Iterator[tuple[Any, str]]:
    """The store of a remote path and the path within it.

    Raises StorageError if the store cannot be reached or refuses.
    """
    store, inner = filesystem(path)
    try:
        yield store, inner
    except (CorpusmillError, FileNotFoundError, FileExistsError):
        raise
    except (IsADirectoryError, NotADirectoryError):
        raise
    except Exception as error:  # each store's library has its own exceptions
        root = "/".join(path.split("/")[:3])  # the user may have named another path of the store
        raise StorageError(
            f"{root} cannot be reached ({_line(error)})",
            "check the address, the network and the credentials, then run the same command again",
        ) from error


@contextmanager
def writing(path: str) -> Iterator[tuple[Any, str]]:
    """As `reaching`, for a write. Folders are made, buckets are not.

    Raises StorageError if the store cannot be reached or refuses, or has no such bucket.
    """
    with reaching(path) as (store, inner):
        if not path.startswith(tuple(f"{name}://" for name in _BUCKETS)):
            store.makedirs(inner.rsplit("/", 1)[0], exist_ok=True)
        try:
            yield store, inner
        except FileNotFoundError as error:
            root = "/".join(path.split("/")[:3])
            raise StorageError(
                f"cannot write to {root} ({_line(error)})", "make the bucket, or check its name"
            ) from error


def make_new(path: str, data: bytes) -> None:
    """Make a remote file in one step. A file that is there already stays as it is.

    A store that cannot do so writes over it. Raises StorageError.
    """
    with writing(path) as (store, inner):
        try:
            store.pipe_file(inner, data, mode="create")
        except FileExistsError:
            return
        except (NotImplementedError, TypeError, ValueError):  # fsspec's class knows no `create`
            store.pipe_file(inner, data)
        ensure_whole(store, inner, len(data), lambda: store.pipe_file(inner, data))


def ensure_whole(store: Any, inner: str, size: int, send: Callable[[], None]) -> None:
    """Send a file again if its store has kept a part of it and reported success.

    Raises StorageError if that happens several times. size: in bytes.
    """
    for upload in range(1, UPLOADS + 1):
        if int(store.size(inner)) == size:
            return
        if upload < UPLOADS:
            send()
    raise StorageError(
        f"{inner} is not whole on its store after {UPLOADS} uploads",
        "check the store, then run the same command again",
    )


def version_of(described: Mapping[str, Any]) -> str:
    """A file's version from fsspec's `info`, e.g. `etag:...`. Empty if the store gives none."""
    for key, kind in _VERSIONS:
        if value := described.get(key):
            return f"{kind}:{str(value).strip(chr(34))}"
    return ""


def is_version(digest: str) -> bool:
    """Whether a digest is a store's version of a file, not a SHA-256."""
    return ":" in digest


def names(path: str, found: list[str]) -> list[str]:
    """Full URLs of what a store found below `path`. Most stores leave out the protocol."""
    protocol = path.split("://", 1)[0]
    return [name if "://" in name else f"{protocol}://{name.lstrip('/')}" for name in found]


class RemoteFile:
    """An open remote file. If a read fails, it raises ReadFailed."""

    def __init__(self, file: Any, path: str) -> None:
        self._file = file
        self._path = path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "RemoteFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except OSError:
            raise
        except Exception as error:
            raise ReadFailed(
                f"{self._path} cannot be read ({_line(error)})",
                "check the store and the network, then run the same command again",
            ) from error


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
