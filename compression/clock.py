"""How long one decoding step takes on this device, measured layer by layer.

The layers run in our generator (`trainer.generation`), with weights that mean nothing, at the
context and the batch of `Serving`, in the dtype of the computation: it stores no weights in 8 or 4
bits. Another engine has other times.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping

import torch
from corpusmill.compression.memory import Serving
from corpusmill.compression.space import WIDTHS
from corpusmill.compression.step_times import key_of
from corpusmill.trainer.generation.cache import CHUNK
from corpusmill.trainer.generation.layers import Decoder
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.shape import KINDS, HybridConfig

REPEATS = 5
LAYERS_MEASURED = 4  # of one kind, against none

Report = Callable[[int, int], None]  # measured so far, of how many


def shapes_of(
    parent: HybridConfig, choices: Mapping[str, tuple[int, ...]]
) -> Iterable[HybridConfig]:
    """The parent with every combination of widths."""
    for sizes in itertools.product(*(choices[axis] for axis in WIDTHS)):
        yield parent.model_copy(update=dict(zip(WIDTHS, sizes, strict=True)))


def measure_steps(
    parent: HybridConfig,
    choices: Mapping[str, tuple[int, ...]],
    serving: Serving,
    device: torch.device,
    dtype: torch.dtype,
    report: Report,
) -> dict[str, float]:
    """The times of all layers of the parent, and of those that a child may have.

    choices: of `Space.choices`.
    """
    own = {axis: {getattr(parent, axis), *choices[axis]} for axis in WIDTHS}
    choices = {**choices, **{axis: tuple(sorted(sizes)) for axis, sizes in own.items()}}
    wanted: dict[str, tuple[HybridConfig, str]] = {}
    for shape in shapes_of(parent, choices):
        for symbol in KINDS:
            if symbol in parent.pattern:
                wanted.setdefault(key_of(shape, symbol), (shape, symbol))
    times: dict[str, float] = {}
    for number, (key, (shape, symbol)) in enumerate(wanted.items()):
        report(number, len(wanted))
        # A model has at least one attention layer.
        patterns = ("*" + symbol * count for count in (0, LAYERS_MEASURED))
        one, several = (
            _step(shape.model_copy(update={"pattern": pattern}), serving, device, dtype)
            for pattern in patterns
        )
        times[key] = max(0.0, (several - one) / LAYERS_MEASURED)
        if symbol == "*":
            rest = key_of(shape, "")  # measured once for each number of heads
            times[rest] = min(times.get(rest, math.inf), max(0.0, one - times[key]))
    return times


def _step(shape: HybridConfig, serving: Serving, device: torch.device, dtype: torch.dtype) -> float:
    """Seconds of one step: the least of some means over a chunk. It was disturbed least."""
    with torch.device("meta"):
        model = HybridModel(shape, dtype)
    model.to_empty(device=device)
    initialise(model, 0)
    decoder = Decoder(model, serving.batch, device, dtype)
    del model
    decoder.cache.reserve(serving.context + CHUNK)
    rows = [[0]] * serving.batch

    def chunk() -> None:
        decoder.cache.lengths[:] = [serving.context - 1] * serving.batch
        for _ in range(CHUNK):
            decoder.step(rows)
            decoder.keep([1] * serving.batch)
        if device.type == "cuda":
            torch.cuda.synchronize()

    chunk()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        chunk()
        seconds.append((time.perf_counter() - started) / CHUNK)
    return min(seconds)
