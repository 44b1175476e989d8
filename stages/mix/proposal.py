"""From measured runs to proposed weights, how sure they are, and how good the regression is.

The proposal is RegMix's (arXiv 2407.01492): losses of many simulated mixtures are predicted, and
the best ones are averaged. Its uncertainty comes from a bootstrap: the same on runs drawn with
replacement. The quality of the regression is the rank correlation of losses that are predicted for
each run from the others with those measured. Letters in names of arrays: R runs, S sources,
D domains.
"""

from dataclasses import dataclass

import numpy as np
from corpusmill.stages.mix.design import candidates
from corpusmill.stages.mix.law import Law, fit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIMULATED, BEST = 1 << 15, 32
RESAMPLES = 200
INTERVAL = (5.0, 95.0)  # per cent of the resamples
TIE = 9  # decimals of bits per byte that tell two losses apart


@dataclass(frozen=True)
class Proposal:
    """weights, low, high: the proposal and its interval, (S,). domains: predicted losses of the
    natural mixture and of the proposal, (2, D). gain: how much lower the objective is predicted to
    be, with the ends of its interval. left_out: losses of each run, predicted from the others,
    (R, D). ranks: their rank correlation with those measured, (D,). rank: of the objective.
    """

    weights: Floats
    low: Floats
    high: Floats
    domains: Floats
    gain: tuple[float, float, float]
    left_out: Floats
    ranks: Floats
    rank: float


def least_runs(sources: int) -> int:
    """The fewest runs to which a law of so many sources can be fitted, and one be left out."""
    return sources + 4


def propose(
    shares: Floats, losses: Floats, objective: Floats, caps: Floats, natural: Floats, seed: int
) -> Proposal:
    """shares: of the runs, (R, S). losses: (R, D). objective: weights of the domains, (D,)."""
    simulated = candidates(natural, caps, SIMULATED, seed)
    law = fit(shares, losses)
    weights = _best(law, simulated, objective)
    both = np.stack([natural, weights])
    rng = np.random.default_rng([seed, 1])
    found, gains = [], []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(shares), size=len(shares))
        resampled = fit(shares[rows], losses[rows])
        found.append(_best(resampled, simulated, objective))
        gains.append(_gain(resampled, both, objective))
    low, high = np.percentile(found, INTERVAL, axis=0)
    least, most = np.percentile(gains, INTERVAL)
    left_out = predicted_without_itself(shares, losses)
    return Proposal(
        weights,
        low,
        high,
        law(both),
        (_gain(law, both, objective), float(least), float(most)),
        left_out,
        np.array([rank_correlation(*pair) for pair in zip(left_out.T, losses.T, strict=True)]),
        rank_correlation(left_out @ objective, losses @ objective),
    )


def predicted_without_itself(shares: Floats, losses: Floats) -> Floats:
    """The losses of each run, from a law of the other runs, (R, D)."""
    rows = np.arange(len(shares))
    return np.concatenate(
        [fit(shares[rows != row], losses[rows != row])(shares[rows == row]) for row in rows]
    )


def rank_correlation(ones: Floats, others: Floats) -> float:
    """Spearman's; 0 if one of the two is constant. Equal mixtures are ties but for rounding."""
    from scipy.stats import rankdata

    ranks = [rankdata(np.round(values, TIE)) for values in (ones, others)]
    if any(np.ptp(one) == 0 for one in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _best(law: Law, simulated: Floats, objective: Floats) -> Floats:
    """The mean of the mixtures for which the law predicts most."""
    order = np.argsort(law(simulated) @ objective, kind="stable")
    mean: Floats = simulated[order[:BEST]].mean(axis=0)
    return mean


def _gain(law: Law, both: Floats, objective: Floats) -> float:
    natural, proposed = law(both) @ objective
    return float(natural - proposed)
