"""Compressed streams that know where each byte came from, and describe damage instead of
raising.

A compressed WARC file holds one gzip member for each record (ISO 28500, annex A). Each member
can be read on its own. `Inflated` presents the members as one stream. It remembers where each
begins, in the file and in the stream. It ends at the first damage, as if the file ended there,
and describes it. The caller decides where to go on.
"""

import bz2
import codecs
import io
import lzma
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import zstandard
from corpusmill.stages.readers.zstd_frames import (
    HEADER,
    ZSTD_MAGIC,
    decoder,
    dictionary_of,
    is_skippable,
    skippable_length,
)

GZIP_MAGIC = b"\x1f\x8b\x08"
# Small, since zstandard decodes all that it gets: 16 KB become 512 MB at worst.
_CHUNK = 16 << 10
LZ4_MAGIC = b"\x04\x22\x4d\x18"
ZIP_MAGIC = b"PK\x03\x04"
_GZIP_WINDOW = 31  # zlib: gzip framing with the largest window
# A zlib header has no other mark than these bytes: the usual window, and each level of compression.
ZLIB_MAGICS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")

# Magic number of a compression -> a decoder of one member.
DECODERS: dict[bytes, Callable[[], Any]] = {
    GZIP_MAGIC: lambda: zlib.decompressobj(_GZIP_WINDOW),
    ZSTD_MAGIC: decoder,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
    b"\x5d\x00\x00": lzma.LZMADecompressor,  # .lzma, the format before xz
    **dict.fromkeys(ZLIB_MAGICS, zlib.decompressobj),
}
_MAGICS = (*DECODERS, LZ4_MAGIC, ZIP_MAGIC)
_DECODING_ERRORS = (zlib.error, zstandard.ZstdError, OSError, lzma.LZMAError, EOFError)


def magic_of(start: bytes) -> bytes | None:
    """The magic number of a known compression that `start` begins with."""
    if is_skippable(start):
        return ZSTD_MAGIC
    return next((magic for magic in _MAGICS if start.startswith(magic)), None)


def compression_of(path: str, start: bytes, plain: bytes) -> bytes | None:
    """The magic number of a file's compression, or None. If the first bytes are damaged, the
    name decides.

    start: the first bytes of the file. plain: how the file begins if it is not compressed.
    """
    found = magic_of(start)
    return (
        GZIP_MAGIC
        if found is None and path.endswith(".gz") and not start.startswith(plain)
        else found
    )


@dataclass
class Damage:
    """kind: `truncated` (the file ends inside a member), `corrupt` (a member does not decode)
    or `garbage` (no member begins where one should). offset: where the member or the garbage
    begins in the file.
    """

    kind: str
    offset: int
    what: str


@dataclass
class Member:
    """start: position of its first byte in the decompressed stream. offset: in the file."""

    start: int
    offset: int


