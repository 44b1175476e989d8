"""The design: which mixtures the proxy runs are trained on.

As RegMix does it (arXiv 2407.01492, section 3 and its released code): mixtures are drawn from
Dirichlet distributions around the natural shares, flattened by a temperature. Their strengths lie
between 0.1 (nearly one source alone) and 5 (near the centre). A source's share has a cap, so that
the blend would not repeat it too often. RegMix draws again what is above a cap. Here the rest goes
to the other sources in proportion, as `blend` does it, so that a design exists below any caps.

Mixture 0 is the natural one. Mixture k depends on the seed and k alone, so a larger design has the
smaller one in it. Letters in names of arrays: R runs or mixtures, S sources.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TEMPERATURE = 0.5  # RegMix: exponent of the natural shares
STRENGTHS = np.logspace(np.log10(0.1), np.log10(5.0), 15)  # RegMix
LEAST = 1e-9  # of a share before caps, so that every source can take a rest


def mixtures(natural: Floats, caps: Floats, runs: int, seed: int) -> Floats:
    """The design, (R, S). natural: shares, (S,). caps: the largest shares, (S,), at least 1 in all.
    Every row sums to 1.
    """
    rows = [natural / natural.sum()]
    for number in range(1, runs):
        rng = np.random.default_rng([seed, number])
        rows.append(_drawn(natural, 1, rng)[0])
    return capped(np.stack(rows), caps)


def candidates(natural: Floats, caps: Floats, number: int, seed: int) -> Floats:
    """Many mixtures from the same distribution, among which the best one is looked for."""
    return capped(_drawn(natural, number, np.random.default_rng([seed, 0])), caps)


def _drawn(natural: Floats, number: int, rng: np.random.Generator) -> Floats:
    centre = natural**TEMPERATURE
    alpha = rng.choice(STRENGTHS, (number, 1)) * (centre / centre.sum())
    # A gamma variable of a small shape underflows; its logarithm does not (Marsaglia and Tsang).
    logs = np.log(rng.standard_gamma(alpha + 1)) + np.log1p(-rng.random(alpha.shape)) / alpha
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def capped(shares: Floats, caps: Floats) -> Floats:
    """Shares with what is above a cap given to the others in proportion, (R, S)."""
    weights = np.maximum(shares, LEAST)
    found = weights / weights.sum(axis=1, keepdims=True)
    full = np.zeros(found.shape, bool)
    while (over := (found > caps) & ~full).any():
        full |= over
        rest = 1 - np.where(full, caps, 0).sum(axis=1, keepdims=True)
        open_weight = np.where(full, 0, weights).sum(axis=1, keepdims=True)
        scale = np.divide(rest, open_weight, out=np.zeros_like(rest), where=open_weight > 0)
        found = np.where(full, caps, weights * scale)
    return found
