"""From texts to sets of word n-grams, without a Python object for any word.

    bytes -> words (64-bit hashes) -> shingles (rolling hash of `ngram` words)
          -> a sorted set of hashes for each document

What a word is follows the normalization (`normalization.py`). A document with fewer words than the
n-gram has one shingle of all its words. The same pass hashes the whole text to 128 bits, with its
white space collapsed. In that hash case and punctuation count. It also hashes the figures of the
text in their order: numbers and operators, under the rule `meaning` only.

The loop over characters has one branch that a processor cannot guess, at the end of each word.
Indexes are unsigned, so numba does not test for negative ones. Both together doubled its speed.

Sources: FNV-1a (Fowler, Noll, Vo) for characters; MurmurHash3's finaliser as the mixer; Karp and
Rabin 1987 for the rolling hash.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.columns.word_rule import (
    SPACE,
    UNSPACED_CHARACTER,
    WORD,
    word_tables,
)
from corpusmill.stages.dedup.signatures.normalization import (
    DIGIT,
    SIGN,
    Normalization,
    tables,
)
from corpusmill.stages.dedup.signatures.signs import COUNTS, DROP, is_figure, judge_sign

UInt64Array = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# FNV-1a's 64-bit prime and basis: one multiplication a character.
_PRIME = np.uint64(0x00000100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
# For the second half of the 128-bit hash: another odd multiplier and another start.
_PRIME_LOW = np.uint64(0x9E3779B97F4A7C15)
_BASIS_LOW = np.uint64(0x2545F4914F6CDD1D)
_ROLL = np.uint64(0xD6E8FEB86659FD93)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_BITS_32 = np.uint64(32)
_BITS_33 = np.uint64(33)
_ONE = np.uint64(1)
_BLANK = np.uint64(0x20)
_NEWLINE = np.uint64(0x0A)


@dataclass(frozen=True)
class Shingles:
    """The distinct shingle hashes of documents, one document after the other. Those of document i
    are sorted in `hashes[offsets[i]:offsets[i + 1]]`.

    figures: for each document, hashes of its numbers and operators, and of its letters:
    uint64[documents, 2]. None if the rule does not know them. words: word hashes in the order of
    the text; those of document i are `words[word_offsets[i]:word_offsets[i + 1]]`. None if nobody
    asked for them.
    """

    hashes: UInt64Array
    offsets: npt.NDArray[np.int64]
    figures: UInt64Array | None = None
    words: UInt64Array | None = None
    word_offsets: npt.NDArray[np.int64] | None = None


def exact_hashes(data: Bytes, offsets: Offsets) -> UInt64Array:
    """A 128-bit hash of each text with its white space collapsed: uint64[documents, 2]."""
    hashes = np.empty((len(offsets) - 1, 2), dtype=np.uint64)
    _exact_all(data, offsets, *word_tables(), hashes)
    return hashes


def sort_hashes(hashes: UInt64Array, payload: UInt64Array) -> tuple[UInt64Array, UInt64Array]:
    """Both arrays in the order of `hashes`, which are uniform over 64 bits. Equal hashes keep the
    order of the input.
    """
    ordered, carried = np.empty_like(hashes), np.empty_like(payload)
    _sort_pairs(hashes, payload, ordered, carried, np.empty(len(hashes) + 1, dtype=np.int64))
    return ordered, carried


def shingle_sets(
    data: Bytes,
    offsets: Offsets,
    ngram: int,
    chosen: npt.NDArray[np.int64] | None = None,
    normalization: Normalization = "words",
    with_words: bool = False,
) -> Shingles:
    """The set of shingles of each text, as sorted distinct 64-bit hashes. chosen: indexes of the
    texts, in this order; by default all. with_words: also keep the words.
    """
    chosen = np.arange(len(offsets) - 1) if chosen is None else chosen
    starts, stops = offsets[:-1][chosen], offsets[1:][chosen]
    # At most a word every two bytes.
    room = int((stops - starts).sum()) // 2 + 2 * (len(chosen) + 1)
    sets = np.empty(room, dtype=np.uint64)
    bounds = np.zeros(len(chosen) + 1, dtype=np.int64)
    figures = np.empty((len(chosen), 2), dtype=np.uint64)
    words = np.empty(room if with_words else 0, dtype=np.uint64)
    word_bounds = np.zeros(len(chosen) + 1, dtype=np.int64)
    _shingle_all(
        data,
        starts,
        stops,
        *tables(normalization),
        ngram,
        sets,
        bounds,
        figures,
        with_words,
        words,
        word_bounds,
    )
    # The rest of the memory was never touched.
    found = Shingles(sets[: bounds[-1]], bounds, figures if normalization == "meaning" else None)
    if not with_words:
        return found
    return replace(found, words=words[: word_bounds[-1]], word_offsets=word_bounds)


@njit(nogil=True, inline="always")
def mix(value: Any) -> Any:
    """A bijection on 64 bits after which every bit depends on every bit."""
    value = (value ^ (value >> _BITS_33)) * _MIX_1
    value = (value ^ (value >> _BITS_33)) * _MIX_2
    return value ^ (value >> _BITS_33)


@njit(nogil=True)
def hash_words(
    data: Any, start: int, stop: int, kinds: Any, lower: Any, words: Any, exact: Any
) -> Any:
    """Hash the words of data[start:stop] into `words` and the whole text into `exact`. Return the
    number of words, a hash of the figures (what begins with a digit, and operators) and one of the
    letters besides.

    A sign that counts is part of its word's hash, or of the next one's if it stands alone or before
    a word. So a text has the same number of words and shingles as without signs.

    words: room for (stop - start) // 2 + 2. Bytes that are no UTF-8 count as characters of their
    own, so nothing is read beyond `stop`.
    """
    count = np.uint64(0)
    word, high, low = _BASIS, _BASIS, _BASIS_LOW
    # The hash up to the last character that is no white space.
    whole_high, whole_low, after_space = _BASIS, _BASIS_LOW, True
    signs = np.uint64(0)  # those that stand before the next word
    figures, plain = _BASIS, _BASIS
    # Whether the segment, from the last sign or blank on, begins with a digit; and its length.
    numeric, segment, operand = False, 0, False
    last, last_code, fresh = np.uint8(SPACE), np.uint64(0), True
    i, end, judged = np.uint64(start), np.uint64(stop), np.uint64(0)
    while i < end:
        lead = data[i]
        i += _ONE
        if lead < 0x80:
            raw, kind, folded = np.uint64(lead), kinds[lead], np.uint64(lower[lead])
        else:
            code, size = _decode(data, i - _ONE, end)
            i += size
            raw = np.uint64(code)
            if code < 0x10000:
                kind, folded = kinds[code], np.uint64(lower[code])
            else:
                kind, folded = (
                    np.uint8(UNSPACED_CHARACTER if 0x20000 <= code <= 0x3FFFF else WORD),
                    raw,
                )
        verdict = DROP
        if kind == SIGN and i > judged:
            verdict, judged = judge_sign(
                data, i, end, folded, last, last_code, segment, operand, fresh, kinds, lower
            )
        if kind in (SPACE, UNSPACED_CHARACTER):
            if word != _BASIS:  # a word's hash equals the basis once in 2**64
                words[count] = mix(word ^ signs)
                count += _ONE
                word, signs = _BASIS, np.uint64(0)
            if numeric:
                figures, numeric = (figures ^ _BLANK) * _PRIME, False
            if last != SPACE:
                operand = last in (DIGIT, SIGN) or (last == WORD and segment == 1)
            last, segment = kind, 0
            if kind == SPACE:
                fresh = fresh or raw == _NEWLINE
                if not after_space:
                    whole_high, whole_low, after_space = high, low, True
                    high, low = (high ^ _BLANK) * _PRIME, (low ^ _BLANK) * _PRIME_LOW
                continue
            fresh = False
            words[count] = mix(((_BASIS ^ folded) * _PRIME) ^ signs)
            count += _ONE
            plain, signs = (plain ^ folded) * _PRIME, np.uint64(0)
        elif verdict == COUNTS:
            if word == _BASIS:
                signs = mix((signs ^ folded) * _PRIME)
            else:
                word = (word ^ folded) * _PRIME
            if numeric:
                figures, numeric = (figures ^ _BLANK) * _PRIME, False
            if is_figure(folded):
                figures = (figures ^ folded) * _PRIME
            last, last_code, segment, fresh = kind, folded, 0, False
        elif kind in (WORD, DIGIT) or verdict != DROP:
            numeric = numeric or (kind != WORD and segment == 0)
            word = (word ^ folded) * _PRIME
            if numeric:
                figures = (figures ^ folded) * _PRIME
            else:
                plain = (plain ^ folded) * _PRIME
            last, last_code, fresh = kind, folded, False
            segment += 1
        after_space = False
        high, low = (high ^ raw) * _PRIME, (low ^ raw) * _PRIME_LOW
    if numeric:
        figures = (figures ^ _BLANK) * _PRIME
    if not after_space:
        whole_high, whole_low = high, low
    if word != _BASIS:
        words[count] = mix(word ^ signs)
        count += _ONE
    elif signs and count:
        words[count - _ONE] = mix(words[count - _ONE] ^ signs)
    exact[0], exact[1] = mix(whole_high), mix(whole_low)
    return np.int64(count), figures, plain


@njit(nogil=True, inline="always")
def _decode(data: Any, i: Any, end: Any) -> Any:
    """The character that begins at data[i], whose lead byte is not ASCII; and the number of bytes
    after its first.
    """
    lead = np.uint32(data[i])
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    low = np.uint32(0x3F)
    if lead >= 0xF0 and i + three < end:
        code = (lead & np.uint32(0x07)) << np.uint32(18) | (data[i + one] & low) << np.uint32(12)
        return code | (data[i + two] & low) << np.uint32(6) | (data[i + three] & low), three
    if 0xE0 <= lead < 0xF0 and i + two < end:
        return (lead & np.uint32(0x0F)) << np.uint32(12) | (data[i + one] & low) << np.uint32(6) | (
            data[i + two] & low
        ), two
    if 0xC0 <= lead < 0xE0 and i + one < end:
        return (lead & np.uint32(0x1F)) << np.uint32(6) | (data[i + one] & low), one
    return np.uint32(0xDC00) + lead, np.uint64(0)


@njit(nogil=True)
def hash_shingles(words: Any, count: int, ngram: int, out: Any) -> int:
    """Write a rolling polynomial hash of every `ngram` words in a row, mixed. Return how many there
    are.
    """
    if count == 0:
        return 0
    width = min(ngram, count)
    leaving = _ONE
    rolling = np.uint64(0)
    for j in range(width):
        rolling = rolling * _ROLL + words[j]
        if j:
            leaving = leaving * _ROLL
    out[0] = mix(rolling)
    for j in range(width, count):
        rolling = (rolling - words[j - width] * leaving) * _ROLL + words[j]
        out[j - width + 1] = mix(rolling)
    return count - width + 1


@njit(nogil=True)
def most_words(starts: Any, stops: Any) -> int:
    """The number of words that the longest text can have."""
    longest = 0
    for i in range(len(starts)):
        longest = max(longest, stops[i] - starts[i])
    return longest // 2 + 2


@njit(nogil=True)
def jaccard(left: Any, right: Any) -> float:
    """Jaccard similarity of two sets, given as sorted distinct hashes; 0 if both are empty. Kernels
    and Python can call it.
    """
    i = j = shared = 0
    while i < len(left) and j < len(right):
        one, other = left[i], right[j]
        shared += one == other
        i += one <= other
        j += other <= one
    union = len(left) + len(right) - shared
    return shared / union if union else 0.0


@njit(nogil=True)
def _exact_all(data: Any, offsets: Any, kinds: Any, lower: Any, exact: Any) -> None:
    words = np.empty(most_words(offsets[:-1], offsets[1:]), dtype=np.uint64)
    for i in range(len(offsets) - 1):
        hash_words(data, offsets[i], offsets[i + 1], kinds, lower, words, exact[i])


@njit(nogil=True)
def _shingle_all(
    data: Any,
    starts: Any,
    stops: Any,
    kinds: Any,
    lower: Any,
    ngram: int,
    sets: Any,
    bounds: Any,
    figures: Any,
    with_words: bool,
    all_words: Any,
    word_bounds: Any,
) -> None:
    words = np.empty(most_words(starts, stops), dtype=np.uint64)
    shingles = np.empty(len(words), dtype=np.uint64)
    exact = np.empty(2, dtype=np.uint64)
    ends = np.empty(len(words) + 1, dtype=np.int64)
    end = word_end = 0
    for i in range(len(starts)):
        count, figures[i, 0], figures[i, 1] = hash_words(
            data, starts[i], stops[i], kinds, lower, words, exact
        )
        if with_words:
            all_words[word_end : word_end + count] = words[:count]
            word_end += count
        word_bounds[i + 1] = word_end
        found = hash_shingles(words, count, ngram, shingles)
        end += _sort_distinct(shingles[:found], sets[end : end + found], ends)
        bounds[i + 1] = end


@njit(nogil=True)
def _bucket_starts(hashes: Any, starts: Any) -> None:
    """Where the hashes of each of len(hashes) equal ranges begin in sorted order. starts:
    int64[len(hashes) + 1].
    """
    buckets = np.uint64(len(hashes))
    starts[:] = 0
    for value in hashes:
        starts[((value >> _BITS_32) * buckets >> _BITS_32) + _ONE] += 1
    for bucket in range(len(hashes)):
        starts[bucket + 1] += starts[bucket]


@njit(nogil=True)
def _sort_pairs(hashes: Any, payload: Any, out: Any, carried: Any, starts: Any) -> None:
    """Like `_sort_distinct`, but it keeps equal hashes and moves a payload with them."""
    buckets = np.uint64(len(hashes))
    _bucket_starts(hashes, starts)
    for i in range(len(hashes)):
        bucket = (hashes[i] >> _BITS_32) * buckets >> _BITS_32
        place = starts[bucket]
        out[place], carried[place] = hashes[i], payload[i]
        starts[bucket] = place + 1
    for i in range(1, len(hashes)):
        value, load, place = out[i], carried[i], i
        while place > 0 and out[place - 1] > value:
            out[place], carried[place] = out[place - 1], carried[place - 1]
            place -= 1
        out[place], carried[place] = value, load


@njit(nogil=True)
def _sort_distinct(hashes: Any, out: Any, ends: Any) -> int:
    """Write the distinct values of `hashes` to `out` in order. Return how many there are.

    Hashes are uniform. So a counting sort by their upper bits, into about as many buckets as there
    are hashes, leaves little for the insertion sort that follows. This is three times as fast as a
    comparison sort. ends: room for len(hashes) + 1.
    """
    buckets = np.uint64(len(hashes))
    _bucket_starts(hashes, ends[: len(hashes) + 1])
    for value in hashes:
        bucket = (value >> _BITS_32) * buckets >> _BITS_32
        out[ends[bucket]] = value
        ends[bucket] += 1
    for i in range(1, len(hashes)):
        value, place = out[i], i
        while place > 0 and out[place - 1] > value:
            out[place] = out[place - 1]
            place -= 1
        out[place] = value
    distinct = 0
    for place in range(len(hashes)):
        if place == 0 or out[place] != out[distinct - 1]:
            out[distinct] = out[place]
            distinct += 1
    return distinct
