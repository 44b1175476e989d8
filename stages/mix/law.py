"""The regression: from a mixture to the bits per byte of a held-out domain.

A data mixing law (Ye et al., arXiv 2403.16952) says that a domain's loss is a floor and an
exponential of a linear function of the shares. This one is linear in the square roots of the
shares, since the first documents of a source teach most:

    loss = floor + exp(bias + sum of slope * sqrt(share))

It has S + 2 numbers, so it can be fitted to some tens of runs; boosted trees, which RegMix takes,
want hundreds. `benchmarks/mixing.py` compares both on RegMix's own runs. For a given floor it is
ridge regression of the logarithms, weighted so that errors count in bits. The floor is the best of
a few. Letters in names of arrays: R runs, S sources, D domains.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RIDGE = 0.01
FLOORS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 0.99)  # of the smallest loss


@dataclass(frozen=True)
class Law:
    """The laws of D domains. floors, biases: (D,). slopes: (S, D)."""

    floors: Floats
    biases: Floats
    slopes: Floats

    def __call__(self, shares: Floats) -> Floats:
        """The losses of mixtures, (R, D). shares: (R, S)."""
        return self.floors + np.exp(self.biases + np.sqrt(shares) @ self.slopes)


def fit(shares: Floats, losses: Floats) -> Law:
    """The laws that runs follow. shares: (R, S). losses: (R, D), above 0."""
    roots = np.sqrt(shares)
    found = [_fit_domain(roots, losses[:, domain]) for domain in range(losses.shape[1])]
    floors, biases, slopes = zip(*found, strict=True)
    return Law(np.array(floors), np.array(biases), np.stack(slopes, axis=1))


def _fit_domain(roots: Floats, losses: Floats) -> tuple[float, float, Floats]:
    tried = []
    for share in FLOORS:
        floor = share * losses.min()
        above = losses - floor
        bias, slopes = _ridge(roots, np.log(above), above**2)
        error = ((floor + np.exp(bias + roots @ slopes) - losses) ** 2).sum()
        tried.append((error, floor, bias, slopes))
    _, floor, bias, slopes = min(tried, key=lambda one: one[0])
    return floor, bias, slopes


def _ridge(inputs: Floats, outputs: Floats, weights: Floats) -> tuple[float, Floats]:
    """Weighted ridge regression; the bias is not held small. Returns bias and slopes."""
    weights = weights / weights.mean()
    centre = (weights @ inputs) / weights.sum()
    mean = (weights @ outputs) / weights.sum()
    inputs = inputs - centre
    gram = (inputs * weights[:, None]).T @ inputs + RIDGE * np.eye(inputs.shape[1])
    slopes = np.linalg.solve(gram, (inputs * weights[:, None]).T @ (outputs - mean))
    return float(mean - centre @ slopes), slopes
