"""Which sizes a child may have: how many layers of each kind, and which widths.

A kind of layer has the same width everywhere. No other tool loads a NemotronH model with other
widths in other layers. A child is never wider or deeper than its parent.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from corpusmill.trainer.shape import KINDS, HybridConfig
from pydantic import PositiveInt

LAYERS = {f"{kind}_layers": symbol for symbol, kind in KINDS.items()}  # setting -> symbol
WIDTHS = ("ffn_size", "hidden_size", "mamba_heads", "mamba_head_dim", "attention_heads")
AXES = (*LAYERS, *WIDTHS)
# What MiniPuzzle tried: a share of layers that stays at least, and FFNs from 3/4 in steps of 1/32.
LEAST_LAYERS = {"mamba_layers": 0.8, "attention_layers": 0.5, "ffn_layers": 0.8}
FFN_STEPS, FFN_STEP, FFN_MULTIPLE = 8, 1 / 32, 16

Counts = tuple[PositiveInt, ...] | None


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model, as far as they can shrink."""

    mamba_layers: int
    attention_layers: int
    ffn_layers: int
    ffn_size: int
    hidden_size: int
    mamba_heads: int
    mamba_head_dim: int
    attention_heads: int

    @classmethod
    def of(cls, shape: HybridConfig) -> "Sizes":
        layers = {axis: shape.pattern.count(symbol) for axis, symbol in LAYERS.items()}
        return cls(**layers, **{axis: getattr(shape, axis) for axis in WIDTHS})

    def shape(self, parent: HybridConfig, pattern: str) -> HybridConfig:
        """The shape of a child with these widths and this pattern."""
        return parent.model_copy(
            update={"pattern": pattern, **{axis: getattr(self, axis) for axis in WIDTHS}}
        )

    def changes(self, parent: "Sizes") -> dict[str, int]:
        """The sizes that differ from the parent's."""
        mine = dataclasses.asdict(self)
        return {axis: size for axis, size in mine.items() if size != getattr(parent, axis)}

    def name(self, parent: "Sizes") -> str:
        """E.g. `mamba_layers-44_ffn_size-30720`; `parent` if nothing differs."""
        changed = self.changes(parent)
        return "_".join(f"{axis}-{size}" for axis, size in changed.items()) or "parent"


class Space(Settings):
    """The sizes that the search tries. Null: a default that is said at each key."""

    mamba_layers: Counts = None
    """Numbers of Mamba layers. Null: each from 80 % of the parent's up to all."""
    attention_layers: Counts = None
    """Numbers of attention layers. Null: each from half of the parent's up to all."""
    ffn_layers: Counts = None
    """Numbers of FFN layers. Null: each from 80 % of the parent's up to all."""
    ffn_size: Counts = None
    """Widths of the FFNs. Null: from 3/4 of the parent's up to all, in eight steps."""
    hidden_size: Counts = None
    """Widths of the residual stream. Null: the parent's."""
    mamba_heads: Counts = None
    """Heads of the Mamba layers: multiples of mamba_groups. Null: the parent's."""
    mamba_head_dim: Counts = None
    """Channels of a Mamba head. Null: the parent's."""
    attention_heads: Counts = None
    """Query heads: multiples of key_value_heads. Null: the parent's."""

    def choices(self, parent: HybridConfig) -> dict[str, tuple[int, ...]]:
        """Axis -> its sizes for this parent, ascending.

        Raises RecipeError if a size is above the parent's, or breaks the rule of groups.
        """
        most = dataclasses.asdict(Sizes.of(parent))
        groups = {"mamba_heads": "mamba_groups", "attention_heads": "key_value_heads"}
        found = {}
        for axis in AXES:
            given = getattr(self, axis)
            sizes = tuple(sorted(set(given))) if given else _default(axis, most[axis])
            if sizes[-1] > most[axis]:
                raise RecipeError(
                    f"space.{axis} holds {sizes[-1]}, and the parent has {most[axis]}",
                    "a child is never larger than its parent: give sizes up to the parent's",
                )
            group = getattr(parent, groups[axis]) if axis in groups else 1
            odd = [size for size in sizes if size % group]
            if odd:
                raise RecipeError(
                    f"space.{axis} holds {odd[0]}, which is no multiple of the parent's "
                    f"{groups[axis]} ({group})",
                    f"give multiples of {group}: every group keeps equally many heads",
                )
            found[axis] = sizes
        return found


def _default(axis: str, most: int) -> tuple[int, ...]:
    if axis in LEAST_LAYERS:
        return tuple(range(max(1, math.ceil(most * LEAST_LAYERS[axis])), most + 1)) or (most,)
    if axis == "ffn_size":
        steps = (int(most * (1 - step * FFN_STEP)) for step in range(FFN_STEPS + 1))
        sizes = {size // FFN_MULTIPLE * FFN_MULTIPLE for size in steps} - {0}
        return tuple(sorted({most, *sizes}))
    return (most,)


def widths_alone(choices: Mapping[str, tuple[int, ...]], parent: HybridConfig) -> dict[str, Sizes]:
    """Name -> the parent with one width changed, for every width that can be chosen."""
    whole = Sizes.of(parent)
    alone = (
        dataclasses.replace(whole, **{axis: size})
        for axis in WIDTHS
        for size in choices[axis]
        if size != getattr(whole, axis)
    )
    return {sizes.name(whole): sizes for sizes in alone}
