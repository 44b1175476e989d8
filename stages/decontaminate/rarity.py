"""How much a word says: its information in bits, -log2 of its share of all words.

The sum over a passage tells how unlikely the passage is by chance. So one number compares a short
question of rare words with a long one of common words.

A word's share is the larger of two estimates. The first comes from its rank r in a list of the
commonest words: 0.1 / r (Zipf 1949, "Human Behavior and the Principle of Least Effort"). The second
is its share of the evaluation sets, if it is in several items: words of other languages, and words
that every item has.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from corpusmill.manifests.package_data import package_file
from numpy.typing import NDArray

RAREST = 17.0  # bits of a word that nobody knows: rank 13,000
SINGLE_CHARACTER = 9.0  # of a character that is a word of its own, in scripts without spaces
ENOUGH = 5  # items that must have a word before its share of the sets counts
LIST = ("models", "common_words", "english.txt")


@lru_cache(maxsize=1)
def ranks() -> dict[str, int]:
    """Word -> its rank, from 1 on."""
    lines = package_file(*LIST).read_text(encoding="utf-8").split()
    return {word: rank for rank, word in enumerate(lines, 1)}


def bits_of(
    words: Sequence[str], counts: NDArray[np.int64], items: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The bits of each word: float32[words].

    counts: how often the evaluation sets have it. items: in how many items.
    """
    known = ranks()
    listed = np.array([_listed(word, known) for word in words], np.float64)
    share = np.where(items >= ENOUGH, counts / max(1, counts.sum()), 2.0**-RAREST)
    return np.minimum(listed, -np.log2(share)).astype(np.float32)


def _listed(word: str, known: dict[str, int]) -> float:
    if word in known:
        return math.log2(10 * known[word])
    return SINGLE_CHARACTER if len(word) == 1 and not word.isascii() else RAREST
