"""Writing the edited text, against joining strings."""

import re

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.copying import (
    DROP_BLANKS,
    WRITE,
    Copy,
    begin_text,
    copy_blank_line,
    copy_edited,
    copy_line,
    end_text,
)
from hypothesis import given, settings
from hypothesis import strategies as st

KEEP, STRIP, SKIP, REMOVE = range(4)  # what is done with a line
LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "  ", "one", "two [12] three", "[edit]x", "é漢 [citation needed]"]),
        st.sampled_from([KEEP, STRIP, SKIP, REMOVE]),
    ),
    min_size=1,
    max_size=12,
)


@njit
def edited(data, begins, ends, fates, copy):
    """Write one text: what `lines.edit_lines` does with lines whose fate is known."""
    begin_text(copy, begins[0])
    removed = False
    for line in range(begins.size):
        begin, end, has_feed = begins[line], ends[line], np.int64(line < begins.size - 1)
        if fates[line] == REMOVE:
            copy.state[DROP_BLANKS] = 1
            removed = True
        elif fates[line] < 0:
            copy_blank_line(copy, begin, end, has_feed)
        elif fates[line] == KEEP:
            copy_line(copy, begin, end, has_feed)
        else:
            skip_end = begin + 1 if fates[line] == SKIP else begin
            copy_edited(copy, begin, end, fates[line] == STRIP, begin, skip_end, has_feed)
    end_text(copy, removed)


def expected(lines):
    """The text that is left: lines that were taken out leave no run of blank lines."""
    kept, drops, blank_before = [], False, True
    for number, (line, what) in enumerate(lines):
        feed = "\n" if number < len(lines) - 1 else ""
        if not line.strip():
            if not (drops and blank_before):
                kept.append(line + feed)
                blank_before = True
            continue
        if what == REMOVE:
            drops = True
            continue
        if what == STRIP:
            line = re.sub(r"\[[0-9]*\]|\[edit\]|\[citation needed\]", "", line)
        elif what == SKIP:
            line = line.encode()[1:].decode(errors="surrogateescape")
        kept.append(line + feed)
        drops = blank_before = False
    if any(what == REMOVE and line.strip() for line, what in lines):
        while kept and not kept[-1].strip():
            kept.pop()
        kept[-1:] = [line.removesuffix("\n") for line in kept[-1:]]
    return "".join(kept)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=3))
def test_what_is_written_is_what_joining_the_lines_gives(texts):
    data = b"".join(b"\n".join(line.encode() for line, _ in lines) + b"\n" for lines in texts)
    room = np.zeros(len(data), np.uint8)
    copy = Copy(np.frombuffer(data, np.uint8), room, np.zeros(6, np.int64))
    at = 0
    for lines in texts:
        sizes = np.array([len(line.encode()) for line, _ in lines])
        begins = at + np.concatenate([[0], np.cumsum(sizes + 1)[:-1]])
        at += int((sizes + 1).sum())
        fates = np.array([what if line.strip() else -1 for line, what in lines])
        edited(copy.data, begins, begins + sizes, fates, copy)
    written = room[: copy.state[WRITE]].tobytes().decode(errors="surrogateescape")
    wanted = "".join(map(expected, texts))
    assert written == wanted
