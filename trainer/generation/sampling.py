"""How the next token is chosen: the likeliest, or a seeded draw.

A draw takes one number, uniform in [0, 1), and walks the probabilities in the order of the
vocabulary until their sum exceeds it. The number of a token follows from the seed and the token's
place in the answer. So a row's tokens depend on its prompt and its seed alone. Rounding remains: a
batch of another shape may add floats in another order, and a tie within that error may fall the
other way.

Letters in tensor names: X rows, V vocabulary, N candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# The nucleus seldom holds more tokens. If it does, the whole vocabulary is sorted.
FIRST_CANDIDATES = 64


@dataclass(frozen=True)
class Sampling:
    """temperature: 0 is greedy. top_p: only the smallest set of likeliest tokens with at least
    this probability is drawn from (Holtzman et al. 2020, arXiv 1904.09751). top_k: and only the
    likeliest so many tokens; 0: all.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0

    def numbers(self, count: int) -> list[float]:
        """The numbers of the first `count` tokens of an answer."""
        if self.temperature == 0:
            return [0.0] * count
        generator = torch.Generator().manual_seed(self.seed)
        numbers: list[float] = torch.rand(count, generator=generator, dtype=torch.float64).tolist()
        return numbers


def choose(logits_XV: Tensor, samplings: Sequence[Sampling], numbers: Sequence[float]) -> Tensor:
    """The next token of every row (X)."""
    token_X = logits_XV.argmax(-1)
    drawn = [row for row, sampling in enumerate(samplings) if sampling.temperature > 0]
    if not drawn:
        return token_X

    def column(values: Sequence[float]) -> Tensor:
        column_X1 = torch.tensor([values[row] for row in drawn], dtype=torch.float64)
        return column_X1.unsqueeze(1).to(logits_XV.device)

    temperature_X1 = column([sampling.temperature for sampling in samplings]).float()
    top_p_X1 = column([sampling.top_p for sampling in samplings])
    size = logits_XV.shape[1]
    top_k_X1 = column([sampling.top_k or size for sampling in samplings])
    number_X1 = column(numbers)
    row_X = torch.tensor(drawn, device=logits_XV.device)
    probability_XV = (logits_XV[row_X] / temperature_X1).softmax(-1)
    # Where one token fills the nucleus, it is the greedy one, and there is nothing to sort.
    open_X = (probability_XV.amax(-1) < top_p_X1[:, 0]) & (top_k_X1[:, 0] > 1)
    for candidates in (min(FIRST_CANDIDATES, size), size):
        left = open_X.nonzero()[:, 0]
        if len(left) == 0:
            break
        sides = (number_X1[left], top_p_X1[left], top_k_X1[left])
        drawn_X, enough_X = _draw(probability_XV[left], *sides, candidates)
        done = left[enough_X]
        token_X[row_X[done]] = drawn_X[enough_X]
        open_X[done] = False
    return token_X


def _draw(
    probability_XV: Tensor, number_X1: Tensor, top_p_X1: Tensor, top_k_X1: Tensor, candidates: int
) -> tuple[Tensor, Tensor]:
    """A draw from the likeliest `candidates` tokens, and whether they hold the whole nucleus."""
    size = probability_XV.shape[1]
    if candidates == size and bool((top_p_X1 >= 1).all()) and bool((top_k_X1 >= size).all()):
        kept_XN, id_XN = probability_XV.double(), None
        enough_X = torch.ones(len(kept_XN), dtype=torch.bool, device=kept_XN.device)
    else:
        ordered_XN, order_XN = probability_XV.topk(candidates)
        ordered_XN = ordered_XN.double()
        before_XN = ordered_XN.cumsum(-1) - ordered_XN
        place_N = torch.arange(candidates, device=ordered_XN.device)
        outside_XN = (before_XN >= top_p_X1) | (place_N >= top_k_X1)
        outside_XN[:, 0] = False
        enough_X = outside_XN[:, -1] | (candidates == size)
        id_XN, by_id_XN = order_XN.sort(-1)
        kept_XN = ordered_XN.masked_fill(outside_XN, 0).gather(1, by_id_XN)
    total_XN = kept_XN.cumsum(-1)
    found_X1 = torch.searchsorted(total_XN, number_X1 * total_XN[:, -1:], right=True)
    found_X1 = found_X1.clamp(max=total_XN.shape[1] - 1)  # where rounding gave the whole sum
    return (found_X1 if id_XN is None else id_XN.gather(1, found_X1))[:, 0], enough_X


def log_probabilities(logits_XV: Tensor, token_X: Tensor) -> list[float]:
    """Of tokens, by the model itself: no temperature, no nucleus."""
    found_X1 = logits_XV.log_softmax(-1).gather(1, token_X.unsqueeze(1))
    values: list[float] = found_X1[:, 0].tolist()
    return values
