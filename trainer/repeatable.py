"""Runs that repeat to the bit on a GPU.

Some of PyTorch's kernels add in an order that changes from run to run. With this switch they are
not used; an operator that has no other kernel raises an error. Our own kernels add in one order
anyway. cuBLAS needs workspaces of a fixed size for it, which it reads when it starts.

Source: the PyTorch notes on reproducibility.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def repeatable(on: bool) -> Iterator[None]:
    """While the block runs, take only kernels that give the same bits each time, if `on`."""
    before = torch.are_deterministic_algorithms_enabled()
    if on:
        os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(on or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
