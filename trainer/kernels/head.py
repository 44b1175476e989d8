"""The head and its cross-entropy in one operator: logits exist for a block of tokens at a time,
and never in fp32.

The forward makes the gradients too, while a block's logits are at hand: two more matrix products
and no second look at the logits. The backward only scales them. The plain twin:
`trainer.loss.head_loss`.

The idea (gradients in the forward, by blocks of tokens) is that of Liger Kernel (Hsu et al. 2024,
arXiv 2410.10989), section 3.2.
"""

import torch
from corpusmill.trainer.kernels import head_kernels
from corpusmill.trainer.kernels.products import add_product
from torch import Tensor

BLOCK_LOGITS = 2**30  # logits in memory at a time: 2 GB in bf16
BLOCK = 4096


@torch.library.custom_op("corpusmill::head_loss", mutates_args=())
def head_loss(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    counted_N: Tensor,
    z_loss: float,
    gradients: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum over tokens of counted * (cross-entropy + z_loss * logsumexp ** 2), in fp32; and its
    gradients of hidden and weight.

    hidden: bf16 or fp32; the logits are computed in its dtype. counted: 0 or 1 for each token.
    gradients: False where only the loss is wanted; the two other results are then empty.
    """
    tokens, width = hidden_ND.shape
    vocabulary = weight_VD.shape[0]
    weight = weight_VD.to(hidden_ND.dtype)
    losses = torch.empty(tokens, device=hidden_ND.device, dtype=torch.float32)
    dhidden = torch.empty_like(hidden_ND) if gradients else hidden_ND.new_empty(0)
    dweight = (
        torch.empty(vocabulary, width, device=hidden_ND.device, dtype=torch.float32)
        if gradients
        else hidden_ND.new_empty(0, dtype=torch.float32)
    )
    rows = max(1, BLOCK_LOGITS // vocabulary)
    for start in range(0, tokens, rows):
        part = slice(start, min(start + rows, tokens))
        logits = hidden_ND[part] @ weight.T
        head_kernels.cross_entropy[(logits.shape[0],)](
            logits,
            targets_N[part],
            counted_N[part],
            losses[part],
            vocabulary,
            z_loss,
            GRADIENT=gradients,
            BLOCK=BLOCK,
            num_warps=8,
        )
        if gradients:
            torch.mm(logits, weight, out=dhidden[part])
            add_product(dweight, logits.T, hidden_ND[part], first=start == 0)
        del logits
    return losses.sum(), dhidden, dweight


@head_loss.register_fake
def _(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    counted_N: Tensor,
    z_loss: float,
    gradients: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    loss = hidden_ND.new_empty((), dtype=torch.float32)
    if not gradients:
        return loss, hidden_ND.new_empty(0), hidden_ND.new_empty(0, dtype=torch.float32)
    dhidden = hidden_ND.new_empty(hidden_ND.shape)
    return loss, dhidden, weight_VD.new_empty(weight_VD.shape, dtype=torch.float32)


def _setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
    ctx.set_materialize_grads(False)
    ctx.gradients = inputs[5]
    _, dhidden, dweight = output
    ctx.mark_non_differentiable(dhidden, dweight)
    ctx.save_for_backward(dhidden, dweight, inputs[1])


def _backward(ctx, dloss, *_):  # type: ignore[no-untyped-def]
    if not ctx.gradients:
        raise RuntimeError("head_loss was called without gradients=True")
    dhidden, dweight, weight = ctx.saved_tensors
    return dhidden * dloss, (dweight * dloss).to(weight.dtype), None, None, None, None


head_loss.register_autograd(_backward, setup_context=_setup_context)
