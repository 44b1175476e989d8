"""Sampling by row: the same seed gives the same text, whatever else is in the batch.

The largest of log-probability + Gumbel noise is a draw from the distribution (the Gumbel-max
trick; Gumbel 1954, Maddison et al. 2014, arXiv 1411.0030). Each row takes its noise from a
generator of its own. Then greedy decoding of the noisy scores is sampling, and no row changes
another's draw. Rounding remains: a batch of another shape may add floats in another order, and
a tie within that error may fall the other way.
"""

from collections.abc import Sequence
from typing import Any

import torch


class SeededSampling:
    """A logits processor for greedy `generate`.

    Each row has a temperature (0 is greedy), a top_p and a seed.
    """

    def __init__(
        self,
        temperatures: Sequence[float],
        top_ps: Sequence[float],
        seeds: Sequence[int],
        device: Any,
    ) -> None:
        self._greedy = torch.tensor(
            [temperature == 0 for temperature in temperatures], device=device
        )
        self._temperatures = torch.tensor(
            [temperature or 1.0 for temperature in temperatures], device=device
        )
        self._top_ps = torch.tensor(list(top_ps), device=device)
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores_BV: torch.Tensor) -> torch.Tensor:
        scaled_BV = scores_BV.float() / self._temperatures[:, None]
        nucleus_BV = keep_nucleus(scaled_BV, self._top_ps)
        uniform_BV = torch.stack(
            [
                torch.rand(scaled_BV.shape[1], generator=generator, dtype=torch.float64)
                for generator in self._generators
            ]
        )
        # A uniform draw may be 0. The smallest positive double keeps the logarithm finite.
        gumbel_BV = -torch.log(-torch.log(uniform_BV.clamp_min(torch.finfo(torch.float64).tiny)))
        perturbed_BV = nucleus_BV + gumbel_BV.to(nucleus_BV.device, nucleus_BV.dtype)
        return torch.where(self._greedy[:, None], scores_BV.float(), perturbed_BV)


def keep_nucleus(logits_BV: torch.Tensor, top_p_B: torch.Tensor) -> torch.Tensor:
    """Logits with everything outside the nucleus at minus infinity.

    The nucleus is the smallest set of most likely tokens whose probabilities sum to at least
    top-p (Holtzman et al. 2020, arXiv 1904.09751). The most likely token is always in it.
    """
    ordered_BV, order_BV = logits_BV.sort(dim=-1, descending=True, stable=True)
    probability_BV = ordered_BV.softmax(dim=-1)
    before_BV = probability_BV.cumsum(dim=-1) - probability_BV
    outside_BV = before_BV >= top_p_B[:, None]
    outside_BV[:, 0] = False
    return logits_BV.masked_fill(outside_BV.scatter(1, order_BV, outside_BV), float("-inf"))
