"""A step's forward and backward as one CUDA graph, for models whose step is short.

A step launches thousands of kernels, each of which costs the processor some microseconds. A small
model's GPU waits for them. A CUDA graph holds the launches of a whole step, and starts them at
once. It reads its batch from fixed memory, so every batch is copied there first. The optimiser
stays outside: its rate changes.

With `cuda_graph: auto` a run has a graph where one wins and has been tried (`decide`), and goes on
without one if it cannot have it.

Source: CUDA graphs in PyTorch (pytorch.org/blog/accelerating-pytorch-with-cuda-graphs, 2021).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.ranks import Ranks
from torch import Tensor, nn

PLAIN_STEPS = 3  # first: kernels are compiled and library handles made
COMPARED_STEPS = 3  # of the graph, with as many batches
MOST_DIFFERENCE = 0.02  # of loss and gradients between a plain step and the graph, relative
SMALLEST = 1e-6  # what a difference is divided by
# Of a layer's forward and backward, without the head. A graph gave 6.1 times the speed at 0.06e12,
# and 1.14 times at this, the largest that was measured (docs/lab-log.md).
MOST_FLOPS_OF_A_LAYER = 1.01e12
# Free memory, in steps: the graph's own, one that is compared with it, and some to spare.
STEPS_IN_MEMORY = 2.2

Tell = Callable[[str], None]
LayerFlops = Callable[[int], float | None]


def decide(config: TrainConfig, ranks: Ranks, layer_flops: LayerFlops) -> tuple[bool, str]:
    """Whether steps become a CUDA graph by the settings; and what to tell the user, if anything.

    layer_flops: of `SummedLoss`. Nothing is told of models that would gain nothing.
    """
    if config.cuda_graph != "auto":
        return config.cuda_graph, ""
    flops = layer_flops(max(1, config.batch_size // ranks.count))
    if ranks.device.type != "cuda" or flops is None or flops > MOST_FLOPS_OF_A_LAYER:
        return False, ""
    if config.passes_of_rank(ranks.count) > 1:
        return False, (
            "no CUDA graph: a step has several micro-batches; "
            "without micro_batch_size a model as small as this one may be faster"
        )
    if ranks.count > 1 or config.precision != "plain" or config.deterministic:
        return False, (
            "no CUDA graph: it was not tried with several processes, precision fp8 or deterministic"
        )
    return True, ""


@dataclass(frozen=True)
class Captured:
    """A graph, and what it reads and writes: batch, gradients (by parameter) and loss."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    gradients: list[Tensor | None]
    loss: Tensor


