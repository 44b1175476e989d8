"""The loss of distillation: the forward KL divergence of a student's next tokens from a teacher's.

KL(teacher || student) on logits, at temperature 1, and by default nothing else: Nemotron-H (arXiv
2504.03624), section 3, and Minitron-SSM (arXiv 2504.11409). Logits of a whole batch would be the
largest tensors of a step, twice. So they are made a chunk of tokens at a time, and the gradient
with them: the derivative of KL by a student's logit is `student's probability - teacher's`.

A loss of hidden states can be added (Minitron, arXiv 2407.14679, section 3), and the teacher can
compute in 8 bits.

Letters in tensor names: N tokens, D student's hidden, E teacher's hidden, V vocabulary.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from corpusmill.compression.parent import load_model
from corpusmill.trainer import fp8
from corpusmill.trainer.config import Precision, TrainConfig
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import HybridModel
from torch import Tensor

CHUNK_BYTES = 256 << 20  # of the float32 logits of one model


def chunk_tokens(vocabulary: int) -> int:
    """Tokens whose logits are in memory at a time."""
    return max(1, CHUNK_BYTES // (4 * vocabulary))


def logits_of(hidden_ND: Tensor, weight_VD: Tensor) -> Tensor:
    """Logits in float32, from a product in the dtype of the hidden states."""
    return (hidden_ND @ weight_VD.to(hidden_ND.dtype).t()).float()


class TokenTargets(Protocol):
    """What the student should predict, for N tokens."""

    def of(self, part: slice, found_NV: Tensor) -> tuple[Tensor, Tensor]:
        """For the tokens of `part`: (KL of each in nats, the wanted probabilities).

        found_NV: the student's log-probabilities.
        """
        ...


@dataclass(frozen=True)
class WholeTargets:
    """All that a teacher says: its last hidden states and its head."""

    hidden_NE: Tensor
    head_VE: Tensor

    def of(self, part: slice, found_NV: Tensor) -> tuple[Tensor, Tensor]:
        wanted_NV = logits_of(self.hidden_NE[part], self.head_VE).log_softmax(-1)
        probability_NV = wanted_NV.exp()
        return (wanted_NV - found_NV).mul_(probability_NV).sum(-1), probability_NV


class _SummedKL(torch.autograd.Function):
    """KL summed over the counted tokens. The gradient is computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets: TokenTargets, counted_N: Tensor
    ) -> Tensor:
        hidden_gradient = torch.empty_like(hidden_ND)
        weight_gradient = torch.zeros_like(weight_VD)
        weight = weight_VD.to(hidden_ND.dtype)
        loss = torch.zeros((), device=hidden_ND.device)
        size = chunk_tokens(weight_VD.shape[0])
        for start in range(0, hidden_ND.shape[0], size):
            part = slice(start, start + size)
            counted = counted_N[part]
            found = logits_of(hidden_ND[part], weight).log_softmax(-1)
            divergence_N, probability = targets.of(part, found)
            loss += (divergence_N * counted).sum()
            gradient = found.exp_().sub_(probability).mul_(counted.unsqueeze(-1))
            gradient = gradient.to(hidden_ND.dtype)
            hidden_gradient[part] = gradient @ weight
            weight_gradient += (gradient.t() @ hidden_ND[part]).to(weight_gradient.dtype)
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        (scale,) = gradients
        return (
            hidden_gradient * scale.to(hidden_gradient.dtype),
            weight_gradient * scale.to(weight_gradient.dtype),
            None,
            None,
        )


def summed_kl(
    hidden_ND: Tensor, weight_VD: Tensor, targets: TokenTargets, counted_N: Tensor
) -> Tensor:
    """The KL divergence in nats, summed over the counted tokens. Gradients go to the student."""
    summed: Tensor = _SummedKL.apply(hidden_ND, weight_VD, targets, counted_N)
    return summed


