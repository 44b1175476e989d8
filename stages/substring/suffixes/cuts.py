"""The kernels that read documents in order and decide the cuts: repeats of earlier bytes are cut.

Definitions and settings: `stages.substring.settings`. Each byte is read a bounded number of times,
whatever repeats. So time is linear in the text.
"""

from typing import Any, Final

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.substring.suffixes.boundaries import count_characters, count_words, trimmed

UNTOUCHED: Final = 0  # verdicts on documents
CUT: Final = 1
TOO_SHORT: Final = 2
MOSTLY_REPEATED: Final = 3


@njit(nogil=True)
def read_in_order(
    text: Any,
    offsets: Any,
    classes: Any,
    first: Any,
    length: int,
    own_repeats: bool,
    bridge: int,
    boundaries: Any,
    separators: int,
    words: Any,
    min_words: int,
    min_characters: int,
    max_removed_share: float,
    begins: Any,
    ends: Any,
    cut_offsets: Any,
    verdicts: Any,
) -> None:
    """Read the documents one after the other. Find what each repeats of the documents before it and
    of itself.

    classes: of windows, from `repeats.window_classes`. first: -1 for each class at first; it
    becomes the first place of the class in a document that stays. boundaries, separators: kinds of
    characters, and how many separators in a row make a boundary. words: kinds of characters for
    counting words. begins, ends: the cuts; those of document d are cut_offsets[d]:cut_offsets[d +
    1]. They need room for one every `length` bytes. verdicts: the verdict on each document. A
    document that is dropped counts as never read: nothing is cut because of it.
    """
    count = 0
    for document in range(len(offsets) - 1):
        start, stop = offsets[document], offsets[document + 1]
        raw = _seen_before(start, stop, classes, first, length, own_repeats, begins, ends, count)
        raw = _whole_characters_bridged(text, start, stop, bridge, begins, ends, count, raw)
        removed = 0
        removed_characters = 0
        for cut in range(count, raw):
            begin, end = trimmed(text, start, stop, begins[cut], ends[cut], boundaries, separators)
            if end - begin >= length and count_words(text, begin, end, stop, words) >= min_words:
                begins[count], ends[count] = begin, end
                count += 1
                removed += end - begin
                removed_characters += count_characters(text, begin, end)
        cut_offsets[document + 1] = count
        verdicts[document] = UNTOUCHED
        if removed > 0:
            verdicts[document] = CUT
            if removed > max_removed_share * (stop - start):
                verdicts[document] = MOSTLY_REPEATED
            elif count_characters(text, start, stop) - removed_characters < min_characters:
                verdicts[document] = TOO_SHORT
        if verdicts[document] > CUT:
            for position in range(start, stop):
                if classes[position] >= 0 and first[classes[position]] >= start:
                    first[classes[position]] = -1


@njit(nogil=True)
def find_sources(
    text: Any,
    offsets: Any,
    classes: Any,
    first: Any,
    length: int,
    own_repeats: bool,
    begins: Any,
    ends: Any,
    cut_offsets: Any,
    piece_offsets: Any,
    piece_begins: Any,
    piece_ends: Any,
    sources: Any,
) -> None:
    """Divide the cuts into pieces. Each whole piece stands somewhere before: sources[piece] is the
    place, or -1 if the piece was bridged.

    first: as `read_in_order` left it. The pieces of document d are piece_offsets[d]:piece_offsets[d
    + 1]. They need room for six every `length` bytes: of two neighbours with a source, one has
    `length` bytes or ends a cut, and bridged pieces lie between repeats of `length` bytes.
    """
    count = 0
    for document in range(len(offsets) - 1):
        start = offsets[document]
        for cut in range(cut_offsets[document], cut_offsets[document + 1]):
            position, end = begins[cut], ends[cut]
            whole = count
            seen = np.int64(-length)  # the last window so far that stands before
            window = max(start, position - length + 1)
            while position < end:
                while window <= position:
                    if _stands_before(window, start, classes, first, own_repeats):
                        seen = window
                    window += 1
                begin = position
                if seen + length > position:
                    source = first[classes[seen]] + position - seen
                    source_end = offsets[np.searchsorted(offsets, source, side="right")]
                    while position < end and source < source_end and text[position] == text[source]:
                        position += 1
                        source += 1
                    sources[count] = source - (position - begin)
                else:
                    while text[begin] & 0xC0 == 0x80:  # the piece before ended within a character
                        begin -= 1
                    while count > whole and piece_begins[count - 1] >= begin:
                        count -= 1
                    if count > whole:
                        piece_ends[count - 1] = min(piece_ends[count - 1], begin)
                    while position < end:
                        if text[position] & 0xC0 != 0x80 and _stands_before(
                            position, start, classes, first, own_repeats
                        ):
                            break
                        position += 1
                    sources[count] = -1
                piece_begins[count], piece_ends[count] = begin, position
                count += 1
        piece_offsets[document + 1] = count


@njit(nogil=True)
def close_gaps(
    text: Any,
    offsets: Any,
    begins: Any,
    ends: Any,
    cut_offsets: Any,
    verdicts: Any,
    new_offsets: Any,
) -> None:
    """Take the cuts of documents with the verdict CUT out of `text`, in place. new_offsets: where
    the documents lie after that.
    """
    write = 0
    for document in range(len(offsets) - 1):
        read = offsets[document]
        if verdicts[document] == CUT:
            for cut in range(cut_offsets[document], cut_offsets[document + 1]):
                while read < begins[cut]:
                    text[write] = text[read]
                    write += 1
                    read += 1
                read = ends[cut]
        while read < offsets[document + 1]:
            text[write] = text[read]
            write += 1
            read += 1
        new_offsets[document + 1] = write


@njit(nogil=True)
def _seen_before(
    start: int,
    stop: int,
    classes: Any,
    first: Any,
    length: int,
    own_repeats: bool,
    begins: Any,
    ends: Any,
    count: int,
) -> int:
    """Write the spans of `start:stop` that lie in windows seen before, from `count` on. Note the
    windows that are seen for the first time.
    """
    last = count - 1
    for position in range(start, stop):
        group = classes[position]
        if group < 0:
            continue
        if first[group] < 0:
            first[group] = position
        if not _stands_before(position, start, classes, first, own_repeats):
            continue
        if last >= count and position <= ends[last]:
            ends[last] = position + length
        else:
            last += 1
            begins[last], ends[last] = position, position + length
    return last + 1


@njit(nogil=True)
def _stands_before(window: int, start: int, classes: Any, first: Any, own_repeats: bool) -> bool:
    """Whether the window was read before: in a document before the one that begins at `start`, or
    also in this one if own_repeats.
    """
    return classes[window] >= 0 and 0 <= first[classes[window]] < (window if own_repeats else start)


@njit(nogil=True)
def _whole_characters_bridged(
    text: Any, start: int, stop: int, bridge: int, begins: Any, ends: Any, count: int, raw: int
) -> int:
    """Shrink the spans `count:raw` to whole characters, and join those at most `bridge` bytes
    apart. Returns the end of the remaining spans.
    """
    last = count - 1
    for span in range(count, raw):
        begin, end = begins[span], ends[span]
        while begin < end and text[begin] & 0xC0 == 0x80:
            begin += 1
        while end > begin and end < stop and text[end] & 0xC0 == 0x80:
            end -= 1
        if begin == end:
            continue
        if last >= count and begin - ends[last] <= bridge:
            ends[last] = end
        else:
            last += 1
            begins[last], ends[last] = begin, end
    return last + 1
