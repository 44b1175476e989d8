"""PyTorch on one CPU thread, so that the same texts give the same bits on any machine."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """Compute on one CPU thread inside the block."""
    import torch

    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
