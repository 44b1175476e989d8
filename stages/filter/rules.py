"""Quality rules as data: a statistic, a comparison, a threshold, and where the number comes from.

A document is dropped when `statistic comparison threshold` holds for one of the rules in force, so every rule reads as the condition
of a drop. The published rules are kept in families; a recipe chooses families, changes thresholds, switches rules off, and
adds rules of its own over any statistic of `stages.filter.statistics`. Thresholds are compared in the column's own type, so that
rules give the same verdict over freshly measured documents and over columns read back from Parquet.
"""

import dataclasses
import difflib
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from manifests.config import config
from manifests.errors import RecipeError
from stages.filter.statistics import NAMES, REMOVED_LINES, Measured

COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
RECIPE_FAMILY = "recipe"


@config
class Rule:
    """Drop a document when `statistic comparison threshold` holds.

    name: snake case, unique within its family; `<family>.<name>` is the reason code. citation: where the threshold comes from.
    """

    name: str
    statistic: str
    comparison: Literal["<", "<=", ">", ">=", "==", "!="]
    threshold: float
    family: str = RECIPE_FAMILY
    citation: str = ""

    @property
    def code(self) -> str:
        return f"{self.family}.{self.name}"

    def detail(self, value: float) -> str:
        """The measured value beside the condition that it met, e.g. `words=12 < 50`."""
        return f"{self.statistic}={value:.6g} {self.comparison} {self.threshold:.6g}"


GOPHER_QUALITY = "Rae et al. 2021 (arXiv:2112.11446), appendix A.1.1"
GOPHER_REPETITION = "Rae et al. 2021 (arXiv:2112.11446), appendix A.1.1, table A1"
C4 = "Raffel et al. 2020 (JMLR 21/140), 2.2"
FINEWEB = "Penedo et al. 2024 (arXiv:2406.17557)"


def _rules(family: str, citation: str, *rows: tuple[str, str, Any, float]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            family=family,
            citation=citation,
            name=name,
            statistic=statistic,
            comparison=comparison,
            threshold=threshold,
        )
        for name, statistic, comparison, threshold in rows
    )


FAMILIES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "gopher_repetition": _rules(
        "gopher_repetition",
        GOPHER_REPETITION,
        ("duplicate_paragraphs", "duplicate_paragraph_ratio", ">", 0.3),
        ("duplicate_paragraph_characters", "duplicate_paragraph_character_ratio", ">", 0.2),
        ("duplicate_lines", "duplicate_line_ratio", ">", 0.3),
        ("duplicate_line_characters", "duplicate_line_character_ratio", ">", 0.2),
        ("top_2_gram", "top_2_gram_ratio", ">", 0.20),
        ("top_3_gram", "top_3_gram_ratio", ">", 0.18),
        ("top_4_gram", "top_4_gram_ratio", ">", 0.16),
        ("duplicate_5_grams", "duplicate_5_gram_ratio", ">", 0.15),
        ("duplicate_6_grams", "duplicate_6_gram_ratio", ">", 0.14),
        ("duplicate_7_grams", "duplicate_7_gram_ratio", ">", 0.13),
        ("duplicate_8_grams", "duplicate_8_gram_ratio", ">", 0.12),
        ("duplicate_9_grams", "duplicate_9_gram_ratio", ">", 0.11),
        ("duplicate_10_grams", "duplicate_10_gram_ratio", ">", 0.10),
    ),
    "gopher_quality": _rules(
        "gopher_quality",
        GOPHER_QUALITY,
        ("few_words", "words", "<", 50),
        ("many_words", "words", ">", 100_000),
        ("short_words", "mean_word_length", "<", 3),
        ("long_words", "mean_word_length", ">", 10),
        ("hash_signs", "hash_ratio", ">", 0.1),
        ("ellipses", "ellipsis_ratio", ">", 0.1),
        ("bullet_lines", "bullet_line_ratio", ">", 0.9),
        ("ellipsis_lines", "ellipsis_line_ratio", ">", 0.3),
        ("few_alphabetic_words", "alphabetic_word_ratio", "<", 0.8),
        ("few_stop_words", "stop_words", "<", 2),
    ),
    "c4": _rules(  # and the line edits of stages.filter.line_edits
        "c4",
        C4,
        ("lorem_ipsum", "lorem_ipsum", ">", 0),
        ("curly_bracket", "curly_brackets", ">", 0),
        ("few_sentences", "sentences", "<", 5),
    ),
    "fineweb": _rules(
        "fineweb",
        FINEWEB,
        ("few_punctuated_lines", "punctuation_line_ratio", "<", 0.12),
        ("short_lines", "short_line_ratio", ">", 0.67),
        ("duplicate_line_characters", "duplicate_line_character_ratio", ">", 0.01),  # FineWeb 2: 0.1
        ("newlines", "newline_ratio", ">", 0.3),
    ),
}


