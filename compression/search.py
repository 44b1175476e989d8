"""Which children fit a budget, and which of them are worth measuring. No model is built.

All combinations of the sizes in the space are enumerated, as MiniPuzzle does (Nemotron-H,
arXiv 2504.03624, section 3). Of those that fit, only the largest are kept: children that no longer
fit if any one size goes up by one step. Every other child that fits is a part of one of them.

To order them, their harm is predicted: the sum of the scores of the layers that go, and of what
each width costs alone. So a few are measured, and not all.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from corpusmill.compression.memory import BITS, GIB, Serving, embedding_parameters, layer_sizes
from corpusmill.compression.space import AXES, LAYERS, WIDTHS, Sizes
from corpusmill.compression.step_times import StepTimes, key_of
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from corpusmill.trainer.shape import HybridConfig
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Budget(Settings):
    """What a child may take. With several limits, it must keep all."""

    memory_gib: PositiveFloat | None = None
    """Weights and caches, in GiB."""
    reserve_gib: NonNegativeFloat = 0.0
    """The part of memory_gib that stays free for activations and the runtime."""
    parameters: PositiveInt | None = None
    """Most parameters of the child."""
    step_ms: PositiveFloat | None = None
    """Most milliseconds of one decoding step, in which each of serving.batch sequences gets a
    token. It is measured on this device, with our generator, in the dtype of the computation."""
    serving: Serving = Serving()
    """How the child is served. memory_gib and step_ms need it."""

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if (self.memory_gib, self.parameters, self.step_ms) == (None, None, None):
            raise RecipeError("the budget has no limit", "set memory_gib, parameters or step_ms")
        if self.memory_gib is not None and self.reserve_gib >= self.memory_gib:
            raise RecipeError(
                f"reserve_gib {self.reserve_gib} leaves nothing of memory_gib {self.memory_gib}",
                "lower it",
            )
        return self


@dataclass(frozen=True)
class Harm:
    """What is known of each size's cost, all in the unit of the layer score.

    layers: axis -> scores of the layers that go, in the order in which they go. widths: axis ->
    size -> score of the model with only this width changed.
    """

    layers: Mapping[str, Sequence[float]]
    widths: Mapping[str, Mapping[int, float]]

    def of(self, sizes: Sizes) -> float:
        """The predicted harm: the sum of its parts, as if they did not depend on each other."""
        lost = 0.0
        for axis in LAYERS:
            scores = self.layers[axis]
            lost += sum(scores[: len(scores) - getattr(sizes, axis)])
        for axis in WIDTHS:
            lost += self.widths.get(axis, {}).get(getattr(sizes, axis), 0.0)
        return lost


@dataclass(frozen=True)
class Found:
    """What a search found.

    sizes: the largest children that fit, in the order of enumeration. tried: all combinations.
    fitting: those that fit.
    """

    sizes: list[Sizes]
    tried: int
    fitting: int


def search(
    parent: HybridConfig,
    choices: Mapping[str, tuple[int, ...]],
    budget: Budget,
    times: StepTimes | None = None,
) -> Found:
    """The largest children that fit the budget.

    choices: of `Space.choices`. times: what `step_ms` needs. Raises RecipeError if none fits,
    naming the nearest one, or if the parent itself fits.
    """
    load = _load(parent, choices, budget, times)
    fits = load <= 1.0
    if not fits.any():
        nearest = [int(number) for number in np.unravel_index(int(load.argmin()), load.shape)]
        sizes = _sizes(choices, nearest)
        raise RecipeError(
            f"no child meets the budget; the nearest one ({_words(sizes, parent)}) takes "
            f"{float(load.min()):.2f} times as much",
            "raise the budget, or let `space` hold smaller sizes",
        )
    if fits[(-1,) * load.ndim] and _sizes(choices, (-1,) * load.ndim) == Sizes.of(parent):
        raise RecipeError(
            f"the parent meets the budget already: it takes {float(load[(-1,) * load.ndim]):.2f} "
            "of it",
            "lower the budget",
        )
    largest = fits.copy()
    for axis in range(fits.ndim):
        above = np.roll(fits, -1, axis)
        above[(slice(None),) * axis + (-1,)] = False
        largest &= ~above
    found = [_sizes(choices, place) for place in np.argwhere(largest)]
    return Found(found, load.size, int(fits.sum()))


def most_promising(found: Sequence[Sizes], harm: Harm, most: int) -> list[Sizes]:
    """The `most` children of least predicted harm, the least harmed first."""
    return sorted(found, key=harm.of)[:most]


def _load(
    parent: HybridConfig,
    choices: Mapping[str, tuple[int, ...]],
    budget: Budget,
    times: StepTimes | None,
) -> "NDArray[np.float64]":
    """For every combination, its use as a share of the budget. One dimension for each of AXES."""
    serving = budget.serving
    weight, cache, state = (
        BITS[number] / 8 for number in (serving.weights, serving.cache, serving.state)
    )
    load = np.zeros([len(choices[axis]) for axis in AXES])
    counts = np.meshgrid(*(choices[axis] for axis in LAYERS), indexing="ij")
    for place in itertools.product(*(range(len(choices[axis])) for axis in WIDTHS)):
        widths = {axis: choices[axis][number] for axis, number in zip(WIDTHS, place, strict=True)}
        shape = parent.model_copy(update=widths)
        sizes = layer_sizes(shape)
        parameters = np.full(counts[0].shape, 2.0 * embedding_parameters(shape))
        parameters += shape.hidden_size
        kept = np.zeros(counts[0].shape)
        for count, symbol in zip(counts, LAYERS.values(), strict=True):
            layer = sizes[symbol]
            parameters += count * layer.parameters
            kept += count * serving.batch * serving.context * layer.per_token * cache
            kept += count * serving.batch * layer.per_sequence * state
        uses = []
        if budget.parameters is not None:
            uses.append(parameters / budget.parameters)
        if budget.memory_gib is not None:
            room = (budget.memory_gib - budget.reserve_gib) * GIB
            uses.append((parameters * weight + kept) / room)
        if budget.step_ms is not None:
            assert times is not None
            seconds = np.full(counts[0].shape, times[key_of(shape, "")])
            for count, symbol in zip(counts, LAYERS.values(), strict=True):
                seconds += count * times.get(key_of(shape, symbol), 0.0)
            uses.append(seconds * 1e3 / budget.step_ms)
        load[(slice(None),) * len(LAYERS) + place] = np.maximum.reduce(uses)
    return load


def _sizes(choices: Mapping[str, tuple[int, ...]], place: Sequence[int]) -> Sizes:
    return Sizes(**{axis: choices[axis][number] for axis, number in zip(AXES, place, strict=True)})


def _words(sizes: Sizes, parent: HybridConfig) -> str:
    changed = sizes.changes(Sizes.of(parent))
    return ", ".join(f"{axis} {size}" for axis, size in changed.items()) or "the parent itself"
