"""How many tokens each source of a blend gives: weights, epoch caps, and the effect of a cap.

The arithmetic uses fractions. So a source that is to be used exactly once is used exactly once.
Weights are shares of tokens. If a source reaches its cap, the others share its rest in proportion
to their weights. That repeats until all tokens are placed or every source is at its cap. A cap
above 1 repeats data. Up to about four times, that trains nearly as well as new data (Muennighoff et
al., arXiv 2305.16264).

A blend may have several phases, each with its own weights and its share of the length. A source's
cap holds over all phases together. Earlier phases take first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from corpusmill.manifests.errors import RecipeError

MOST_EPOCHS = 30_000  # the epoch column is int16


@dataclass(frozen=True)
class Supply:
    """What a source has and may give. max_epochs: None for no cap. used: tokens that earlier phases
    have taken.
    """

    weight: Fraction
    tokens: int
    max_epochs: Fraction | None
    used: int = 0

    @property
    def limit(self) -> Fraction | None:
        return None if self.max_epochs is None else self.max_epochs * self.tokens - self.used


@dataclass(frozen=True)
class PhaseWeights:
    """length: share of the blend's tokens, of all phases 1 together. weights: by source."""

    name: str
    length: Fraction
    weights: Mapping[str, Fraction]


@dataclass(frozen=True)
class Quota:
    """asked_share: share by weight. tokens: whole tokens to give. capped: whether the cap keeps it
    below its share.
    """

    asked_share: Fraction
    tokens: int
    capped: bool


def exact(value: float) -> Fraction:
    """The number as it is written: 0.1 is one tenth."""
    return Fraction(str(value))


def largest_total(supplies: Mapping[str, Supply]) -> Fraction:
    """The most tokens that keep every share exact and no source above its cap.

    Raises RecipeError if no source has a cap.
    """
    weights = sum((supply.weight for supply in supplies.values()), Fraction(0))
    totals = [
        supply.limit * weights / supply.weight
        for supply in supplies.values()
        if supply.weight and supply.limit is not None
    ]
    if not totals:
        raise RecipeError(
            "the blend has no size: no source has max_epochs and tokens is not given",
            "set tokens, or max_epochs of a source",
        )
    return min(totals)


def allot_phases(
    phases: Sequence[PhaseWeights], supplies: Mapping[str, Supply], tokens: int | None
) -> list[dict[str, Quota]]:
    """The quotas of each phase. tokens: of the whole blend; None for the most that keeps every
    share exact and no source above its cap. The weights of `supplies` are not read.

    Raises RecipeError as `allot` does.
    """
    for phase in phases:
        _refuse_no_weight(phase.weights.values())
    if tokens is None:
        mean = {
            name: sum(
                (
                    phase.length * phase.weights[name] / sum(phase.weights.values(), Fraction(0))
                    for phase in phases
                ),
                Fraction(0),
            )
            for name in supplies
        }
        whole = {name: replace(supply, weight=mean[name]) for name, supply in supplies.items()}
        tokens = int(largest_total(whole))
    found: list[dict[str, Quota]] = []
    used = dict.fromkeys(supplies, 0)
    end, start = Fraction(0), 0
    for phase in phases:
        end += phase.length * tokens
        current = {
            name: replace(supply, weight=phase.weights[name], used=used[name])
            for name, supply in supplies.items()
        }
        found.append(allot(current, int(end) - start))
        start = int(end)
        for name, quota in found[-1].items():
            used[name] += quota.tokens
    return found


def _refuse_no_weight(weights: Iterable[Fraction]) -> None:
    if not any(weights):
        raise RecipeError(
            "every weight of the blend or of a phase is 0",
            "give at least one source a weight above 0",
        )


def allot(supplies: Mapping[str, Supply], tokens: int | None) -> dict[str, Quota]:
    """The quota of each source. tokens: of the whole blend; None for `largest_total`.

    Raises RecipeError if a source with a weight has no tokens, or if the blend has no size.
    """
    weights = sum((supply.weight for supply in supplies.values()), Fraction(0))
    _refuse_no_weight([weights])
    for name, supply in supplies.items():
        if supply.weight and not supply.tokens:
            raise RecipeError(
                f"the blend's source {name} has no tokens to give",
                "check its input and its levels, kinds and prompts, or set its weight to 0",
            )
    remaining = largest_total(supplies) if tokens is None else Fraction(tokens)
    given: dict[str, Fraction] = {
        name: Fraction(0) for name, supply in supplies.items() if not supply.weight
    }
    capped: set[str] = set()
    while len(given) < len(supplies):
        open_weight = sum(
            (supply.weight for name, supply in supplies.items() if name not in given), Fraction(0)
        )
        asked = {
            name: remaining * supply.weight / open_weight
            for name, supply in supplies.items()
            if name not in given
        }
        limits = {name: supplies[name].limit for name in asked}
        over = {
            name: limit
            for name, limit in limits.items()
            if limit is not None and asked[name] > limit
        }
        given |= over or asked
        capped |= set(over)
        remaining -= sum(over.values(), Fraction(0))
    for name, supply in supplies.items():
        if given[name] + supply.used > MOST_EPOCHS * supply.tokens:
            raise RecipeError(
                f"the blend's source {name} would be repeated "
                f"{float((given[name] + supply.used) / supply.tokens):.0f} times",
                f"set its max_epochs, or ask for fewer tokens: at most {MOST_EPOCHS} epochs "
                "are possible",
            )
    return {
        name: Quota(supply.weight / weights, int(given[name]), name in capped)
        for name, supply in supplies.items()
    }
