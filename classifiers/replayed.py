"""A forward pass on a GPU as one launch: a CUDA graph, for batches of one shape."""

from collections.abc import Callable
from dataclasses import replace

import torch
from corpusmill.classifiers.packed_encoder import Packed
from torch import Tensor


class Replayed:
    """`forward` for batches of the shape of `batch`, recorded once.

    A batch has some hundred kernels. Each launch needs Python's lock, which the threads that
    tokenise want too. A graph needs one launch. It keeps the memory that a batch needs. It holds
    one batch at a time and belongs to one stream.
    """

    def __init__(self, forward: Callable[[Packed], Tensor], batch: Packed) -> None:
        self._batch = replace(batch, ids=batch.ids.clone(), positions=batch.positions.clone())
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # compiles, and chooses kernels
                forward(self._batch)
        torch.cuda.current_stream().wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._rows = forward(self._batch)

    def __call__(self, batch: Packed) -> Tensor:
        """The rows of the batch. The next call overwrites them."""
        self._batch.ids.copy_(batch.ids)
        self._batch.positions.copy_(batch.positions)
        self._graph.replay()
        return self._rows