class Inflated:
    """A file object over a compressed file from `offset` on. Reads stop at the end of the file
    or at the first damage.
    """

    def __init__(self, file: IO[bytes], offset: int, magic: bytes) -> None:
        self._file = file
        self._magic = magic
        self._new_decoder = DECODERS[magic]
        self._decoder: Any = None
        self._waiting = b""  # compressed bytes read but not yet given to a decoder
        self._at = offset  # file offset of the first byte of `_waiting`
        self._spare = b""  # decoded bytes not yet asked for
        self._decoded = 0
        self._ended = False
        self.damage: Damage | None = None
        self.members: deque[Member] = deque()
        if magic == ZSTD_MAGIC:
            try:
                self._new_decoder = partial(decoder, dictionary_of(file))
            except zstandard.ZstdError as error:
                self._stop("corrupt", 0, f"the dictionary cannot be used ({error})")
        file.seek(offset)

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (all, if negative). Empty at the end or at damage."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        while size and not self._spare and not self._ended:
            if self._decoder is None:
                self._begin_member()
            else:
                self._spare = self._decode(size)
                self._decoded += len(self._spare)
        data, self._spare = self._spare[:size], self._spare[size:]
        return data

    def tell(self) -> int:
        return self._decoded - len(self._spare)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Not possible."""
        raise io.UnsupportedOperation(f"a compressed stream cannot go to {offset} ({whence})")

    def close(self) -> None:
        """Does nothing: the file belongs to whoever opened it."""

    def member_of(self, position: int) -> Member:
        """The member with the byte at `position` of the decompressed stream. Earlier members
        are forgotten.
        """
        while len(self.members) > 1 and self.members[1].start <= position:
            self.members.popleft()
        return self.members[0]

    def member_after(self, position: int) -> Member | None:
        """The member after the one that holds `position`, or None if the stream has not come so
        far.
        """
        self.member_of(position)
        return self.members[1] if len(self.members) > 1 else None

    def _begin_member(self) -> None:
        """Find the next member, the end of the file, or damage. Zero bytes between members are
        padding.
        """
        if len(self._waiting) < len(self._magic):
            self._waiting += self._file.read(_CHUNK)
        unpadded = self._waiting.lstrip(b"\0")
        self._at += len(self._waiting) - len(unpadded)
        was_padding_only = bool(self._waiting) and not unpadded
        self._waiting = unpadded
        if was_padding_only:
            return
        if len(self._waiting) < len(self._magic):
            self._waiting += self._file.read(_CHUNK)
        if not self._waiting:
            self._ended = True
        elif self._magic == ZSTD_MAGIC and is_skippable(self._waiting):
            self._skip_frame()
        elif not self._waiting.startswith(self._magic):
            self._stop(
                "garbage", self._at, f"no compressed member begins here ({self._waiting[:16]!r})"
            )
        else:
            self._decoder = self._new_decoder()
            self.members.append(Member(self._decoded, self._at))

    def _skip_frame(self) -> None:
        """Skip a skippable frame of Zstandard."""
        if len(self._waiting) < HEADER:
            self._waiting += self._file.read(_CHUNK)
        begin, left = self._at, HEADER + skippable_length(self._waiting)
        while left and self._waiting:
            passed = self._waiting[:left]
            left -= len(passed)
            self._at += len(passed)
            self._waiting = self._waiting[len(passed) :] or self._file.read(_CHUNK)
        if left:
            self._stop("truncated", begin, "the file ends inside a skippable frame")

    def _decode(self, size: int) -> bytes:
        """Some decoded bytes, perhaps none. Ends the member, or the stream if the member is
        damaged.
        """
        # zlib returns the bytes that the size limit kept it from using.
        held = getattr(self._decoder, "unconsumed_tail", b"")
        if not held and not self._waiting and getattr(self._decoder, "needs_input", True):
            self._waiting = self._file.read(_CHUNK)
        given, self._waiting = self._waiting, b""
        self._at += len(given)
        # The decoder of zstandard has no size limit.
        limits = () if self._magic == ZSTD_MAGIC else (size,)
        try:
            data = self._decoder.decompress(held + given, *limits)
        except _DECODING_ERRORS as error:
            self._stop(
                "corrupt",
                self.members[-1].offset,
                f"the compressed member does not decode ({error})",
            )
            return b""
        if self._decoder.eof:
            self._waiting = self._decoder.unused_data
            self._at -= len(self._waiting)
            self._decoder = None
        elif not data and not held and not given and getattr(self._decoder, "needs_input", True):
            self._stop(
                "truncated", self.members[-1].offset, "the file ends inside a compressed member"
            )
        return data

    def _stop(self, kind: str, offset: int, what: str) -> None:
        self._ended = True
        self.damage = Damage(kind, offset, what)


class Plain:
    """The same interface over an uncompressed file. Positions are file offsets."""

    damage: Damage | None = None

    def __init__(self, file: IO[bytes], offset: int) -> None:
        file.seek(offset)
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """Does nothing: the file belongs to whoever opened it."""


def chunks_of(stream: Inflated | Plain) -> Iterator[bytes]:
    """The bytes of a stream, in chunks. UTF-16 with a byte order mark comes in UTF-8."""
    return _as_utf8(iter(lambda: stream.read(_CHUNK * 4), b""))


def lines(chunks: Iterable[bytes], limit: int) -> Iterator[tuple[bytes, int]]:
    """The lines of a text without line ends, each with its length in bytes. A line longer than
    `limit` is cut there.
    """
    kept: list[bytes] = []  # joined once, since a line may have many chunks
    held = length = 0
    for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            kept.append(part[: limit - held])
            yield b"".join(kept), length + len(part)
            kept, held, length = [], 0, 0
        kept.append(rest[: limit - held])
        held += len(kept[-1])
        length += len(rest)
    if length:
        yield b"".join(kept), length


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks as they are, or decoded from UTF-16 if they begin with its mark."""
    first = next(chunks, b"")
    if not first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield first
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    yield decoder.decode(first).encode("utf-8", "replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", True).encode("utf-8", "replace")


def find(file: IO[bytes], pattern: re.Pattern[bytes], offset: int, overlap: int = 64) -> int | None:
    """The file offset of the first match of `pattern` at or after `offset`. overlap: at least
    the longest match.
    """
    file.seek(offset)
    window, base = b"", offset
    while chunk := file.read(1 << 20):
        window += chunk
        found = pattern.search(window)
        if found:
            return base + found.start()
        cut = max(0, len(window) - overlap)
        window, base = window[cut:], base + cut
    return None
