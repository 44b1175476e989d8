"""MinHash signatures of documents, computed straight from the bytes of Arrow string buffers.

The steps, each a small kernel: text -> word hashes (and, in the same pass over the bytes, a 128-bit hash of the whole text) ->
shingle hashes (a rolling hash over n words) -> the smallest value of each of k permutations (the signature) -> one key per band
of rows. Two documents whose shingle sets have Jaccard similarity s agree in one signature value with probability s, and share at
least one of b band keys of r rows with probability 1 - (1 - s**r)**b.

Words are those of `stages.kernels.word_rule`. A document with fewer words than the n-gram has one shingle, its whole word sequence.
The 128-bit hash sees white space collapsed and nothing else changed: case and punctuation count.

Sources: Broder 1997, "On the resemblance and containment of documents"; banding: Leskovec, Rajaraman, Ullman, "Mining of Massive
Datasets", 3.4; multiply-add permutations of an already mixed hash modulo 2**32: Thorup 2013, "Bottom-k and priority sampling, set
similarity and subset sums with minimal independence" (why weak permutations of well-mixed values are good enough here).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from stages.kernels.word_rule import SPACE, UNSPACED_CHARACTER, WORD, word_tables

UInt64Array = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_PRIME = np.uint64(0x00000100000001B3)  # FNV-1a's 64-bit prime and basis: one multiplication a character
_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME_LOW = np.uint64(0x9E3779B97F4A7C15)
_BASIS_LOW = np.uint64(0x2545F4914F6CDD1D)
_ROLL = np.uint64(0xD6E8FEB86659FD93)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3's finaliser
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_BITS_32 = np.uint64(32)
_BITS_33 = np.uint64(33)
_EMPTY = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class Permutations:
    """k = len(multiplier) permutations h -> multiplier * h + addend modulo 2**32, and how they are cut into bands.

    multiplier, addend: uint32[k], the multipliers odd. bands * rows == k. seed: in [0, 2**64), also part of the band keys.
    """

    multiplier: npt.NDArray[np.uint32]
    addend: npt.NDArray[np.uint32]
    bands: int
    rows: int
    seed: int


@dataclass(frozen=True)
class Shingles:
    """The distinct shingle hashes of documents, one after the other: those of document i are sorted in
    `hashes[offsets[i]:offsets[i + 1]]`."""

    hashes: UInt64Array
    offsets: npt.NDArray[np.int64]


@lru_cache(maxsize=8)
def permutations(bands: int, rows: int, seed: int) -> Permutations:
    """The permutations of a seed: SplitMix64's stream, so that signatures stay the same for good, whatever NumPy does."""
    state, values = seed, []
    for _ in range(2 * bands * rows):
        state = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        values.append((mixed ^ (mixed >> 31)) >> 32)
    multiplier = np.array(values[0::2], dtype=np.uint32) | np.uint32(1)
    return Permutations(multiplier, np.array(values[1::2], dtype=np.uint32), bands, rows, seed)


def exact_hashes(offsets: Offsets, data: Bytes) -> UInt64Array:
    """A 128-bit hash of each text with its white space collapsed: uint64[documents, 2]."""
    hashes = np.empty((len(offsets) - 1, 2), dtype=np.uint64)
    _exact_all(offsets, data, *word_tables(), hashes)
    return hashes


def band_keys(
    offsets: Offsets, data: Bytes, ngram: int, perms: Permutations
) -> tuple[UInt64Array, UInt64Array, npt.NDArray[np.int64]]:
    """What matching needs of each text, in one pass over the bytes.

    Returns the band keys uint64[documents, bands], the exact hashes uint64[documents, 2] and the number of shingles
    int64[documents]; the band keys of a document without shingles mean nothing.
    """
    documents = len(offsets) - 1
    keys = np.empty((documents, perms.bands), dtype=np.uint64)
    exact = np.empty((documents, 2), dtype=np.uint64)
    counts = np.empty(documents, dtype=np.int64)
    seed = np.uint64(perms.seed)
    _sign_all(
        offsets, data, *word_tables(), ngram, perms.multiplier, perms.addend, perms.rows, seed, keys, exact, counts
    )
    return keys, exact, counts


