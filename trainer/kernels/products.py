"""Matrix products of PyTorch in the form that operators need. It takes no Triton."""

import torch
from torch import Tensor


def add_product(total: Tensor, one: Tensor, other: Tensor, first: bool) -> None:
    """total (fp32) += one @ other; the sum is never rounded to the dtype of the operands.

    first: total holds nothing yet.
    """
    if one.is_cuda and one.dtype != torch.float32:
        if first:
            torch.mm(one, other, out_dtype=torch.float32, out=total)
        else:
            torch.addmm(total, one, other, out_dtype=torch.float32, out=total)
    else:
        torch.addmm(total, one.float(), other.float(), beta=0 if first else 1, out=total)
