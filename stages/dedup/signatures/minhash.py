"""MinHash signatures and band keys of shingle sets, in one pass from text to keys.

Take two documents whose shingle sets have Jaccard similarity s. They agree in one value of their
signatures with probability s. They share at least one of b band keys of r rows with probability 1 -
(1 - s**r)**b. There are two ways to a signature of k values:

- **one permutation** (the default). A shingle falls into one of k bins by its hash and counts only
  there. So a shingle costs one multiplication and not k. In a short document some bins stay empty.
  They take over values of filled bins, in rounds: every filled bin offers its value to one bin,
  which a hash of round and bin chooses, and an empty bin takes the first offer. The choice does not
  depend on the document. So two documents fill alike, and the probabilities above hold. Sources:
  Li, Owen, Zhang 2012, "One permutation hashing" (NIPS); Shrivastava 2017, "Optimal densification
  for fast and accurate minwise hashing" (ICML). Filling from the full bins, O(k log k) for any
  document: Mai, Rao, Kapilevich, Rossi, Abbasi-Yadkori, Sinha 2020, "On densification for minwise
  hashing" (UAI).
- **classic**: the smallest value of each of k permutations h -> a h + b modulo 2**32. It equals
  datasketch's scheme `affine32` bit for bit. To compare, give datasketch the multipliers and
  addends of `Scheme` as `permutations`, the upper halves of the shingle hashes as items, and the
  identity as `hashfunc`. Source: Broder 1997, "On the resemblance and containment of documents".

Banding: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.dedup.signatures.normalization import Normalization, tables
from corpusmill.stages.dedup.signatures.shingles import (
    Bytes,
    Offsets,
    Shingles,
    UInt64Array,
    hash_shingles,
)
from corpusmill.stages.dedup.signatures.words import hash_words, mix, most_words

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_DRAW_1 = np.uint64(0xD6E8FEB86659FD93)
_DRAW_2 = np.uint64(0xFF51AFD7ED558CCD)
_BITS_32 = np.uint64(32)
_EMPTY = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class Scheme:
    """How signatures are made and cut into bands: k = bands * rows values.

    one_permutation: True for that scheme, False for the classic one. multiplier, addend: uint32[k],
    the classic permutations; multipliers are odd. permutation: the one permutation, a
    multiplication by an odd number. seed: in [0, 2**64), also part of the band keys.
    """

    one_permutation: bool
    multiplier: npt.NDArray[np.uint32]
    addend: npt.NDArray[np.uint32]
    permutation: np.uint64
    bands: int
    rows: int
    seed: np.uint64


@lru_cache(maxsize=8)
def make_scheme(bands: int, rows: int, seed: int, one_permutation: bool = True) -> Scheme:
    """The scheme of a seed. Its numbers come from SplitMix64, so signatures stay the same with
    every version of NumPy.
    """
    state, values = seed, []
    for _ in range(2 * bands * rows + 1):
        state = (state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        values.append(mixed ^ (mixed >> 31))
    *drawn, last = values
    multiplier = np.array([value >> 32 for value in drawn[0::2]], dtype=np.uint32) | np.uint32(1)
    addend = np.array([value >> 32 for value in drawn[1::2]], dtype=np.uint32)
    return Scheme(
        one_permutation, multiplier, addend, np.uint64(last | 1), bands, rows, np.uint64(seed)
    )


def band_keys(
    data: Bytes,
    offsets: Offsets,
    ngram: int,
    scheme: Scheme,
    normalization: Normalization = "words",
) -> tuple[UInt64Array, UInt64Array, npt.NDArray[np.int64]]:
    """The keys and hashes that matching needs, in one pass over the bytes.

    Returns the band keys uint64[documents, bands], the exact hashes uint64[documents, 2] and the
    number of shingles int64[documents]. The band keys of a document without shingles mean nothing.
    """
    documents = len(offsets) - 1
    keys = np.empty((documents, scheme.bands), dtype=np.uint64)
    exact = np.empty((documents, 2), dtype=np.uint64)
    counts = np.empty(documents, dtype=np.int64)
    _sign_all(
        data,
        offsets,
        *tables(normalization),
        ngram,
        *_numbers(scheme),
        scheme.rows,
        scheme.seed,
        keys,
        exact,
        counts,
    )
    return keys, exact, counts


def signatures(shingles: Shingles, scheme: Scheme) -> npt.NDArray[np.uint32]:
    """The signatures: uint32[documents, k]. A document without shingles has the largest value
    everywhere.
    """
    minima = np.empty((len(shingles.offsets) - 1, len(scheme.multiplier)), dtype=np.uint32)
    _signature_all(shingles.offsets, shingles.hashes, *_numbers(scheme), minima)
    return minima


def keys_of_signatures(minima: npt.NDArray[np.uint32], scheme: Scheme) -> UInt64Array:
    """The band keys of signatures, as `band_keys` computes them from text: uint64[documents,
    bands].
    """
    keys = np.empty((len(minima), scheme.bands), dtype=np.uint64)
    _bands_all(minima, scheme.rows, scheme.seed, keys)
    return keys


def _numbers(scheme: Scheme) -> tuple[bool, Any, Any, np.uint64]:
    return scheme.one_permutation, scheme.multiplier, scheme.addend, scheme.permutation


@njit(nogil=True)
def _one_permutation(shingles: Any, permutation: Any, minima: Any, full: Any) -> None:
    """One signature of the one-permutation scheme, into `minima`. full: room for k bin numbers."""
    bins = np.uint64(len(minima))
    minima[:] = _EMPTY
    for shingle in shingles:
        permuted = shingle * permutation
        place = ((permuted >> _BITS_32) * bins) >> _BITS_32
        minima[place] = min(minima[place], np.uint32(permuted))
    filled = 0
    for place in range(len(minima)):
        if minima[place] != _EMPTY:
            full[filled] = place
            filled += 1
    empty = len(minima) - filled if filled else 0
    offer = np.uint64(0)
    while empty > 0:
        offer += np.uint64(1)
        for giver in full[:filled]:
            drawn = (offer << _BITS_32 | np.uint64(giver)) * _DRAW_1
            drawn = (drawn ^ (drawn >> _BITS_32)) * _DRAW_2
            place = ((drawn >> _BITS_32) * bins) >> _BITS_32
            if minima[place] == _EMPTY:
                minima[place] = minima[giver]
                empty -= 1


@njit(nogil=True)
def _classic(shingles: Any, multiplier: Any, addend: Any, minima: Any) -> None:
    """One signature of the classic scheme, into `minima`. The inner loop runs over the
    permutations, eight 32-bit lanes at a time.
    """
    minima[:] = _EMPTY
    for shingle in shingles:
        hashed = np.uint32(shingle >> _BITS_32)
        # MurmurHash3's 32-bit finaliser.
        hashed = (hashed ^ (hashed >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        hashed = (np.uint32(hashed) ^ (np.uint32(hashed) >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        hashed = np.uint32(hashed) ^ (np.uint32(hashed) >> np.uint32(16))
        for p in range(len(minima)):
            minima[p] = min(minima[p], np.uint32(multiplier[p] * hashed + addend[p]))


@njit(nogil=True)
def _signature(
    shingles: Any,
    one_permutation: bool,
    multiplier: Any,
    addend: Any,
    permutation: Any,
    minima: Any,
    full: Any,
) -> None:
    if one_permutation:
        _one_permutation(shingles, permutation, minima, full)
    else:
        _classic(shingles, multiplier, addend, minima)


@njit(nogil=True)
def _bands(minima: Any, rows: int, seed: Any, keys: Any) -> None:
    for band in range(len(keys)):
        key = mix(seed ^ (np.uint64(band + 1) * _GOLDEN))
        for row in range(band * rows, (band + 1) * rows):
            key = mix(key ^ np.uint64(minima[row]))
        keys[band] = key


@njit(nogil=True)
def _signature_all(
    offsets: Any,
    hashes: Any,
    one_permutation: bool,
    multiplier: Any,
    addend: Any,
    permutation: Any,
    minima: Any,
) -> None:
    full = np.empty(len(multiplier), dtype=np.int64)
    for i in range(len(minima)):
        found = hashes[offsets[i] : offsets[i + 1]]
        _signature(found, one_permutation, multiplier, addend, permutation, minima[i], full)


@njit(nogil=True)
def _bands_all(minima: Any, rows: int, seed: Any, keys: Any) -> None:
    for i in range(len(minima)):
        _bands(minima[i], rows, seed, keys[i])


@njit(nogil=True)
def _sign_all(
    data: Any,
    offsets: Any,
    kinds: Any,
    lower: Any,
    ngram: int,
    one_permutation: bool,
    multiplier: Any,
    addend: Any,
    permutation: Any,
    rows: int,
    seed: Any,
    keys: Any,
    exact: Any,
    counts: Any,
) -> None:
    words = np.empty(most_words(offsets[:-1], offsets[1:]), dtype=np.uint64)
    shingles = np.empty(len(words), dtype=np.uint64)
    minima = np.empty(len(multiplier), dtype=np.uint32)
    full = np.empty(len(multiplier), dtype=np.int64)
    for i in range(len(offsets) - 1):
        count, _, _ = hash_words(data, offsets[i], offsets[i + 1], kinds, lower, words, exact[i])
        counts[i] = hash_shingles(words, count, ngram, shingles)
        _signature(
            shingles[: counts[i]], one_permutation, multiplier, addend, permutation, minima, full
        )
        _bands(minima, rows, seed, keys[i])