def shingle_sets(offsets: Offsets, data: Bytes, ngram: int) -> Shingles:
    """The set of shingles of each text, as sorted distinct 64-bit hashes."""
    room = int(offsets[-1] - offsets[0]) // 2 + 2 * len(offsets)  # at most a word every two bytes
    sets = np.empty(room, dtype=np.uint64)
    bounds = np.zeros(len(offsets), dtype=np.int64)
    _shingle_all(offsets, data, *word_tables(), ngram, sets, bounds)
    return Shingles(sets[: bounds[-1]].copy(), bounds)


def signatures(shingles: Shingles, perms: Permutations) -> npt.NDArray[np.uint32]:
    """The MinHash signatures: uint32[documents, k]. A document without shingles has the largest value everywhere."""
    minima = np.empty((len(shingles.offsets) - 1, len(perms.multiplier)), dtype=np.uint32)
    _signature_all(shingles.offsets, shingles.hashes, perms.multiplier, perms.addend, minima)
    return minima


def keys_of_signatures(minima: npt.NDArray[np.uint32], perms: Permutations) -> UInt64Array:
    """The band keys of signatures, as `band_keys` computes them from text: uint64[documents, bands]."""
    keys = np.empty((len(minima), perms.bands), dtype=np.uint64)
    _bands_all(minima, perms.rows, np.uint64(perms.seed), keys)
    return keys


@numba.njit(cache=True, nogil=True, inline="always")
def _mix(value: Any) -> Any:
    value = (value ^ (value >> _BITS_33)) * _MIX_1
    value = (value ^ (value >> _BITS_33)) * _MIX_2
    return value ^ (value >> _BITS_33)


@numba.njit(cache=True, nogil=True)
def _words(data: Any, start: int, stop: int, kinds: Any, lower: Any, words: Any, exact: Any) -> int:
    """Hash the words of data[start:stop] into `words` and the whole text into `exact`; return the number of words.

    Bytes that are no UTF-8 count as characters of their own, so that nothing is read beyond `stop`.
    """
    count = 0
    word, in_word = _BASIS, False
    high, low, in_piece = _BASIS, _BASIS_LOW, False
    exact_high, exact_low = _BASIS, _BASIS_LOW
    i = start
    while i < stop:
        lead = int(data[i])
        code, size = lead, 1
        if lead >= 0x80:
            code = 0xDC00 + lead
            if lead >= 0xF0 and i + 3 < stop:
                code = (lead & 0x07) << 18 | int(data[i + 1] & 0x3F) << 12 | int(data[i + 2] & 0x3F) << 6
                code, size = code | int(data[i + 3] & 0x3F), 4
            elif 0xE0 <= lead < 0xF0 and i + 2 < stop:
                code, size = (lead & 0x0F) << 12 | int(data[i + 1] & 0x3F) << 6 | int(data[i + 2] & 0x3F), 3
            elif 0xC0 <= lead < 0xE0 and i + 1 < stop:
                code, size = (lead & 0x1F) << 6 | int(data[i + 1] & 0x3F), 2
        i += size
        if code < 0x10000:
            kind, folded = kinds[code], np.uint64(lower[code])
        else:
            kind = UNSPACED_CHARACTER if 0x20000 <= code <= 0x3FFFF else WORD
            folded = np.uint64(code)
        if kind == SPACE:
            if in_piece:
                exact_high = (exact_high ^ _mix(high)) * _ROLL
                exact_low = (exact_low ^ _mix(low)) * _MIX_1
                high, low, in_piece = _BASIS, _BASIS_LOW, False
            if in_word:
                words[count] = _mix(word)
                count += 1
                word, in_word = _BASIS, False
            continue
        raw = np.uint64(code)
        high, low, in_piece = (high ^ raw) * _PRIME, (low ^ raw) * _PRIME_LOW, True
        if kind == WORD:
            word, in_word = (word ^ folded) * _PRIME, True
        elif kind == UNSPACED_CHARACTER:
            if in_word:
                words[count] = _mix(word)
                count += 1
                word, in_word = _BASIS, False
            words[count] = _mix((_BASIS ^ folded) * _PRIME)
            count += 1
    if in_piece:
        exact_high = (exact_high ^ _mix(high)) * _ROLL
        exact_low = (exact_low ^ _mix(low)) * _MIX_1
    if in_word:
        words[count] = _mix(word)
        count += 1
    exact[0], exact[1] = _mix(exact_high), _mix(exact_low)
    return count


