"""How a file is compressed, told by its content, and its decompressed stream.

gzip, Zstandard, bzip2, xz, lzma and zlib come member by member (`stages.readers.streams`). LZ4, and
a ZIP archive of one file, are one member each. Archives of many files, and compressions without a
decoder here, are refused by name. So their bytes never become text.
"""

import zipfile
import zlib
from collections import deque
from collections.abc import Callable
from typing import IO, Any

import pyarrow as pa
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.streams import (
    LZ4_MAGIC,
    ZIP_MAGIC,
    ZLIB_MAGICS,
    Damage,
    Inflated,
    Member,
    Plain,
    magic_of,
)

SUFFIXES = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".lzma", ".lz4", ".zip", ".zlib", ".zz")
_START = 4096
_SHORTEST = 32  # bytes of zlib that may break off, and still cannot be text
_TAR_PLACE = slice(257, 262)  # of `ustar` in a tape archive's first block
# What is no text and cannot be read here: how it begins, and its name.
_UNREADABLE = (
    (b"\x1f\x9d", "compressed by `compress` (.Z)"),
    (b"\x1f\xa0", "compressed by `compress` (.Z)"),
    (b"\xff\x06\x00\x00sNaPpY", "compressed by Snappy"),
    (b"\x89LZO\x00", "compressed by lzop"),
    (b"LZIP\x01", "compressed by lzip"),
    (b"\x02\x21\x4c\x18", "compressed by an old LZ4"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
)


class Unpacked(Inflated):
    """The stream of a library that decompresses a whole file: one member from the file's start on.

    file: what the library reads. pull: reads at most so many decompressed bytes. failures: what
    the library raises for damage, and perhaps for a fault of the storage.
    """

    def __init__(
        self, file: Watched, pull: Callable[[int], bytes], failures: tuple[type[Exception], ...]
    ) -> None:
        self._source, self._pull, self._failures = file, pull, failures
        self._decoded = 0
        self._spare = b""
        self.damage = None
        self.members = deque([Member(0, 0)])

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (all, if negative). Empty at the end or at damage.

        If the storage failed, its OSError is raised: another attempt may succeed.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        if self.damage is not None:
            return b""
        try:
            data = self._pull(size)
        except self._failures as error:
            self._source.check()
            self.damage = Damage("corrupt", 0, f"the compressed file does not decode ({error})")
            return b""
        self._decoded += len(data)
        return data


class _Unclosed:
    """A file that its reader cannot close: it belongs to whoever opened it."""

    closed = False

    def __init__(self, file: Watched) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def close(self) -> None:
        """Does nothing."""


def opened(file: IO[bytes], path: str) -> Inflated | Plain:
    """The decompressed stream of a file, whatever its compression.

    Raises InputError for a compression or an archive that cannot be read, and for one within
    another.
    """
    stream = _stream(file, path)
    if isinstance(stream, Plain):
        return stream
    start = _stream(file, path).read(_START)
    if magic_of(start) and (magic_of(start) not in ZLIB_MAGICS or _is_zlib(start)):
        raise InputError(f"{path} is compressed twice", "unpack it once")
    _refuse_unreadable(start, path)
    return _stream(file, path)


def opened_tar(file: IO[bytes], path: str) -> Inflated | Plain:
    """The stream of a tar archive, compressed or not.

    Raises InputError for a compression that is read as one whole file.
    """
    start = file.read(_START)
    magic = None if start[_TAR_PLACE] == b"ustar" else magic_of(start)
    if packed_whole(magic):
        raise InputError(
            f"{path} is an archive in {'LZ4' if magic == LZ4_MAGIC else 'ZIP'}, which is not read",
            "compress it as .tar.gz or .tar.zst, or unpack it",
        )
    return Inflated(file, 0, magic) if magic else Plain(file, 0)


def start_of(file: IO[bytes], path: str) -> bytes:
    """The first bytes of a file, decompressed. Raises InputError as `opened` does."""
    return opened(file, path).read(_START)


def packed_whole(magic: bytes | None) -> bool:
    """Whether a compression is read from the file's start on only."""
    return magic in (LZ4_MAGIC, ZIP_MAGIC)


def without_suffixes(path: str) -> str:
    """The file's name in lower case, without the suffixes of compressions."""
    name = path.lower().rsplit("/", 1)[-1]
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _stream(file: IO[bytes], path: str) -> Inflated | Plain:
    file.seek(0)
    start = file.read(_START)
    _refuse_unreadable(start, path)
    magic = magic_of(start)
    if magic == LZ4_MAGIC:
        file.seek(0)
        watched = Watched.of(file)
        source: Any = pa.CompressedInputStream(pa.PythonFile(_Unclosed(watched), "r"), "lz4")
        return Unpacked(watched, source.read, (OSError,))
    if magic == ZIP_MAGIC:
        return _only_file(Watched.of(file), path)
    if magic in ZLIB_MAGICS and not _is_zlib(start):
        magic = None
    return Inflated(file, 0, magic) if magic else Plain(file, 0)


def _refuse_unreadable(start: bytes, path: str) -> None:
    """Raises InputError if the file begins as something that cannot be read here."""
    what = next((what for magic, what in _UNREADABLE if start.startswith(magic)), None)
    if what is None and start[_TAR_PLACE] == b"ustar":
        what = "a tar archive"
    if what is not None:
        raise InputError(f"{path} is {what}, which is not read", "unpack it, or leave it out")


def _only_file(file: Watched, path: str) -> Inflated:
    """The file in a ZIP archive of one file. Raises InputError for any other archive."""
    failures = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)
    try:
        archive = zipfile.ZipFile(file)
        inside = [
            item
            for item in archive.infolist()
            if not item.is_dir() and not item.filename.startswith("__MACOSX/")
        ]
        if len(inside) != 1:
            raise InputError(
                f"{path} is a ZIP archive of {len(inside)} files, which is not read",
                "unpack it, or leave it out",
            )
        return Unpacked(file, archive.open(inside[0]).read, failures)
    except (*failures, NotImplementedError) as error:
        file.check()
        raise InputError(
            f"{path} is a ZIP archive that cannot be read ({error})", "make it again, or unpack it"
        ) from error


def _is_zlib(start: bytes) -> bool:
    """Whether `start` decodes. Text may begin with the two bytes of a zlib header, as in `x^2`."""
    decoder = zlib.decompressobj()
    try:
        data = decoder.decompress(start)
    except zlib.error:
        return False
    return decoder.eof or len(data) > len(start) > _SHORTEST or len(start) == _START
