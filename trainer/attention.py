"""Causal attention, within documents if told of them, by the backend that was the fastest in
measurement (docs/lab-log.md).

On a GPU: without documents cuDNN's kernels, with documents FlexAttention, which skips the blocks
that a document boundary rules out. On a CPU: PyTorch's own kernel, with a dense mask where
documents are given.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

FASTEST_FIRST = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
# Rows under 128 tokens would get the kernel for decoding, which has no gradients.
TRAINING_KERNEL = {"FORCE_USE_FLEX_ATTENTION": True}
REPEATABLE = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]  # under use_deterministic_algorithms


def documents_mask(ids_BT: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Which query reads which key, as FlexAttention asks: the same document, and no later token."""

    def reads(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (ids_BT[b, query] == ids_BT[b, key])

    return reads


@dataclass(frozen=True)
class Documents:
    """Where documents lie in a batch. ids: (B, T), never decreasing along a row. blocks: which
    blocks of a row's queries and keys meet, made once for all layers; None on a CPU.
    """

    ids: Tensor
    blocks: BlockMask | None

    @classmethod
    def of(cls, ids_BT: Tensor) -> "Documents":
        """The documents with these numbers."""
        ids = ids_BT.contiguous()
        if not ids.is_cuda:
            return cls(ids, None)
        batch, length = ids.shape
        mask = documents_mask(ids)
        make = _compiled(create_block_mask)
        return cls(ids, make(mask, batch, None, length, length, device=ids.device))


def attend(q_BHTP: Tensor, k_BHTP: Tensor, v_BHTP: Tensor, documents: Documents | None) -> Tensor:
    """Causal attention; keys and values may have fewer heads than queries; (B, H, T, P)."""
    if documents is None:
        if not q_BHTP.is_cuda:
            return F.scaled_dot_product_attention(
                q_BHTP, k_BHTP, v_BHTP, is_causal=True, enable_gqa=True
            )
        backends = REPEATABLE if torch.are_deterministic_algorithms_enabled() else FASTEST_FIRST
        with sdpa_kernel(backends, set_priority=True):
            return F.scaled_dot_product_attention(
                q_BHTP, k_BHTP, v_BHTP, is_causal=True, enable_gqa=True
            )
    if documents.blocks is not None:
        attention = flex_attention if torch.compiler.is_compiling() else _compiled(flex_attention)
        return attention(
            q_BHTP,
            k_BHTP,
            v_BHTP,
            block_mask=documents.blocks,
            enable_gqa=True,
            kernel_options=TRAINING_KERNEL,
        )
    same = documents.ids.unsqueeze(-1) == documents.ids.unsqueeze(-2)
    repeats = q_BHTP.shape[1] // k_BHTP.shape[1]
    k, v = (  # masked kernels take no groups
        tensor.repeat_interleave(repeats, dim=1) for tensor in (k_BHTP, v_BHTP)
    )
    return F.scaled_dot_product_attention(q_BHTP, k, v, attn_mask=same.tril().unsqueeze(1))


@functools.cache
def _compiled(function: Any) -> Any:
    """FlexAttention is fast only compiled."""
    return torch.compile(function, dynamic=False)