@numba.njit(cache=True, nogil=True)
def _shingles(words: Any, count: int, ngram: int, out: Any) -> int:
    """Rolling polynomial hash of every `ngram` words in a row, mixed; return how many there are."""
    if count == 0:
        return 0
    width = min(ngram, count)
    leaving = np.uint64(1)
    rolling = np.uint64(0)
    for j in range(width):
        rolling = rolling * _ROLL + words[j]
        if j:
            leaving = leaving * _ROLL
    out[0] = _mix(rolling)
    for j in range(width, count):
        rolling = (rolling - words[j - width] * leaving) * _ROLL + words[j]
        out[j - width + 1] = _mix(rolling)
    return count - width + 1


@numba.njit(cache=True, nogil=True)
def _signature(shingles: Any, multiplier: Any, addend: Any, minima: Any) -> None:
    """The inner loop runs over the permutations, eight 32-bit lanes at a time."""
    minima[:] = _EMPTY
    for shingle in shingles:
        hashed = np.uint32(shingle >> _BITS_32)
        for p in range(len(minima)):
            minima[p] = min(minima[p], np.uint32(multiplier[p] * hashed + addend[p]))


@numba.njit(cache=True, nogil=True)
def _bands(minima: Any, rows: int, seed: Any, keys: Any) -> None:
    for band in range(len(keys)):
        key = _mix(seed ^ (np.uint64(band + 1) * _PRIME_LOW))
        for row in range(band * rows, (band + 1) * rows):
            key = _mix(key ^ np.uint64(minima[row]))
        keys[band] = key


@numba.njit(cache=True, nogil=True)
def _signature_all(offsets: Any, hashes: Any, multiplier: Any, addend: Any, minima: Any) -> None:
    for i in range(len(minima)):
        _signature(hashes[offsets[i] : offsets[i + 1]], multiplier, addend, minima[i])


@numba.njit(cache=True, nogil=True)
def _bands_all(minima: Any, rows: int, seed: Any, keys: Any) -> None:
    for i in range(len(minima)):
        _bands(minima[i], rows, seed, keys[i])


@numba.njit(cache=True, nogil=True)
def _longest(offsets: Any) -> int:
    longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    return longest


@numba.njit(cache=True, nogil=True)
def _sign_all(
    offsets: Any,
    data: Any,
    kinds: Any,
    lower: Any,
    ngram: int,
    multiplier: Any,
    addend: Any,
    rows: int,
    seed: Any,
    keys: Any,
    exact: Any,
    counts: Any,
) -> None:
    words = np.empty(_longest(offsets) // 2 + 2, dtype=np.uint64)
    shingles = np.empty(len(words), dtype=np.uint64)
    minima = np.empty(len(multiplier), dtype=np.uint32)
    for i in range(len(offsets) - 1):
        count = _words(data, offsets[i], offsets[i + 1], kinds, lower, words, exact[i])
        counts[i] = _shingles(words, count, ngram, shingles)
        _signature(shingles[: counts[i]], multiplier, addend, minima)
        _bands(minima, rows, seed, keys[i])


@numba.njit(cache=True, nogil=True)
def _exact_all(offsets: Any, data: Any, kinds: Any, lower: Any, exact: Any) -> None:
    words = np.empty(_longest(offsets) // 2 + 2, dtype=np.uint64)
    for i in range(len(offsets) - 1):
        _words(data, offsets[i], offsets[i + 1], kinds, lower, words, exact[i])


@numba.njit(cache=True, nogil=True)
def _shingle_all(offsets: Any, data: Any, kinds: Any, lower: Any, ngram: int, sets: Any, bounds: Any) -> None:
    words = np.empty(_longest(offsets) // 2 + 2, dtype=np.uint64)
    shingles = np.empty(len(words), dtype=np.uint64)
    exact = np.empty(2, dtype=np.uint64)
    end = 0
    for i in range(len(offsets) - 1):
        count = _words(data, offsets[i], offsets[i + 1], kinds, lower, words, exact)
        found = _shingles(words, count, ngram, shingles)
        ordered = np.sort(shingles[:found])
        for j in range(found):
            if j == 0 or ordered[j] != ordered[j - 1]:
                sets[end] = ordered[j]
                end += 1
        bounds[i + 1] = end


@numba.njit(cache=True, nogil=True)
def jaccard(left: Any, right: Any) -> float:
    """Jaccard similarity of two sets given as sorted distinct hashes; 0 if both are empty. Callable from kernels and Python."""
    i = j = shared = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            shared += 1
            i += 1
            j += 1
        elif left[i] < right[j]:
            i += 1
        else:
            j += 1
    union = len(left) + len(right) - shared
    return shared / union if union else 0.0
