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
MOST_DIFFERENCE = 0.02  # of loss and gradient norm between a plain step and the graph, relative


class StepGraph:
    """Like `gradients`, which leaves a batch's gradients in the parameters and returns its loss.

    The first steps are plain, and so is one with a batch that does not fit into the memory of the
    graph. Raises CorpusmillError if the graph does not do what the plain step does.
    """

    def __init__(
        self, gradients: Callable[[Batch], Tensor], parameters: Iterable[nn.Parameter]
    ) -> None:
        self._plain = gradients
        self._parameters = list(parameters)
        self._steps = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch) -> Tensor:
        self._steps += 1
        if self._steps <= PLAIN_STEPS:
            return self._plain(batch)
        if self._graph is None:
            self._capture(batch)
        assert self._graph is not None
        if not self._static.take(batch):
            return self._plain(batch)
        return self._replayed(self._graph)

    def _replayed(self, graph: torch.cuda.CUDAGraph) -> Tensor:
        graph.replay()
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient
        return self._loss.clone()

    def _capture(self, batch: Batch) -> None:
        self._static = batch.with_room()
        before = torch.cuda.current_stream()
        aside = torch.cuda.Stream()
        aside.wait_stream(before)
        with torch.cuda.stream(aside):  # autograd remembers the stream of the pass before
            expected = self._plain(self._static)
            expected_norm = self._norm()
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
        found = self._replayed(graph)
        for name, plain, ours in (
            ("loss", expected, found),
            ("gradient norm", expected_norm, self._norm()),
        ):
            if not abs(plain.item() - ours.item()) <= MOST_DIFFERENCE * abs(plain.item()) + 1e-6:
                raise CorpusmillError(
                    f"the {name} of a CUDA graph is {ours.item()}, that of a plain step "
                    f"{plain.item()}",
                    "set cuda_graph to false",
                )
        self._forget()
        self._graph = graph

    def _norm(self) -> Tensor:
        there = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        return nn.utils.get_total_norm(there)

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
