"""A JSON array of objects (`[{"text": ...}, {...}]`) as items, one after the other.

Programs write such files by dumping a whole list. The array is not loaded: brackets and strings are
followed, and each item is the bytes between two commas. So memory holds one item, and time is
linear.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_BEGINNING: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*\{")
_SIGN: Final = re.compile(rb'["\[\]{},]')
_IN_STRING: Final = re.compile(rb'["\\]')
_COMMA, _QUOTE, _BACKSLASH = b",", b'"', b"\\"


def is_array(start: bytes) -> bool:
    """Whether a file begins as an array of objects does."""
    return _BEGINNING.match(start) is not None


def items(chunks: Iterable[bytes], limit: int) -> Iterator[tuple[bytes, int]]:
    """The items of an array in UTF-8, each with its length in bytes. An item longer than `limit` is
    cut there. What stands behind the array is an item too, so that nothing is lost.
    """
    kept: list[bytes] = []
    held = length = depth = 0
    in_string = escaped = False
    for chunk in chunks:
        begin = place = 0
        if not depth:
            place = begin = chunk.find(b"[") + 1  # `is_array` has seen it in the first chunk
            depth = 1
        if escaped:
            place, escaped = place + 1, False
        while found := (_IN_STRING if in_string else _SIGN).search(chunk, place):
            sign, place = found[0], found.end()
            if sign == _QUOTE:
                in_string = not in_string
            elif sign == _BACKSLASH:
                escaped = place == len(chunk)
                place += 1
            elif sign in b"[{":
                depth += 1
            elif sign in b"]}":
                depth -= 1
            if depth == 0 or (sign == _COMMA and depth == 1):
                part = chunk[begin : found.start()]
                kept.append(part[: limit - held])
                yield b"".join(kept), length + len(part)
                kept, held, length, begin = [], 0, 0, place
                depth = max(depth, 1)
        part = chunk[begin:]
        kept.append(part[: limit - held])
        held += len(kept[-1])
        length += len(part)
    rest = b"".join(kept)
    if rest.strip():
        yield rest, length