def rules_in_force(
    families: Sequence[str], thresholds: Mapping[str, Mapping[str, float]], off: Iterable[str], own: Iterable[Rule]
) -> tuple[Rule, ...]:
    """The rules of the families in the order given, then the recipe's own.

    thresholds: family -> rule name -> another threshold. off: reason codes of rules to leave out. Raises RecipeError where a family,
    rule or statistic does not exist (naming the nearest one that does) or a rule is given twice.
    """
    rules: dict[str, Rule] = {}
    for family in families:
        if family not in FAMILIES:
            raise RecipeError(f"there is no rule family {family!r}", nearest(family, FAMILIES))
        rules.update({rule.code: rule for rule in FAMILIES[family]})
    published = {rule.code for family in FAMILIES.values() for rule in family}
    for rule in own:
        _check(rule)
        if rule.code in rules or rule.code in published:
            raise RecipeError(f"rule {rule.code} is there already", "give it another name, or change its threshold")
        rules[rule.code] = rule
    changed = {f"{family}.{name}": value for family, names in thresholds.items() for name, value in names.items()}
    silenced = set(off)
    for code in [*changed, *sorted(silenced)]:
        if code in published and code not in rules:
            raise RecipeError(f"rule {code} is not in force", f"add {code.split('.')[0]} to the families")
        if code not in rules:
            raise RecipeError(f"there is no rule {code!r}", nearest(code, rules))
    return tuple(
        dataclasses.replace(rule, threshold=changed[code], citation=f"recipe (published: {rule.threshold:g})")
        if code in changed
        else rule
        for code, rule in rules.items()
        if code not in silenced
    )


def failing(measured: Measured, rules: Sequence[Rule]) -> NDArray[np.bool_]:
    """Which rules drop which documents (rules x documents). measured: statistic -> its values, one a document."""
    rows = next(iter(measured.values())).size if measured else 0
    verdicts = np.zeros((len(rules), rows), np.bool_)
    for index, rule in enumerate(rules):
        values = measured[rule.statistic]
        threshold = np.float32(rule.threshold) if values.dtype == np.float32 else rule.threshold
        verdicts[index] = COMPARISONS[rule.comparison](values, threshold)
    return verdicts


def nearest(word: str, known: Iterable[str]) -> str:
    """The mend for a word that nobody knows: the nearest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names) or 'none'}"


def _check(rule: Rule) -> None:
    if rule.statistic not in (*NAMES, REMOVED_LINES.name):
        raise RecipeError(
            f"rule {rule.code} names the statistic {rule.statistic!r}, which is not measured",
            nearest(rule.statistic, (*NAMES, REMOVED_LINES.name)),
        )
    if rule.comparison not in COMPARISONS:
        raise RecipeError(
            f"rule {rule.code} has the comparison {rule.comparison!r}", f"take one of {' '.join(COMPARISONS)}"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", rule.code) or rule.family.startswith("error_"):
        raise RecipeError(
            f"{rule.code!r} cannot be a reason code",
            "name rule and family in snake case, the family not beginning with error_",
        )
