"""Chains of rule families by name: the published ones as they were published, and the default.

A preset says which families judge, with which changes, and what they look at. The default's changes
to the published chain were chosen by the labelled set (docs/filters.md, benchmarks/filter_quality).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.stages.filter.families import DEFAULT, FAMILIES
from corpusmill.stages.filter.line_edits import LineEdits

C4_LINES: Final = LineEdits()
# A page's main text has few menus, and many short sentences, paragraphs on JavaScript, and code.
MILD_LINES: Final = LineEdits(short_sentences=False, longest_notice=30, brackets_in_code=False)
Judged = Literal["prose", "text"]


@dataclass(frozen=True)
class Preset:
    """families, thresholds, off, lines: as the filter's own settings. judge: what the statistics
    see: `prose` leaves code, tables and formulas out, `text` has all.
    """

    families: tuple[str, ...]
    judge: Judged
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    off: frozenset[str] = frozenset()
    lines: LineEdits = C4_LINES


NAMED: Final[Mapping[str, Preset]] = {
    "default": Preset(
        (*DEFAULT, "corpusmill"),
        "prose",
        thresholds={
            # Twice as high as published: good manuals and mathematics repeat themselves.
            "gopher_repetition": {
                rule.name: 2 * rule.threshold for rule in FAMILIES["gopher_repetition"]
            },
            # 0 never drops; the languages that FineWeb 2 tuned have their own values
            "fineweb": {"duplicate_line_characters": 0.4, "few_punctuated_lines": 0},
        },
        off=frozenset(
            (
                *("gopher_quality.few_alphabetic_words", "c4.curly_bracket", "c4.few_sentences"),
                *("corpusmill.many_capitals", "corpusmill.many_digits"),
            )
        ),
        lines=MILD_LINES,
    ),
    "gopher": Preset(("gopher_repetition", "gopher_quality"), "text"),
    "c4": Preset(("c4",), "text", lines=LineEdits(terminal_punctuation=True)),
    "fineweb": Preset(DEFAULT, "text"),
    "nemotron_cc": Preset(("nemotron",), "text"),
}


def preset(name: str | None, families: tuple[str, ...] | None) -> Preset:
    """The preset of this name. Without a name: the default, or, if the recipe names families, those
    families as they were published, over prose.

    Raises RecipeError for a name that there is not.
    """
    if name is None:
        return Preset(families, "prose") if families is not None else NAMED["default"]
    if name not in NAMED:
        raise RecipeError(f"there is no filter preset {name!r}", nearest(name, NAMED))
    return NAMED[name]


def merged(
    base: Mapping[str, Mapping[str, float]],
    own: Mapping[str, Mapping[str, float]],
    families: tuple[str, ...],
) -> dict[str, dict[str, float]]:
    """The preset's thresholds of the families in use, and over them the recipe's own."""
    names = {name for name in base if name in families} | set(own)
    return {name: {**base.get(name, {}), **own.get(name, {})} for name in names}
