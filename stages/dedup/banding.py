"""How many bands of how many rows: published pairs, or the best pair for a similarity
threshold.

A pair of similarity s becomes a candidate with probability 1 - (1 - s**rows)**bands. For a
threshold t, compare all bandings with at most `hashes` values. Two areas count: candidates
below t, where each costs a check, and missed pairs above t, where each may leave a duplicate.
The banding with the smallest weighted sum of the areas is taken. That is the rule of
datasketch's MinHashLSH (Zhu et al. 2016, "LSH Ensemble", section 5).
"""

from functools import lru_cache

import numpy as np

PRESETS = {"fineweb": (14, 8), "nemotron_cc": (20, 13), "dolma": (26, 11)}
# The integrands are smooth, so this is far more exact than needed.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def candidate_probability(similarity: float, bands: int, rows: int) -> float:
    """The chance that a pair of this similarity shares a band."""
    return float(1 - (1 - similarity**rows) ** bands)


@lru_cache(maxsize=64)
def best_banding(threshold: float, hashes: int, miss_weight: float = 0.5) -> tuple[int, int]:
    """(bands, rows) with bands * rows <= hashes. miss_weight: weight of missed pairs; needless
    candidates have the rest of 1.
    """
    below = threshold * (_NODES + 1) / 2
    above = threshold + (1 - threshold) * (_NODES + 1) / 2
    best, least = (1, 1), float("inf")
    for bands in range(1, hashes + 1):
        rows = np.arange(1, hashes // bands + 1)[:, None]
        needless = (1 - (1 - below**rows) ** bands) @ _WEIGHTS * threshold / 2
        missed = (1 - above**rows) ** bands @ _WEIGHTS * (1 - threshold) / 2
        error = (1 - miss_weight) * needless + miss_weight * missed
        if error.min() < least:
            least, best = float(error.min()), (bands, int(error.argmin()) + 1)
    return best
