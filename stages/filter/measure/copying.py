"""Writing the edited text. Bytes that stay as they are form a run. The run is copied when other
bytes follow.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import inlined, uncounted
from corpusmill.stages.filter.measure.furniture import OPENING, citation_at
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]

# Places of `Copy.state`.
WRITE = 0  # where the next byte goes
RUN = 1  # where the waiting run begins in the text
RUN_WRITE = 2  # where the waiting run is copied to
LAST_KEPT = 3  # where the last line that stays ends
BLANK_BEFORE = 4  # whether the line before was blank
DROP_BLANKS = 5  # whether a line was taken out since the last one that stays


class Copy(NamedTuple):
    """data: the texts. edited: the edited texts, or empty if none are written. state: int64[6], the
    places named above.
    """

    data: Bytes
    edited: Bytes
    state: NDArray[np.int64]


@inlined
def begin_text(copy: Copy, begin: int) -> None:
    """Begin the next text, at `begin`. Its edited form follows that of the text before."""
    state = copy.state
    state[RUN], state[RUN_WRITE] = begin, state[WRITE]
    state[LAST_KEPT] = state[WRITE]
    state[BLANK_BEFORE], state[DROP_BLANKS] = 1, 0


@inlined
def copy_blank_line(copy: Copy, begin: int, end: int, has_feed: int) -> None:
    """Keep a blank line, unless lines were taken out and another blank line stands before it."""
    state = copy.state
    if not (state[DROP_BLANKS] and state[BLANK_BEFORE]):
        _go_on(copy, begin)
        state[WRITE] += end - begin + has_feed
        state[BLANK_BEFORE] = 1


@inlined
def copy_line(copy: Copy, begin: int, end: int, has_feed: int) -> None:
    """Keep a line as it is."""
    state = copy.state
    _go_on(copy, begin)
    state[LAST_KEPT] = state[WRITE] + end - begin
    state[WRITE] = state[LAST_KEPT] + has_feed
    state[BLANK_BEFORE] = state[DROP_BLANKS] = 0


@inlined
def copy_edited(
    copy: Copy,
    begin: int,
    end: int,
    is_marked: bool,
    skip_begin: int,
    skip_end: int,
    has_feed: int,
) -> int:
    """Keep a line without its citation marks (if is_marked) and without the bytes from skip_begin
    to skip_end.

    Returns where the line begins in the edited text. It ends at LAST_KEPT.
    """
    data, edited, state = copy.data, copy.edited, copy.state
    _write_run(copy)
    start = write = state[WRITE]
    at = begin
    while at < end:
        if at == skip_begin and skip_end > skip_begin:
            at = skip_end
            continue
        if is_marked and data[at] == OPENING:
            size = citation_at(data, at, end)
            if size > 0:
                at += size
                continue
        edited[write] = data[at]
        write += 1
        at += 1
    state[LAST_KEPT] = write
    state[RUN], state[RUN_WRITE] = end, write
    state[WRITE] = write + has_feed
    state[BLANK_BEFORE] = state[DROP_BLANKS] = 0
    return start


@inlined
def end_text(copy: Copy, was_edited: bool) -> None:
    """Write the waiting run. If lines were taken out, drop the blank lines behind the last line
    that stays.
    """
    if was_edited:
        copy.state[WRITE] = copy.state[LAST_KEPT]
    _write_run(copy)


@inlined
def _go_on(copy: Copy, begin: int) -> None:
    """Keep the bytes from `begin` on: they lengthen the run, or begin the next one."""
    state = copy.state
    if state[RUN] + state[WRITE] - state[RUN_WRITE] != begin:
        _write_run(copy)
        state[RUN], state[RUN_WRITE] = begin, state[WRITE]


@uncounted
def _write_run(copy: Copy) -> None:
    data, edited, state = copy.data, copy.edited, copy.state
    run, begin = state[RUN], state[RUN_WRITE]
    for index in range(state[WRITE] - begin):
        edited[np.uint64(begin + index)] = data[np.uint64(run + index)]
