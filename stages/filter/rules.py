"""Quality rules as data: a statistic, a comparison, a threshold, and the threshold's source.

A document is dropped when `statistic comparison threshold` holds for one of the rules in force. So
every rule reads as the condition of a drop. The published rules are kept in families
(`stages.filter.families`), with other thresholds for other languages (`stages.filter.languages`). A
recipe chooses families, changes thresholds, switches rules off, and adds rules of its own over any
statistic of `stages.filter.statistics`. Values are compared in the column's own type. So rules give
the same verdict for freshly measured documents and for columns read back from Parquet.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.settings import Settings
from corpusmill.stages.filter.statistics import NAMES, Measured
from numpy.typing import NDArray

COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
RECIPE_FAMILY = "recipe"
FEW_WORDS: Final = 50  # Gopher's smallest document: fewer words say little about prose
APART_SHARE: Final = 0.1  # of a document's words; chosen by the labelled set
# Statistics that count what is set apart too.
OF_ALL: Final = ("words", "parts", "prose_parts", "prose_part_ratio")
OF_CODE: Final = (  # statistics of code, which judge pages that have hardly anything else
    *("code_line_length", "code_part_length", "code_digit_ratio", "timed_code_line_ratio"),
)
# Statistics that the lines around code and tables cannot meet. They are few, introduce an example
# with a colon, say "Output:" again and again, and name what has capitals.
OF_LINES: Final = (
    *("punctuation_line_ratio", "short_line_ratio", "newline_ratio", "sentences"),
    *("duplicate_line_ratio", "duplicate_paragraph_ratio", "uppercase_ratio"),
)
Thresholds = Mapping[str, Mapping[str, float]]


class Rule(Settings):
    """Drop a document when `statistic comparison threshold` holds."""

    name: str
    """Snake case, unique within its family. FAMILY.NAME is the reason code."""
    statistic: str
    """What is measured, by its name in docs/filters.md."""
    comparison: Literal["<", "<=", ">", ">=", "==", "!="]
    """A document is dropped if this holds between the measured value and the threshold."""
    threshold: float
    """What the measured value is compared with."""
    family: str = RECIPE_FAMILY
    """The first part of the reason code."""
    citation: str = ""
    """Where the threshold comes from."""

    @property
    def code(self) -> str:
        return f"{self.family}.{self.name}"

    def detail(self, value: float, threshold: float) -> str:
        """The measured value and the condition that it met, e.g. `words=12 < 50`."""
        return f"{self.statistic}={value:.6g} {self.comparison} {threshold:.6g}"


def rules_in_force(
    families: Mapping[str, tuple[Rule, ...]],
    chosen: Sequence[str],
    thresholds: Thresholds,
    off: Iterable[str],
    own: Iterable[Rule],
    measured: Collection[str] = NAMES,
) -> tuple[Rule, ...]:
    """The rules of the chosen families in the order given, then the recipe's own.

    thresholds: family -> rule name -> another threshold. off: reason codes of rules to leave out.
    measured: the statistics that there are.
    Raises RecipeError if a family, rule or statistic does not exist (the error names the nearest
    one that does), or if a rule is given twice.
    """
    rules: dict[str, Rule] = {}
    for family in chosen:
        if family not in families:
            raise RecipeError(f"there is no rule family {family!r}", nearest(family, families))
        if chosen.count(family) > 1:
            raise RecipeError(f"the family {family} is named twice", "name it once")
        rules.update({rule.code: rule for rule in families[family]})
    published = {rule.code for family in families.values() for rule in family}
    for rule in own:
        _check(rule, measured)
        if rule.code in rules or rule.code in published:
            raise RecipeError(
                f"rule {rule.code} is there already",
                "give it another name, or change its threshold",
            )
        rules[rule.code] = rule
    changed, silenced = by_code(thresholds), set(off)
    for code in [*changed, *sorted(silenced)]:
        if code in published and code not in rules:
            raise RecipeError(
                f"rule {code} is not in force", f"add {code.split('.')[0]} to the families"
            )
        if code not in rules:
            raise RecipeError(f"there is no rule {code!r}", nearest(code, rules))
    return tuple(
        rule.model_copy(
            update={
                "threshold": changed[code],
                "citation": f"recipe (published: {rule.threshold:g})",
            }
        )
        if code in changed
        else rule
        for code, rule in rules.items()
        if code not in silenced
    )


def by_code(thresholds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Flatten family -> rule name -> threshold to reason code -> threshold."""
    return {
        f"{family}.{name}": value
        for family, names in thresholds.items()
        for name, value in names.items()
    }


def failing(
    measured: Measured, thresholds: NDArray[np.float64], rules: Sequence[Rule]
) -> NDArray[np.bool_]:
    """Which rules drop which documents (rules x documents).

    measured: statistic -> its values, one per document. thresholds: rules x documents, or rules x 1
    if they are the same for all. NaN means that a rule does not judge a document.
    """
    rows = next(iter(measured.values())).size if measured else 0
    verdicts = np.zeros((len(rules), rows), np.bool_)
    for index, rule in enumerate(rules):
        values = measured[rule.statistic]
        limits = (
            thresholds[index].astype(np.float32)
            if values.dtype == np.float32
            else thresholds[index]
        )
        verdicts[index] = COMPARISONS[rule.comparison](values, limits)
        if rule.comparison == "!=":
            verdicts[index] &= ~np.isnan(limits)
    return verdicts


def do_not_judge(measured: Measured, rules: Sequence[Rule]) -> NDArray[np.bool_]:
    """Which rules do not judge which documents, for what is set apart (rules x documents).

    If more than APART_SHARE of the words are set apart, rules on the shape of lines do not judge.
    If less than FEW_WORDS words are prose, and more are set apart, only rules that count all words
    and rules on code judge. Rules on code judge no other page. The recipe's own rules always judge.
    """
    prose = measured["words"] - measured["apart_words"]
    has_much = measured["apart_words"] > APART_SHARE * measured["words"]
    has_little_prose = (prose < FEW_WORDS) & (measured["apart_words"] > prose)
    skipped = np.zeros((len(rules), prose.size), np.bool_)
    for index, rule in enumerate(rules):
        if rule.family != RECIPE_FAMILY:
            if rule.statistic in OF_LINES:
                skipped[index] |= has_much
            if rule.statistic in OF_CODE:
                skipped[index] |= ~has_little_prose
            elif rule.statistic not in OF_ALL:
                skipped[index] |= has_little_prose
    return skipped


def _check(rule: Rule, measured: Collection[str]) -> None:
    if rule.statistic not in measured:
        raise RecipeError(
            f"rule {rule.code} names the statistic {rule.statistic!r}, which is not measured",
            nearest(rule.statistic, sorted(measured)),
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", rule.code) or rule.family.startswith(
        "error_"
    ):
        raise RecipeError(
            f"{rule.code!r} cannot be a reason code",
            "name rule and family in snake case, the family not beginning with error_",
        )
