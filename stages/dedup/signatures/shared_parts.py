"""How two similar texts differ: kernels that verify a pair by its words and its figures.

Two rows of one prompt may share a preamble of a thousand words and differ in the twenty that
follow. By Jaccard similarity they are near duplicates. So a pair is looked at once more: the
beginning and the end that both share, word by word, are left out. If the rests still hold a shingle
each, and are unlike, only the shared part was alike. Scattered small edits are another case: what
lies between the first and the last of them is alike.

Time is linear in the lengths of the two texts.
"""

from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.dedup.signatures.shingles import hash_shingles, jaccard

# In a longer text a counter or a date may differ, in a shorter one numbers are the content.
SHORT = 196  # shingles
UNLIKE = 0.5  # rests below this similarity are unlike


@njit(nogil=True)
def only_figures_differ(size: Any, other_size: Any, figures: Any, other_figures: Any) -> bool:
    """Whether two short texts differ in numbers and operators and in nothing else. Then they are
    no duplicates. size, other_size: numbers of shingles. figures: `Shingles.figures` of both.
    """
    short = min(size, other_size) < SHORT
    return short and figures[0] != other_figures[0] and figures[1] == other_figures[1]


@njit(nogil=True)
def shared_part(words: Any, other: Any, ngram: int) -> Any:
    """(words of the shared beginning, words of the shared end) if the rests of the two texts are
    unlike, else (0, 0).
    """
    shortest = min(len(words), len(other))
    begin = 0
    while begin < shortest and words[begin] == other[begin]:
        begin += 1
    end = 0
    while end < shortest - begin and words[len(words) - 1 - end] == other[len(other) - 1 - end]:
        end += 1
    if shortest - begin - end < ngram:
        return 0, 0
    rest = _shingles(words[begin : len(words) - end], ngram)
    if jaccard(rest, _shingles(other[begin : len(other) - end], ngram)) >= UNLIKE:
        return 0, 0
    return begin, end


@njit(nogil=True)
def shared_parts(
    words: Any, word_offsets: Any, ngram: int, documents: Any, survivors: Any, parts: Any
) -> None:
    """`shared_part` of each of `documents` and its survivor, into `parts`: int64[documents, 2]."""
    for i in range(len(documents)):
        one, other = documents[i], survivors[i]
        parts[i, 0], parts[i, 1] = shared_part(
            words[word_offsets[one] : word_offsets[one + 1]],
            words[word_offsets[other] : word_offsets[other + 1]],
            ngram,
        )


@njit(nogil=True)
def _shingles(words: Any, ngram: int) -> Any:
    """The shingles as sorted distinct hashes."""
    found = np.empty(len(words), np.uint64)
    return np.unique(found[: hash_shingles(words, len(words), ngram, found)])
