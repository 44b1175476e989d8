"""The kernel that measures repeated runs of tokens (Gopher, arXiv:2112.11446, appendix A.1.1).

A run of n tokens can only occur twice if its first n - 1 tokens do. So each length looks only at
the places that the length before left. Pairs are sifted first: one pass counts them by a few bits
of their hash, in a table that stays in the first cache. Only pairs whose slot was hit twice are
compared exactly, by 64-bit hashes. (In a text with a hundred thousand runs, two different runs
share a hash with a probability of about 10**-9.) Most texts have few repeated triples, so nine
lengths cost little more than one.

Definitions: `stages.filter.statistics`.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

FIRST_TOP, LAST_TOP, FIRST_DUPLICATE, LAST_DUPLICATE = 2, 4, 5, 10
# Counts of a text: characters in the most frequent runs of 2, 3, 4 tokens; in repeated runs of 5 to
# 10.
COUNTS = 9
GOLDEN, NEXT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd multipliers
ONE, MOST_HITS = np.uint64(1), 255


@njit
def measure_ngrams(
    tokens: Keys, reach: Integers, text_tokens: Integers, counts: NDArray[np.int64]
) -> None:
    """Fill `counts` (COUNTS x texts, zero at first). tokens, reach, text_tokens: of
    `tokens.measure_tokens`.
    """
    most = 1
    for text in range(text_tokens.size - 1):
        most = max(most, text_tokens[text + 1] - text_tokens[text])
    keys, places, hits = (
        np.empty(most, np.uint64),
        np.empty(most, np.int32),
        np.empty(most, np.uint8),
    )
    top_keys, top_places = np.empty(most, np.uint64), np.empty(most, np.int32)
    names, times = np.empty(most, np.int32), np.empty(most, np.int32)
    seen = np.empty(most, np.bool_)
    sieve = np.empty(1 << _bits(8 * most), np.uint8)
    slots = np.empty(1 << _bits(2 * most), np.int32)
    for text in range(text_tokens.size - 1):
        first, last = np.int64(text_tokens[text]), np.int64(text_tokens[text + 1])
        words, ends = tokens[first:last], reach[first + text : last + text + 1]
        left = 0
        for n in range(FIRST_TOP, LAST_DUPLICATE + 1):
            first_run = n == FIRST_TOP
            left = (
                _sift_pairs(words, keys, places, hits, sieve)
                if first_run
                else _lengthen(words, n, left, keys, places)
            )
            if n <= LAST_TOP:
                left = left if first_run else _sift(left, keys, places, hits, sieve)
                times_most, where = _most_frequent(
                    left, keys, places, hits, top_keys, top_places, slots, names, times
                )
                # If no run occurs twice, the text's first run counts, as in datatrove.
                if last - first >= n:
                    counts[n - FIRST_TOP, text] = times_most * (
                        ends[where + n] - ends[where] + n - 1
                    )
                continue
            _name(keys, left, slots, names, times)
            counts[n - FIRST_TOP, text] = _repeated(n, left, places, names, times, seen, ends)
            kept = 0
            for index in range(left):
                at, to = np.uint64(index), np.uint64(kept)
                keys[to], places[to] = keys[at], places[at]
                kept += times[np.uint64(names[at])] > 1
            left = kept
            if left == 0:
                break


@njit
def _sift_pairs(tokens: Keys, keys: Keys, places: Integers, hits: Bytes, sieve: Bytes) -> int:
    """Find the pairs of tokens whose slot of the sieve was hit at least twice: their hashes,
    places, and how often the slot was hit (at most MOST_HITS). Returns their number.
    """
    count = max(tokens.size - 1, 0)
    bits = _bits(8 * max(count, 1))
    shift = np.uint64(64 - bits)
    sieve[: 1 << bits] = 0
    for index in range(count):
        at = np.uint64(index)
        slot = ((tokens[at] * NEXT + tokens[at + ONE]) * GOLDEN) >> shift
        sieve[slot] += sieve[slot] < MOST_HITS
    left = 0
    for index in range(count):
        at, to = np.uint64(index), np.uint64(left)
        key = tokens[at] * NEXT + tokens[at + ONE]
        hit = sieve[(key * GOLDEN) >> shift]
        keys[to], places[to], hits[to] = key, index, hit
        left += hit > 1
    return left


@njit
def _sift(count: int, keys: Keys, places: Integers, hits: Bytes, sieve: Bytes) -> int:
    """Find the longer runs whose slot of the sieve was hit at least twice, as `_sift_pairs`
    does.
    """
    bits = _bits(8 * max(count, 1))
    shift = np.uint64(64 - bits)
    sieve[: 1 << bits] = 0
    for index in range(count):
        slot = (keys[np.uint64(index)] * GOLDEN) >> shift
        sieve[slot] += sieve[slot] < MOST_HITS
    left = 0
    for index in range(count):
        at, to = np.uint64(index), np.uint64(left)
        hit = sieve[(keys[at] * GOLDEN) >> shift]
        keys[to], places[to], hits[to] = keys[at], places[at], hit
        left += hit > 1
    return left


@njit
def _lengthen(tokens: Keys, n: int, left: int, keys: Keys, places: Integers) -> int:
    """Go from the places with a repeated run of n - 1 tokens to those that may have one of n
    tokens: there the last n - 1 tokens are repeated too.
    """
    kept = 0
    for index in range(left):
        at, to = np.uint64(index), np.uint64(kept)
        place = places[at]
        follows = index + 1 < left and places[at + ONE] == place + 1
        keys[to], places[to] = (
            keys[at] * NEXT + tokens[np.uint64(min(place + n, tokens.size) - 1)],
            place,
        )
        kept += follows
    return kept


@njit
def _most_frequent(
    left: int, keys: Keys, places: Integers, hits: Bytes, top_keys: Keys, top_places: Integers,
    slots: Integers, names: Integers, times: Integers,
) -> tuple[int, int]:  # fmt: skip
    """How often the most frequent run occurs, and its first place. Of equally frequent runs the
    first in the text counts.

    A run is at most as frequent as its slot was hit. So the runs of the slots that were hit most
    are counted exactly. Then the runs of slots that might hold a more frequent run are counted.
    """
    most, where, at_least = 1, 0, 0
    for index in range(left):
        at_least = max(at_least, np.int64(hits[np.uint64(index)]))
    if at_least == 0:
        return 1, 0
    for _ in range(2):
        count = 0
        for index in range(left):
            at, to = np.uint64(index), np.uint64(count)
            top_keys[to], top_places[to] = keys[at], places[at]
            count += np.int64(hits[at]) >= at_least
        _name(top_keys, count, slots, names, times)
        most, where = 1, 0
        for index in range(count):
            often = times[np.uint64(names[np.uint64(index)])]
            if often > most:
                most, where = often, top_places[np.uint64(index)]
        if most >= at_least:
            break
        at_least = min(most, MOST_HITS)
    return most, where


@njit
def _repeated(
    n: int,
    left: int,
    places: Integers,
    names: Integers,
    times: Integers,
    seen: NDArray[np.bool_],
    ends: Integers,
) -> int:
    """Characters in runs that occurred before. The search goes on beyond a repeated run, so no
    character is counted twice.
    """
    seen[:left] = False
    characters = beyond = 0
    for index in range(left):
        place, name = places[index], names[index]
        if place >= beyond:
            if seen[name]:
                characters += ends[place + n] - ends[place]
                beyond = place + n
            seen[name] = True
    return characters


@njit
def _name(keys: Keys, count: int, slots: Integers, names: Integers, times: Integers) -> None:
    """Name every key by the first index with an equal key. Count how many keys share each name
    (`times`, valid at names only).
    """
    bits = _bits(2 * max(count, 1))
    slots[: 1 << bits] = -1
    mask, shift = np.uint64((1 << bits) - 1), np.uint64(64 - bits)
    for index in range(count):
        at = np.uint64(index)
        key = keys[at]
        slot = (key * GOLDEN) >> shift
        while slots[slot] >= 0 and keys[np.uint64(slots[slot])] != key:
            slot = (slot + ONE) & mask
        if slots[slot] < 0:
            slots[slot] = index
            times[at] = 0
        names[at] = slots[slot]
        times[np.uint64(slots[slot])] += 1


@njit
def _bits(count: int) -> int:
    """The number of bits of the smallest power of two that is at least `count`."""
    bits = 1
    while 1 << bits < count:
        bits += 1
    return bits
