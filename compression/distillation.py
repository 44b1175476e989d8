"""The loss of distillation: the forward KL divergence of a student's next tokens from a teacher's.

KL(teacher || student) on logits, at temperature 1, and by default nothing else: Nemotron-H (arXiv
2504.03624), section 3, and Minitron-SSM (arXiv 2504.11409). Logits of a whole batch would be the
largest tensors of a step, twice. So they are made a chunk of tokens at a time, and the gradient
with them: the derivative of KL by a student's logit is `student's probability - teacher's`.

A loss of hidden states can be added (Minitron, arXiv 2407.14679, section 3), and the teacher can
compute in 8 bits.

Letters in tensor names: N tokens, D student's hidden, E teacher's hidden, V vocabulary.
"""

from pathlib import Path
from typing import Any

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


class _SummedKL(torch.autograd.Function):
    """KL summed over the counted tokens. The gradient is computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        weight_VD: Tensor,
        teacher_NE: Tensor,
        teacher_weight_VE: Tensor,
        counted_N: Tensor,
    ) -> Tensor:
        hidden_gradient = torch.empty_like(hidden_ND)
        weight_gradient = torch.zeros_like(weight_VD)
        weight = weight_VD.to(hidden_ND.dtype)
        loss = torch.zeros((), device=hidden_ND.device)
        size = chunk_tokens(weight_VD.shape[0])
        for start in range(0, hidden_ND.shape[0], size):
            part = slice(start, start + size)
            counted = counted_N[part].unsqueeze(-1)
            wanted = logits_of(teacher_NE[part], teacher_weight_VE).log_softmax(-1)
            found = logits_of(hidden_ND[part], weight).log_softmax(-1)
            probability = wanted.exp()
            loss += ((wanted - found).mul_(probability) * counted).sum()
            gradient = ((found.exp_() - probability) * counted).to(hidden_ND.dtype)
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
            None,
        )


def summed_kl(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    teacher_NE: Tensor,
    teacher_weight_VE: Tensor,
    counted_N: Tensor,
) -> Tensor:
    """The KL divergence in nats, summed over the counted tokens. Gradients go to the student."""
    summed: Tensor = _SummedKL.apply(hidden_ND, weight_VD, teacher_NE, teacher_weight_VE, counted_N)
    return summed


class DistillationLoss(SummedLoss):
    """`SummedLoss` with a teacher: where gradients are taken, the loss is KL.

    Without gradients it is the cross-entropy. So the held-out loss in a log is comparable with that
    of any other run.

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
        self.teacher_in_8_bits = teacher_scaling is not None
        if teacher_scaling is not None:
            fp8.refuse_device(teacher.lm_head.weight.device)
            teacher.use_fp8(teacher_scaling, config.fp8_plain_layers)
            teacher.round_weights()
        self.teacher = SummedLoss(teacher, config).model  # compiled if the settings say so

    def __call__(self, batch: Batch) -> Tensor:
        if not torch.is_grad_enabled():
            return super().__call__(batch)
        # A model computes in 8 bits only where gradients are taken. The teacher's parameters need
        # none, so nothing is kept for a backward pass.
        with torch.set_grad_enabled(self.teacher_in_8_bits):
            hidden_BTE = self.teacher.hidden(batch.tokens[:, :-1], self.document_ids(batch))
        teacher_NE, counted_N = hidden_BTE.flatten(0, 1), batch.loss_mask.flatten()

        def loss(hidden_BTD: Tensor, weight: Tensor) -> Tensor:
            hidden_ND = hidden_BTD.flatten(0, 1)
            head = self.teacher.lm_head.weight
            summed = summed_kl(hidden_ND, weight, teacher_NE, head, counted_N)
            if self.hidden_loss:
                differences = (hidden_ND.float() - teacher_NE.float()).square().mean(-1)
                summed = summed + self.hidden_loss * (differences * counted_N).sum()
            return summed

        return self.read(batch, loss)


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