class Teacher:
    """A model that is read for its last hidden states.

    scaling: of its products in 8 bits. None leaves them in its dtype.
    """

    def __init__(
        self, model: HybridModel, config: TrainConfig, scaling: fp8.Scaling | None = None
    ) -> None:
        self.in_8_bits = scaling is not None
        if scaling is not None:
            fp8.refuse_device(model.lm_head.weight.device)
            model.use_fp8(scaling, config.fp8_plain_layers)
            model.round_weights()
        self._read = SummedLoss(model, config)  # compiles the layers if the settings say so

    @property
    def head(self) -> Tensor:
        return self._read.model.lm_head.weight

    def hidden(self, batch: Batch) -> Tensor:
        """(B, T, E), without gradients."""
        # A model computes in 8 bits only where gradients are taken. The teacher's parameters need
        # none, so nothing is kept for a backward pass.
        with torch.set_grad_enabled(self.in_8_bits):
            hidden_BTE: Tensor = self._read.model.hidden(
                batch.tokens[:, :-1], self._read.document_ids(batch)
            )
        return hidden_BTE


class KLLoss(SummedLoss):
    """`SummedLoss` with targets of a teacher: where gradients are taken, the loss is KL.

    Without gradients it is the cross-entropy. So the held-out loss in a log is comparable with that
    of any other run.
    """

    def layer_flops(self, rows: int) -> float | None:
        return None

    def token_targets(self, batch: Batch) -> TokenTargets:
        raise NotImplementedError

    def added(self, hidden_ND: Tensor, targets: TokenTargets, counted_N: Tensor) -> Tensor | None:
        """A further loss of the student's last hidden states, summed; None: there is none."""
        return None

    def __call__(self, batch: Batch) -> Tensor:
        if not torch.is_grad_enabled():
            return super().__call__(batch)
        targets, counted_N = self.token_targets(batch), batch.loss_mask.flatten()

        def loss(hidden_BTD: Tensor, weight: Tensor) -> Tensor:
            hidden_ND = hidden_BTD.flatten(0, 1)
            summed = summed_kl(hidden_ND, weight, targets, counted_N)
            added = self.added(hidden_ND, targets, counted_N)
            return summed if added is None else summed + added

        return self.read(batch, loss)


class DistillationLoss(KLLoss):
    """KL from a teacher that reads every batch.

    hidden_loss: the weight of the mean squared difference of the last hidden states. It is added
    for each counted token; student and teacher need the same hidden size. teacher_scaling: of the
    teacher's products in 8 bits. None leaves them in its dtype.
    """

    def __init__(
        self,
        model: HybridModel,
        config: TrainConfig,
        teacher: HybridModel,
        hidden_loss: float = 0.0,
        teacher_scaling: fp8.Scaling | None = None,
    ) -> None:
        super().__init__(model, config)
        self.hidden_loss = hidden_loss
        self.teacher = Teacher(teacher, config, teacher_scaling)

    def token_targets(self, batch: Batch) -> WholeTargets:
        return WholeTargets(self.teacher.hidden(batch).flatten(0, 1), self.teacher.head)

    def added(self, hidden_ND: Tensor, targets: TokenTargets, counted_N: Tensor) -> Tensor | None:
        if not self.hidden_loss:
            return None
        assert isinstance(targets, WholeTargets)
        differences = (hidden_ND.float() - targets.hidden_NE.float()).square().mean(-1)
        return self.hidden_loss * (differences * counted_N).sum()


def distillation_loss(
    teacher: Path,
    model: HybridModel,
    config: TrainConfig,
    hidden_loss: float = 0.0,
    teacher_precision: Precision = "plain",
) -> DistillationLoss:
    """The loss for `trainer.train.train`, with the teacher of a folder on the model's device."""
    device = next(model.parameters()).device
    return DistillationLoss(
        model,
        config,
        load_model(teacher, device, model.compute_dtype),
        hidden_loss,
        fp8.SCALINGS.get(teacher_precision),
    )
