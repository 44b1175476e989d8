"""Attention within documents: FlexAttention's mask is the dense mask."""

import pytest
import torch
import torch.nn.functional as F
from corpusmill.trainer.attention import Documents, attend, documents_mask
from torch.nn.attention.flex_attention import create_block_mask, flex_attention


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("length", [1, 100, 128, 300])
def test_flex_attention_within_documents_is_attention_with_a_dense_mask(length):
    torch.manual_seed(length)
    q = torch.randn(2, 4, length, 16, dtype=torch.float64)
    k, v = torch.randn(2, 2, 2, length, 16, dtype=torch.float64)
    ids = torch.randint(0, 4, (2, length)).sort(1).values
    blocks = create_block_mask(documents_mask(ids), 2, None, length, length, device="cpu")
    flexible = flex_attention(q, k, v, block_mask=blocks, enable_gqa=True)
    torch.testing.assert_close(flexible, attend(q, k, v, Documents(ids, None)))


def test_no_token_reads_another_document():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 12, 8)
    ids = torch.tensor([[0] * 5 + [3] * 7])
    whole = attend(q, k, v, Documents(ids, None))
    for part in (slice(0, 5), slice(5, 12)):
        alone = F.scaled_dot_product_attention(
            q[:, :, part], k[:, :, part], v[:, :, part], is_causal=True
        )
        torch.testing.assert_close(whole[:, :, part], alone)
