"""The kernel that cuts hard parts into tokens, as spaCy's English tokenizer does (3.8,
`spacy.tokenizer`).

A part that is an exception is kept whole, or cut as the exception says. Otherwise a prefix and a
suffix are taken off, and the rest is looked at again. When neither is left, the rest is an
exception, an address, or is cut at infixes. If the language needs it, each character of a script
without spaces is a token.

datatrove's filters count these tokens, so their thresholds mean the same here.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.affixes import (
    class_at,
    infix_of,
    is_alnum,
    is_digit,
    is_url,
    prefix_of,
    suffix_of,
)
from corpusmill.stages.filter.measure.characters import COMBINING, UNSPACED
from corpusmill.stages.filter.measure.english import LONGEST_EXCEPTION
from corpusmill.stages.filter.measure.known_parts import (
    KNOWN_BITS,
    LONGEST_KNOWN,
    is_known,
    keep,
    key_of,
    recall,
)
from corpusmill.stages.filter.measure.marks import LINE_PART, MIXED, WIDE
from corpusmill.stages.filter.measure.token_hash import BASIS, hash_on
from corpusmill.stages.filter.measure.token_kinds import measure_part
from corpusmill.stages.filter.measure.wide_bytes import prefetch
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]
Flags: TypeAlias = NDArray[np.uint16]
Maybe: TypeAlias = NDArray[np.bool_]

# The entry of `known_parts` for a part is brought into the cache so many parts before it is needed.
AHEAD = 8
ONE, SIX, LAST = np.uint64(1), np.uint64(6), np.uint64(63)


@njit
def cut_parts(
    data: Bytes,
    bits: Keys,
    classes: Flags,
    edges: Integers,
    hashes: Keys,
    hard: Integers,
    lines: Integers,
    text_lines: Integers,
    by_character: NDArray[np.bool_],
    keys: Keys,
    values: Integers,
    maybe: Maybe,
    units: Keys,
    known: Keys,
    cuts: Integers,
    kinds: Integers,
    counts: NDArray[np.int64],
) -> None:
    """Cut the parts that `parts.hash_parts` listed as hard.

    bits, edges, lines, text_lines: of `marks.mark_bytes`. by_character: by text, whether scripts
    without spaces are cut by character. keys, values, maybe: `english.exception_table` and
    `exception_shapes`. units: `affixes.unit_keys`. known: `known_parts`, the parts that were cut
    before; it saves more than half of the work.

    These are filled. cuts: the end of each token of the hard parts, one after the other; a part's
    last token ends where the part does. kinds: of the same tokens, see `token_kinds`. counts: the
    rows that `token_kinds` names, by text, over its hard parts.
    """
    n = index = 0
    for text in range(text_lines.size - 1):
        row, last_part = counts[:, text], lines[LINE_PART, text_lines[text + 1]]
        while index < hard.size and hard[np.uint64(index)] < last_part:
            ahead = key_of(
                data, edges, hashes, np.uint64(hard[np.uint64(min(index + AHEAD, hard.size - 1))])
            )
            prefetch(known, np.int64(ahead >> np.uint64(64 - KNOWN_BITS)) << 3)
            part = np.uint64(hard[np.uint64(index)])
            index += 1
            begin, end = np.int64(edges[part << ONE]), np.int64(edges[part << ONE | ONE])
            key = key_of(data, edges, hashes, part)
            slot = key >> np.uint64(64 - KNOWN_BITS)
            block, shift = np.uint64(end) >> SIX, np.uint64(end) & LAST
            is_wide = bits[WIDE, block] >> shift & ONE != 0
            one_by_one = is_wide and by_character[text]
            if (
                known[slot, 0] == key
                and not one_by_one
                and is_known(known, slot, data, begin, end - begin)
            ):
                n = recall(known, slot, begin, cuts, kinds, n, row)
                continue
            first = n
            if one_by_one:
                n = _cut_by_character(
                    data, begin, end, classes, keys, values, maybe, units, cuts, n
                )
            elif is_wide and bits[MIXED, block] >> shift & ONE == 0:
                cuts[n] = end
                n += 1
            else:
                n = _cut(data, begin, end, classes, keys, values, maybe, units, cuts, n)
            about = measure_part(data, classes, begin, cuts, kinds, first, n, row)
            if n - first <= 7 and end - begin <= LONGEST_KNOWN and not one_by_one:
                keep(known, slot, key, data, begin, cuts, kinds, first, n, about)


@njit
def _cut(
    data: Bytes,
    begin: int,
    end: int,
    classes: Flags,
    keys: Keys,
    values: Integers,
    maybe: Maybe,
    units: Keys,
    cuts: Integers,
    n: int,
) -> int:
    """Cut a part, or a piece of one. Returns the new number of cuts."""
    # Suffixes are found from the end. So their cuts wait at the far end of the room that the part
    # can need, and are moved at last.
    room = n + end - begin + 1
    wait = room
    has_digit = has_sign = False
    for index in range(begin, end):
        has_digit |= is_digit(data[index])
        has_sign |= data[index] >= 0x80 or not is_alnum(data[index])
    if not has_sign and is_digit(data[end - 1]):  # a number
        cuts[n] = end
        return n + 1
    while begin < end and _exception(data, begin, end, keys, values, maybe) < 0:
        prefix = prefix_of(data, begin, end, classes)
        if (
            0 < prefix < end - begin
            and _exception(data, begin + prefix, end, keys, values, maybe) >= 0
        ):
            begin += prefix
            cuts[n] = begin
            n += 1
            break
        suffix = suffix_of(data, begin + prefix, end, classes, units, has_digit)
        if suffix > 0:
            wait -= 1
            cuts[wait] = end
            if _exception(data, begin, end - suffix, keys, values, maybe) >= 0:
                end -= suffix
                break
        elif prefix == 0:
            break
        if prefix > 0:
            begin += prefix
            cuts[n] = begin
            n += 1
        end -= suffix
    if begin < end:
        cut = _exception(data, begin, end, keys, values, maybe)
        if cut >= 0:
            n = _exception_cuts(cuts, n, begin, end, cut)
        else:
            first = begin
            while first < end and data[first] < 0x80 and is_alnum(data[first]):
                first += 1
            if first < end and not is_url(data, begin, end, classes):
                at = first
                while at < end:
                    if data[at] < 0x80 and is_alnum(data[at]):
                        at += 1
                        continue
                    infix = infix_of(data, begin, at, end, classes)
                    if infix == 0:
                        at += class_at(data, at, classes)[1]
                        continue
                    if at > begin:
                        if cuts[n - 1] != at or n == 0:
                            cuts[n] = at
                            n += 1
                        cuts[n] = at + infix
                        n += 1
                    at += infix
            cuts[n] = end
            n += 1
    for index in range(wait, room):
        cuts[n] = cuts[index]
        n += 1
    return n


@njit
def _cut_by_character(
    data: Bytes,
    begin: int,
    end: int,
    classes: Flags,
    keys: Keys,
    values: Integers,
    maybe: Maybe,
    units: Keys,
    cuts: Integers,
    n: int,
) -> int:
    """Cut every character of a script without spaces as a token, with the marks on it. The text
    between them is cut as usual.
    """
    at = begin
    while at < end:
        about, width = class_at(data, at, classes)
        if about & UNSPACED == 0:
            at += width
            continue
        if at > begin:
            n = _cut(data, begin, at, classes, keys, values, maybe, units, cuts, n)
        at += width
        while at < end and class_at(data, at, classes)[0] & COMBINING:
            at += class_at(data, at, classes)[1]
        cuts[n] = begin = at
        n += 1
    return (
        _cut(data, begin, end, classes, keys, values, maybe, units, cuts, n) if end > begin else n
    )


@njit
def _exception_cuts(cuts: Integers, n: int, begin: int, end: int, cut: int) -> int:
    """Write the cuts of an exception. cut: as in `english.exception_table`."""
    one, two = cut & 0xFF, cut >> 8 & 0xFF
    if one:
        cuts[n] = begin + one
        n += 1
    if two:
        cuts[n] = begin + one + two
        n += 1
    cuts[n] = end
    return n + 1


@njit(inline="always")
def _exception(
    data: Bytes, begin: int, end: int, keys: Keys, values: Integers, maybe: Maybe
) -> int:
    """How data[begin:end] is cut if it is an exception, else -1."""
    if end - begin > LONGEST_EXCEPTION or begin >= end or not maybe[data[begin], end - begin]:
        return -1
    found = _find(keys, values, hash_on(data, begin, end, BASIS))
    return found if found >> 16 == end - begin else -1  # other words may share its hash


@njit(inline="always")
def _find(keys: Keys, values: Integers, key: int) -> Any:
    """The value of a key, or -1."""
    mask = np.uint64(keys.size - 1)
    slot = key & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(values[slot])
        slot = (slot + np.uint64(1)) & mask
    return -1
