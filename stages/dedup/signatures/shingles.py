"""From texts to sets of word n-grams, without a Python object for any word.

    bytes -> words (64-bit hashes) -> shingles (rolling hash of `ngram` words)
          -> a sorted set of hashes for each document

What a word is follows the normalization (`normalization.py`). A document with fewer words than the
n-gram has one shingle of all its words.

Source: Karp and Rabin 1987 for the rolling hash.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.columns.word_rule import word_tables
from corpusmill.stages.dedup.signatures.normalization import Normalization, tables
from corpusmill.stages.dedup.signatures.sorting import sort_distinct
from corpusmill.stages.dedup.signatures.words import hash_words, mix, most_words

UInt64Array = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_ROLL = np.uint64(0xD6E8FEB86659FD93)
_ONE = np.uint64(1)


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
        end += sort_distinct(shingles[:found], sets[end : end + found], ends)
        bounds[i + 1] = end
