"""Frames before and between the data of a Zstandard file: skippable ones, and one that may hold the
dictionary.

A skippable frame is a magic number, a length and that many bytes, which a decoder skips (RFC 8878,
section 3.1.2). pzstd writes such frames. A `.warc.zst` file may begin with a frame that has a magic
number of its own. This frame holds the dictionary of all records, plain or compressed ("WARC files
with Zstandard compression", IIPC, section "Dictionary").
"""

import io
from typing import IO, Any

import zstandard

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
HEADER = 8  # bytes of a skippable frame's magic number and length
_DICTIONARY = b"\x5d\x2a\x4d\x18"
_MOST = 1 << 27  # bytes of a decoder's window, and of a dictionary


def is_skippable(start: bytes) -> bool:
    """Whether `start` begins with a skippable frame."""
    return len(start) >= 4 and start[1:4] == _DICTIONARY[1:] and 0x50 <= start[0] <= 0x5F


def skippable_length(header: bytes) -> int:
    """The bytes of a skippable frame after its header."""
    return int.from_bytes(header[4:HEADER], "little")


def dictionary_of(file: IO[bytes]) -> zstandard.ZstdCompressionDict | None:
    """The dictionary at the beginning of a file, or None.

    Raises zstandard.ZstdError if it cannot be used.
    """
    file.seek(0)
    header = file.read(HEADER)
    if not header.startswith(_DICTIONARY) or len(header) < HEADER:
        return None
    if skippable_length(header) > _MOST:
        raise zstandard.ZstdError(f"its dictionary has {skippable_length(header):,} bytes")
    data = file.read(skippable_length(header))
    if data.startswith(ZSTD_MAGIC):
        with zstandard.ZstdDecompressor(max_window_size=_MOST).stream_reader(
            io.BytesIO(data)
        ) as unpacked:
            data = unpacked.read(_MOST)
    return zstandard.ZstdCompressionDict(data)


def decoder(dictionary: zstandard.ZstdCompressionDict | None = None) -> Any:
    """A decoder of one data frame."""
    return zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=_MOST).decompressobj()
