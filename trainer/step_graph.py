"""A step's forward and backward as one CUDA graph, for models whose step is short.

A step launches thousands of kernels, each of which costs the processor some microseconds. A small
model's GPU waits for them. A CUDA graph holds the launches of a whole step, and starts them at
once. It reads its batch from fixed memory, so every batch is copied there first. The optimiser
stays outside: its rate changes.

Source: CUDA graphs in PyTorch (pytorch.org/blog/accelerating-pytorch-with-cuda-graphs, 2021).
"""

from collections.abc import Callable, Iterable

import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.loader import Batch
from torch import Tensor, nn

PLAIN_STEPS = 3  # first: kernels are compiled and library handles made
COMPARED_STEPS = 3  # of the graph, with as many batches
MOST_DIFFERENCE = 0.02  # of loss and gradients between a plain step and the graph, relative
SMALLEST = 1e-6  # what a difference is divided by


class StepGraph:
    """Like `gradients`, which leaves a batch's gradients in the parameters and returns its loss.

    The first steps are plain, and so is one with a batch that does not fit into the memory of the
    graph. The first replays are compared with plain steps: with the batch of the capture, and with
    others, which show whether the graph reads all of a new batch. Raises CorpusmillError if one
    gives another loss or gradient.
    """

    def __init__(
        self, gradients: Callable[[Batch], Tensor], parameters: Iterable[nn.Parameter]
    ) -> None:
        self._plain = gradients
        self._parameters = list(parameters)
        self._steps = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._to_compare = COMPARED_STEPS

    def __call__(self, batch: Batch) -> Tensor:
        self._steps += 1
        if self._steps <= PLAIN_STEPS:
            return self._plain(batch)
        if self._graph is None:
            self._graph = self._captured(batch)
        if not self._static.take(batch):
            return self._plain(batch)
        if not self._to_compare:
            return self._replayed(self._graph)
        self._to_compare -= 1
        return self._compared(self._graph, batch)

    def _compared(self, graph: torch.cuda.CUDAGraph, batch: Batch) -> Tensor:
        """The batch's loss and gradients by the graph, if they are those of a plain step.

        An untrained model has nearly one loss for all batches, and nearly one gradient norm. So the
        gradients themselves are compared.
        """
        expected = self._plain(batch).item()
        plain = self._flat_gradients()
        self._forget()
        loss = self._replayed(graph)
        found = self._flat_gradients()
        off = max(
            abs(loss.item() - expected) / max(abs(expected), SMALLEST),
            ((found - plain).norm() / plain.norm().clamp(min=SMALLEST)).item(),
        )
        if not off <= MOST_DIFFERENCE:
            raise CorpusmillError(
                f"a CUDA graph's loss or gradients are {off:.1%} off those of a plain step",
                "set cuda_graph to false",
            )
        return loss

    def _replayed(self, graph: torch.cuda.CUDAGraph) -> Tensor:
        graph.replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss.clone()

    def _captured(self, batch: Batch) -> torch.cuda.CUDAGraph:
        self._static = batch.with_room()
        before = torch.cuda.current_stream()
        aside = torch.cuda.Stream()
        aside.wait_stream(before)
        with torch.cuda.stream(aside):  # autograd remembers the stream of the pass before
            self._plain(self._static)
            self._forget()
        before.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads copy batches meanwhile, which the stricter modes take for mistakes.
        try:
            with torch.cuda.graph(graph, capture_error_mode="relaxed"):
                self._loss = self._plain(self._static)
        except RuntimeError as error:
            raise CorpusmillError(
                f"the step cannot be captured as a CUDA graph ({str(error).splitlines()[0]})",
                "set cuda_graph to false",
            ) from error
        self._gradients = [parameter.grad for parameter in self._parameters]
        self._forget()
        return graph

    def _flat_gradients(self) -> Tensor:
        """All gradients in one row; zeros for what the batch has not reached."""
        parts = [(parameter, parameter.grad) for parameter in self._parameters]
        return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in parts])

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
