"""The kernels that read documents in order and decide what is cut: what was said before goes, once it is trimmed to whole lines.

Definitions and settings: `stages.substring.settings`. Everything is linear in the text: each byte is looked at a bounded number of
times, whatever repeats.
"""

from typing import Any, Final

import numpy as np
from corpusmill.stages.columns.compiled import njit

JOINED: Final = (
    0  # kinds of characters in the table of boundaries: no cut beside one of these alone
)
SEPARATOR: Final = 1  # a cut may begin or end on both sides of it
FREE: Final = 2  # likewise, but nothing needs to stay between its neighbours (characters of scripts without spaces)
BOUNDARY_TABLE_SIZE: Final = 0x40000  # planes 0 to 3; higher characters are as the last one

UNTOUCHED: Final = 0  # verdicts on documents
CUT: Final = 1
TOO_SHORT: Final = 2
MOSTLY_REPEATED: Final = 3

NEWLINE: Final = 10


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
    """Read the documents one after the other; find what each repeats of those before it and of itself.

    classes: of windows, from `repeats.window_classes`. first: -1 for each class, becomes the place where a document that stays has it
    first. boundaries, separators: kinds of characters, and how many separators in a row make a boundary. words: kinds of characters for
    counting words. begins, ends: the cuts, those of document d at cut_offsets[d]:cut_offsets[d + 1]; room for one every `length` bytes.
    verdicts: what becomes of each document. A document that does not stay is as if never read: nothing is cut for its sake.
    """
    count = 0
    for document in range(len(offsets) - 1):
        start, stop = offsets[document], offsets[document + 1]
        raw = _seen_before(start, stop, classes, first, length, own_repeats, begins, ends, count)
        raw = _whole_characters_bridged(text, start, stop, bridge, begins, ends, count, raw)
        removed = 0
        removed_characters = 0
        for cut in range(count, raw):
            begin, end = _trimmed(text, start, stop, begins[cut], ends[cut], boundaries, separators)
            if end - begin >= length and _words(text, begin, end, stop, words) >= min_words:
                begins[count], ends[count] = begin, end
                count += 1
                removed += end - begin
                removed_characters += _characters(text, begin, end)
        cut_offsets[document + 1] = count
        verdicts[document] = UNTOUCHED
        if removed > 0:
            verdicts[document] = CUT
            if removed > max_removed_share * (stop - start):
                verdicts[document] = MOSTLY_REPEATED
            elif _characters(text, start, stop) - removed_characters < min_characters:
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
    """Cut the cuts into pieces that each stand as a whole somewhere before: sources[piece] is where, -1 for what was bridged.

    first: as `read_in_order` left it. Pieces of document d are piece_offsets[d]:piece_offsets[d + 1]; room for six every `length` bytes
    (of two neighbours with a source one has `length` bytes or ends a cut; what was bridged lies between repeats of `length` bytes).
    """
    count = 0
    for document in range(len(offsets) - 1):
        start = offsets[document]
        for cut in range(cut_offsets[document], cut_offsets[document + 1]):
            position, end = begins[cut], ends[cut]
            whole = count
            seen = np.int64(-length)  # the last window, up to here, that stands before
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
    """Take the cuts of documents with the verdict CUT out of `text`, in place; new_offsets: where the documents lie then."""
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
    """Write the spans of `start:stop` that lie in windows seen before, from `count` on, and note the windows seen first here."""
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
    """Whether the window was read before: in a document before the one that begins at `start` or, if that counts, in this one."""
    return classes[window] >= 0 and 0 <= first[classes[window]] < (window if own_repeats else start)


@njit(nogil=True)
def _whole_characters_bridged(
    text: Any, start: int, stop: int, bridge: int, begins: Any, ends: Any, count: int, raw: int
) -> int:
    """Shrink the spans `count:raw` to whole characters and join those at most `bridge` bytes apart; returns the end of what is left."""
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


