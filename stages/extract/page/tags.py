"""Reading the markup of a page: names, attributes, comments, and the end of raw content (HTML
standard, 13.2.5).
"""

import numpy as np
from corpusmill.stages.columns.compiled import inlined, merged, uncounted
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, look_up, mix
from corpusmill.stages.extract.page.names import KNOWN_ATTRIBUTES, TAGS
from corpusmill.stages.extract.page.page import Page
from corpusmill.stages.extract.page.search import find
from numpy.typing import NDArray

GREATER, SLASH, EQUALS, QUOTE, APOSTROPHE, EXCLAMATION, HYPHEN, LESS = (
    ord(sign) for sign in ">/=\"'!-<"
)
LONGEST_TAG = 16  # longer names are unknown


@inlined
def is_letter(byte: int) -> bool:
    return 97 <= (byte | 32) <= 122


@inlined
def is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13


@uncounted
def after_comment(data: NDArray[np.uint8], place: int) -> int:
    """The place after a comment, declaration or processing instruction. place: after its first two
    characters.
    """
    size = data.size
    if not (
        place + 1 < size
        and data[place - 1] == EXCLAMATION
        and data[place] == HYPHEN
        and data[place + 1] == HYPHEN
    ):
        return find(data, GREATER, place, size) + 1
    place += 2
    if place < size and data[place] == GREATER:
        return place + 1
    while place + 2 < size:
        if data[place] == HYPHEN and data[place + 1] == HYPHEN:
            if data[place + 2] == GREATER:
                return place + 3
            if data[place + 2] == EXCLAMATION and place + 3 < size and data[place + 3] == GREATER:
                return place + 4
        place += 1
    return size


@merged
def tag_name_end(data: NDArray[np.uint8], place: int) -> int:
    """The end of the tag name that begins at `place`."""
    while (
        place < data.size
        and not is_space(data[place])
        and data[place] != SLASH
        and data[place] != GREATER
    ):
        place += 1
    return place


@merged
def name_hash(data: NDArray[np.uint8], begin: int, end: int) -> np.uint64:
    """The hash of a name in lower case. If the name is longer than any known name, only its first
    bytes count.
    """
    code = FNV_OFFSET
    for place in range(begin, min(end, begin + LONGEST_TAG)):
        byte = data[place]
        code = mix(code, byte | 32 if 65 <= byte <= 90 else byte)
    return code


@merged
def read_attributes(page: Page, place: int) -> tuple[int, int]:
    """Read a tag's attributes from `place`. Returns the place after its `>` and, as bits, which of
    the known attributes it has. If there is no `>`, the place lies beyond the page's end.

    page.spans: begin and end of the attributes' values, by number. Of two equal attributes the
    first counts.
    """
    data, spans = page.data, page.spans
    size = data.size
    present = 0
    while place < size:
        byte = data[place]
        if byte == GREATER:
            return place + 1, present
        if is_space(byte) or byte == SLASH:
            place += 1
            continue
        name_begin = place
        place += 1
        while (
            place < size
            and not is_space(data[place])
            and data[place] not in (EQUALS, GREATER, SLASH)
        ):
            place += 1
        attribute = look_up(KNOWN_ATTRIBUTES, name_hash(data, name_begin, place))
        while place < size and is_space(data[place]):
            place += 1
        begin = end = place
        if place < size and data[place] == EQUALS:
            begin, end, place = _value(data, place + 1)
        if attribute >= 0 and not present >> attribute & 1:
            present |= 1 << attribute
            spans[attribute, 0], spans[attribute, 1] = begin, end
    return size + 1, present


@merged
def _value(data: NDArray[np.uint8], place: int) -> tuple[int, int, int]:
    """Begin and end of the value that begins at `place` or after white space, and the place after
    it.
    """
    size = data.size
    while place < size and is_space(data[place]):
        place += 1
    if place < size and (data[place] == QUOTE or data[place] == APOSTROPHE):
        quote, begin = data[place], place + 1
        place = find(data, quote, begin, size)
        return begin, place, place + 1
    begin = place
    while place < size and not is_space(data[place]) and data[place] != GREATER:
        place += 1
    return begin, place, place


@uncounted
def raw_end(data: NDArray[np.uint8], place: int, number: int) -> tuple[int, int]:
    """Where raw content that begins at `place` ends, and the place after its end tag. number: of
    the tag.
    """
    size = data.size
    while True:
        place = find(data, LESS, place, size)
        if place + 2 >= size:
            return size, size
        if data[place + 1] == SLASH and is_letter(data[place + 2]):
            after_name = tag_name_end(data, place + 2)
            if look_up(TAGS, name_hash(data, place + 2, after_name)) == number:
                end = place
                while after_name < size and data[after_name] != GREATER:
                    after_name += 1
                return end, after_name + 1
        place += 1
