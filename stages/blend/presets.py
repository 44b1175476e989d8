"""Published phases, as data; and the weights of each source in each phase.

`nemotron_h`: NVIDIA, "Nemotron-H" (arXiv 2504.03624), section 2.2.3 and figure 4, in per cent. The
lengths are those of the 8B model: the second phase begins at 60 % of 15 T tokens, the third at
80 %, and the fourth has the last 380 B. Phase 2 has a thin slice without a label, about 0.9 %; here
it is `sft`.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.blend.quotas import PhaseWeights, exact
from corpusmill.stages.blend.settings import BlendSettings, BlendSource, Phase

# Name -> the phases' lengths, and category -> weight in each phase.
PRESETS: Final[Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]]] = {
    "nemotron_h": (
        (60, 20, 17.47, 2.53),
        {
            "web": (59.0, 40.7, 32.7, 13.5),
            "code": (20.0, 20.0, 20.0, 20.0),
            "academic": (8.8, 12.0, 12.0, 12.0),
            "math": (2.9, 14.0, 10.8, 10.8),
            "multilingual": (5.0, 3.7, 3.7, 3.7),
            "web_derived": (4.0, 7.0, 7.0, 7.0),
            "wiki": (0.3, 1.7, 1.1, 1.1),
            "sft": (0.0, 0.9, 12.6, 31.8),
        },
    ),
}


def phases_of(config: BlendSettings) -> tuple[PhaseWeights, ...]:
    """The phases of a blend, with a weight for each source.

    A source that a phase names has that weight. The other sources of a category share its weight,
    in proportion to their own weights. Raises RecipeError if a source has no category that the
    preset knows.
    """
    phases = config.phases or _preset(config)
    if not phases:
        weights = {name: exact(source.weight) for name, source in config.sources.items()}
        return (PhaseWeights("", Fraction(1), weights),)
    total = sum((exact(phase.length) for phase in phases), Fraction(0))
    return tuple(
        PhaseWeights(phase.name, exact(phase.length) / total, _weights(phase, config.sources))
        for phase in phases
    )


def _preset(config: BlendSettings) -> tuple[Phase, ...]:
    if config.preset is None:
        return ()
    lengths, table = PRESETS[config.preset]
    for name, source in config.sources.items():
        if source.category not in table:
            raise RecipeError(
                f"the source {name} has the category {source.category!r}",
                f"{config.preset} needs one of {', '.join(table)}",
            )
    categories = {source.category for source in config.sources.values()}
    return tuple(
        Phase(
            name=f"phase {number + 1}",
            length=length,
            weights={name: table[name][number] for name in table if name in categories},
        )
        for number, length in enumerate(lengths)
    )


def _weights(phase: Phase, sources: Mapping[str, BlendSource]) -> dict[str, Fraction]:
    own = {name: exact(weight) for name, weight in phase.weights.items() if name in sources}
    shared: dict[str, Fraction] = {}
    for name, source in sources.items():
        if name not in own:
            sum_before = shared.get(source.category, Fraction(0))
            shared[source.category] = sum_before + exact(source.weight)
    return {
        name: own[name]
        if name in own
        else exact(phase.weights.get(source.category, 0.0))
        * exact(source.weight)
        / (shared[source.category] or Fraction(1))
        for name, source in sources.items()
    }
