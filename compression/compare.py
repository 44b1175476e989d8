"""Compare a child with its parent on the same tokens, without training.

MiniPuzzle ranks children by next-token accuracy, and by how often they and the parent predict the
same token (Nemotron-H, arXiv 2504.03624, section 3). Both models run side by side, and logits are
made a chunk of tokens at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from corpusmill.compression.distillation import chunk_tokens, logits_of
from corpusmill.compression.ranking import Kept
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.model import HybridModel
from torch import Tensor, nn


@dataclass(frozen=True)
class Comparison:
    """Means over the counted tokens.

    loss: cross-entropy of the child in nats. accuracy: share of tokens that it predicts. agreement:
    share where it and the parent predict the same token. mse, cosine: between the last hidden
    states (cosine: 1 - cosine); channels that the child has not count as zero. kl:
    KL(parent || child) of the next tokens, in nats.
    """

    loss: float
    accuracy: float
    agreement: float
    mse: float
    kl: float
    cosine: float


@torch.no_grad()
def compare(
    parent: HybridModel, child: HybridModel, kept: Kept, batches: Iterable[Batch]
) -> Comparison:
    """Compare over batches, which are on the models' device."""
    total = torch.zeros(7, dtype=torch.float64)
    for batch in batches:
        inputs = batch.tokens[:, :-1]
        wanted_NE, found_ND = parent.hidden(inputs), child.hidden(inputs)
        hidden = torch.from_numpy(kept.hidden).to(found_ND.device)
        total += _summed(
            wanted_NE.flatten(0, 1),
            found_ND.flatten(0, 1),
            (parent.lm_head.weight, child.lm_head.weight),
            hidden,
            batch.tokens[:, 1:].flatten(),
            batch.loss_mask.flatten(),
        )
    counted, *sums = total.tolist()
    return Comparison(*(value / max(1.0, counted) for value in sums))


def _summed(
    wanted_NE: Tensor,
    found_ND: Tensor,
    weights: tuple[Tensor, Tensor],
    hidden_D: Tensor,
    targets_N: Tensor,
    counted_N: Tensor,
) -> Tensor:
    """(7,): the number of counted tokens, then the sums of Comparison's fields over them."""
    total = torch.zeros(7, dtype=torch.float64)
    size = chunk_tokens(weights[0].shape[0])
    for start in range(0, targets_N.shape[0], size):
        part = slice(start, start + size)
        targets, counted = targets_N[part], counted_N[part]
        wanted = logits_of(wanted_NE[part], weights[0]).log_softmax(-1)
        found = logits_of(found_ND[part], weights[1]).log_softmax(-1)
        best, wanted_best = found.argmax(-1), wanted.argmax(-1)
        spread = torch.zeros_like(wanted_NE[part], dtype=torch.float32)
        spread[:, hidden_D] = found_ND[part].float()
        reference = wanted_NE[part].float()
        by_token = [
            torch.ones_like(targets, dtype=torch.float32),
            -found.gather(-1, targets.unsqueeze(-1)).squeeze(-1),
            (best == targets).float(),
            (best == wanted_best).float(),
            (spread - reference).square().mean(-1),
            (wanted.exp() * (wanted - found)).sum(-1),
            1 - nn.functional.cosine_similarity(spread, reference, dim=-1),
        ]
        total += (torch.stack(by_token) * counted).cpu().double().sum(-1)
    return total