@njit(nogil=True)
def _trimmed(
    text: Any, start: int, stop: int, begin: int, end: int, boundaries: Any, separators: int
) -> tuple[int, int]:
    """The part of `begin:end` between its outermost boundaries. If what stays on both sides would grow together, the separators at
    one end of the cut stay too: those at its beginning, or at its end where only there a line ends. Without any, a free character does."""
    while begin < end and not _is_boundary(text, start, stop, begin, boundaries, separators):
        begin = _next(text, begin, stop)
    while end > begin and not _is_boundary(text, start, stop, end, boundaries, separators):
        end = _previous(text, end, start)
    left, before = _run_before(text, start, begin, stop, boundaries, separators)
    right, after = _run_after(text, end, stop, boundaries, separators)
    if begin == end or before == start or after == stop or left + right >= separators:
        return begin, end
    head, tail = begin, end
    head_has_line = tail_has_line = False
    while head < end and _kind(text, head, stop, boundaries) == SEPARATOR:
        head_has_line |= text[head] == NEWLINE
        head = _next(text, head, stop)
    while tail > head and _kind_before(text, start, tail, stop, boundaries) == SEPARATOR:
        tail = _previous(text, tail, start)
        tail_has_line |= text[tail] == NEWLINE
    if head > begin and (head_has_line or not tail_has_line):
        return head, end
    if (
        tail == end
        and _kind_before(text, start, begin, stop, boundaries) == JOINED
        and _kind(text, end, stop, boundaries) == JOINED
    ):
        return _next(text, begin, stop), end
    return begin, tail


@njit(nogil=True)
def _is_boundary(
    text: Any, start: int, stop: int, position: int, boundaries: Any, separators: int
) -> bool:
    """Whether a cut may begin or end here: beside a free character, or beside so many separators in a row, or an end of the text."""
    found, after = _run_after(text, position, stop, boundaries, separators)
    if after == stop or found == separators or _kind(text, after, stop, boundaries) == FREE:
        return True
    found, before = _run_before(text, start, position, stop, boundaries, separators)
    return (
        before == start
        or found == separators
        or _kind_before(text, start, before, stop, boundaries) == FREE
    )


@njit(nogil=True)
def _run_after(text: Any, position: int, stop: int, boundaries: Any, most: int) -> tuple[int, int]:
    """How many separators in a row begin here, at most so many, and the place behind them."""
    found = 0
    while position < stop and found < most and _kind(text, position, stop, boundaries) == SEPARATOR:
        position = _next(text, position, stop)
        found += 1
    return found, position


@njit(nogil=True)
def _run_before(
    text: Any, start: int, position: int, stop: int, boundaries: Any, most: int
) -> tuple[int, int]:
    """How many separators in a row end here, at most so many, and the place of the first."""
    found = 0
    while (
        position > start
        and found < most
        and _kind_before(text, start, position, stop, boundaries) == SEPARATOR
    ):
        position = _previous(text, position, start)
        found += 1
    return found, position


@njit(nogil=True)
def _words(text: Any, begin: int, end: int, stop: int, words: Any) -> int:
    """Runs of joined characters, and each free character by itself."""
    count = 0
    within = False
    position = begin
    while position < end:
        kind = _kind(text, position, stop, words)
        count += kind == FREE or (kind == JOINED and not within)
        within = kind == JOINED
        position = _next(text, position, stop)
    return count


@njit(nogil=True)
def _characters(text: Any, begin: int, end: int) -> int:
    count = 0
    for position in range(begin, end):
        count += text[position] & 0xC0 != 0x80
    return count


@njit(nogil=True)
def _kind_before(text: Any, start: int, position: int, stop: int, boundaries: Any) -> int:
    return _kind(text, _previous(text, position, start), stop, boundaries)


@njit(nogil=True)
def _kind(text: Any, position: int, stop: int, boundaries: Any) -> int:
    """The kind of the character that begins at `position`."""
    code = np.int64(text[position])
    if code >= 0x80:
        width = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
        code &= 0x7F >> width
        for following in range(position + 1, min(position + width, stop)):
            code = code << 6 | (text[following] & 0x3F)
    return boundaries[min(code, BOUNDARY_TABLE_SIZE - 1)]


@njit(nogil=True)
def _next(text: Any, position: int, stop: int) -> int:
    position += 1
    while position < stop and text[position] & 0xC0 == 0x80:
        position += 1
    return position


@njit(nogil=True)
def _previous(text: Any, position: int, start: int) -> int:
    position -= 1
    while position > start and text[position] & 0xC0 == 0x80:
        position -= 1
    return position