class StepGraph:
    """Like `gradients`, which leaves a batch's gradients in the parameters and returns its loss.

    The first steps are plain, and so is one with a batch that does not fit into the memory of the
    graph. The first replays are compared with plain steps: with the batch of the capture, and with
    others, which show whether the graph reads all of a new batch. If one gives another loss or
    gradient, or if there can be no graph: raises CorpusmillError. With `give_up` the reason is
    told to it instead, and all steps are plain from then on.
    """

    def __init__(
        self,
        gradients: Callable[[Batch], Tensor],
        parameters: Iterable[nn.Parameter],
        give_up: Tell | None = None,
    ) -> None:
        self._plain = gradients
        self._parameters = list(parameters)
        self._steps = 0
        self._made: Captured | None = None
        self._to_compare = COMPARED_STEPS
        self._give_up = give_up
        self._given_up = False
        self._before = _memory()[0]

    @property
    def in_use(self) -> bool:
        """Whether there is a graph, which holds the memory of a step."""
        return self._made is not None

    def __call__(self, batch: Batch) -> Tensor:
        self._steps += 1
        if self._steps <= PLAIN_STEPS or self._given_up:
            return self._plain(batch)
        try:
            return self._by_graph(batch)
        except (CorpusmillError, torch.OutOfMemoryError) as error:
            if self._give_up is None:
                raise
            reason = error.what if isinstance(error, CorpusmillError) else "too little memory"
        # Behind the handler: there the error holds what the step had in memory.
        self._given_up, self._made = True, None
        self._forget()
        torch.cuda.empty_cache()
        self._give_up(f"no CUDA graph: {reason}")
        return self._plain(batch)

    def _by_graph(self, batch: Batch) -> Tensor:
        if self._made is None:
            if self._give_up is not None:
                self._refuse_little_memory()
            self._made = self._captured(batch)
        if not self._made.batch.take(batch):
            return self._plain(batch)
        if not self._to_compare:
            return self._replayed(self._made)
        self._to_compare -= 1
        loss = self._compared(self._made, batch)
        if not self._to_compare:
            torch.cuda.empty_cache()  # plain steps are over
        return loss

    def _refuse_little_memory(self) -> None:
        """Raises CorpusmillError if the graph's memory may not fit beside that of a plain step."""
        torch.cuda.empty_cache()
        _, most, free = _memory()
        if free < STEPS_IN_MEMORY * (most - self._before):
            raise CorpusmillError(
                f"it needs {STEPS_IN_MEMORY * (most - self._before) / 1e9:.1f} GB, and "
                f"{free / 1e9:.1f} GB are free"
            )

    def _compared(self, made: Captured, batch: Batch) -> Tensor:
        """The batch's loss and gradients by the graph, if they are those of a plain step.

        An untrained model has nearly one loss for all batches, and nearly one gradient norm. So the
        gradients themselves are compared.
        """
        expected = self._plain(batch).item()
        plain = self._flat_gradients()
        self._forget()
        loss = self._replayed(made)
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

    def _replayed(self, made: Captured) -> Tensor:
        made.graph.replay()
        for parameter, gradient in zip(self._parameters, made.gradients, strict=True):
            parameter.grad = gradient
        return made.loss.clone()

    def _captured(self, batch: Batch) -> Captured:
        memory = batch.with_room()
        before = torch.cuda.current_stream()
        aside = torch.cuda.Stream()
        aside.wait_stream(before)
        with torch.cuda.stream(aside):  # autograd remembers the stream of the pass before
            self._plain(memory)
            self._forget()
        before.wait_stream(aside)
        torch.cuda.empty_cache()  # what the pass had cannot serve the graph
        graph = torch.cuda.CUDAGraph()
        random = torch.cuda.get_rng_state()
        # Other threads copy batches meanwhile, which the stricter modes take for mistakes.
        try:
            with torch.cuda.graph(graph, capture_error_mode="relaxed"):
                loss = self._plain(memory)
        except RuntimeError as error:
            _replace_generator(random)
            raise CorpusmillError(
                f"the step cannot be captured as a CUDA graph ({str(error).splitlines()[0]})",
                "set cuda_graph to false",
            ) from error
        finally:
            torch.cuda.set_stream(before)  # a capture that fails leaves its own
        gradients = [parameter.grad for parameter in self._parameters]
        self._forget()
        return Captured(graph, memory, gradients, loss)

    def _flat_gradients(self) -> Tensor:
        """All gradients in one row; zeros for what the batch has not reached."""
        parts = [(parameter, parameter.grad) for parameter in self._parameters]
        return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in parts])

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


def _replace_generator(state: Tensor) -> None:
    """Give the current GPU a generator of random numbers in this state.

    A capture that fails leaves the old one waiting for the capture's end, and it raises when asked.
    """
    device = torch.cuda.current_device()
    fresh = torch.Generator(torch.device("cuda", device))
    fresh.set_state(state)
    torch.cuda.default_generators[device].graphsafe_set_state(fresh.graphsafe_get_state())


def _memory() -> tuple[int, int, int]:
    """Bytes of the GPU in use, in use at most so far, and free."""
    if not torch.cuda.is_available():
        return 0, 0, 0
    free, _ = torch.cuda.mem_get_info()
    return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated(), free
