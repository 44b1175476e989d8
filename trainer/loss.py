"""The loss of a batch, summed over its counted targets, compiled or not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from corpusmill.trainer import kernels, onednn
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.flops import flops_per_token, layer_flops_per_token
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.model import Head, HybridModel
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.sharding import release
from torch import Tensor

FORMS_OF_A_LAYER = 64


class SummedLoss:
    """The loss, summed over the counted targets of a batch. It can be compiled layer by layer.

    Layers of one kind share their compiled code. So compiling 100 layers takes as long as 3. The
    z-loss is part of it only where gradients are taken.
    """

    def __init__(self, model: HybridModel, config: TrainConfig) -> None:
        self.model = model
        self.length = config.sequence_length
        self.reset_at_documents = config.reset_at_documents
        self.z_loss = config.z_loss
        compiled = config.compile
        self._head = torch.compile(head_loss, dynamic=False) if compiled else head_loss
        if compiled:
            # One form a kind of layer, in 8 bits or not, with gradients or not: more than the limit
            dynamo = torch._dynamo.config
            dynamo.recompile_limit = max(FORMS_OF_A_LAYER, dynamo.recompile_limit)
            for layer in model.backbone.layers:
                # Not layer.compile(): hooks that gather sharded weights must run outside. Rows
                # padded for alignment would have to be copied for the kernels that read them.
                layer.forward = torch.compile(
                    layer.forward, dynamic=False, options={"comprehensive_padding": False}
                )

    def __call__(self, batch: Batch) -> Tensor:
        return self.read(batch, self.loss_of(batch))

    def flops(self, batch: Batch) -> float:
        """FLOP of a training step over this batch (`trainer.flops`)."""
        return len(batch.tokens) * self.length * flops_per_token(self.model.config, self.length)

    def layer_flops(self, rows: int) -> float | None:
        """FLOP of a layer's forward and backward over so many rows, the mean of all layers.

        None: no CUDA graph of this loss was tried (`trainer.step_graph`).
        """
        return rows * self.length * layer_flops_per_token(self.model.config, self.length)

    def loss_of(self, batch: Batch) -> Head:
        """What makes the loss of the batch's targets from hidden states and the head's weight."""

        def loss(hidden_BTD: Tensor, weight: Tensor) -> Tensor:
            z_loss = self.z_loss if torch.is_grad_enabled() else 0.0
            return self._head(hidden_BTD, weight, batch.tokens[:, 1:], batch.loss_mask, z_loss)

        return loss

    def read(self, batch: Batch, head: Head) -> Tensor:
        """What `head` makes of the model's last hidden states over the batch's inputs."""
        read: Tensor = self.model(batch.tokens[:, :-1], self.document_ids(batch), head)
        return read

    def document_ids(self, batch: Batch) -> Tensor | None:
        """Those at whose borders the model starts anew; None if it reads on."""
        return batch.document_ids if self.reset_at_documents else None


@contextmanager
def uncompiled(model: HybridModel) -> Iterator[None]:
    """Within the block, layers that `SummedLoss` compiled run as they are written."""
    layers = [layer for layer in model.backbone.layers if "forward" in vars(layer)]
    compiled = [vars(layer).pop("forward") for layer in layers]
    try:
        yield
    finally:
        for layer, forward in zip(layers, compiled, strict=True):
            layer.forward = forward


def head_loss(
    hidden_BTD: Tensor,
    weight: Tensor,
    targets_BT: Tensor,
    loss_mask_BT: Tensor,
    z_loss: float = 0.0,
) -> Tensor:
    """The sum over the counted tokens of cross-entropy + z_loss * logsumexp ** 2, by the kernels on
    a GPU.
    """
    if kernels.take(hidden_BTD):
        loss, _, _ = kernels.head.head_loss(
            hidden_BTD.flatten(0, 1),
            weight,
            targets_BT.flatten(),
            loss_mask_BT.flatten(),
            z_loss,
            torch.is_grad_enabled(),
        )
        return loss
    logits = onednn.linear(hidden_BTD, weight).float()
    losses = F.cross_entropy(logits.flatten(0, 1), targets_BT.flatten(), reduction="none")
    if z_loss:
        losses = losses + z_loss * logits.flatten(0, 1).logsumexp(-1).square()
    return (losses * loss_mask_BT.flatten()).sum()


@torch.no_grad()
def mean_loss(summed_loss: SummedLoss, batches: Sequence[Batch], ranks: Ranks) -> float:
    """The mean loss in nats per counted target over the batches of all ranks. Waits for the
    device.
    """
    sums = torch.stack(
        [
            torch.stack([summed_loss(batch.to(ranks.device)), batch.targets.to(ranks.device)])
            for batch in batches
        ]
    )
    release(summed_loss.model)
    total, targets = ranks.sum(sums.sum(0)).tolist()
    return total / max(1.0, targets)
