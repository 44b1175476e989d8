"""Histograms of a stage's numeric columns, for kept and dropped documents, with rule thresholds.

A threshold comes from the detail of a dropped document (`words=12 < 50`). So this works for any
stage. A filter has about sixty columns. The page shows the columns that dropped a document and
those in `SHOWN`, and folds the others away. A column is shown once, at the stage that measured it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.report.reading.run import Run, StageView

SHOWN = ("characters", "words", "n_tokens", "language_score", "quality")
FEW = 6  # so many columns or fewer are all shown
PREFIX = "stat_"  # of the filter stage's columns
_NUMBER = r"-?[\d.]+(?:e[+-]?\d+)?"
_DETAIL = re.compile(rf"(\w+)=\S+ ([<>=!]=?) ({_NUMBER})(?: \(\w+\))?")


@dataclass
class Distribution:
    """One column's values.

    rules: the conditions that dropped documents, as (comparison, threshold).
    """

    name: str
    kept: list[float] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    rules: set[tuple[str, float]] = field(default_factory=set)

    @property
    def conditions(self) -> str:
        return ", ".join(f"{comparison} {value:g}" for comparison, value in sorted(self.rules))

    @property
    def thresholds(self) -> list[float]:
        return [value for _, value in sorted(self.rules)]


@dataclass(frozen=True)
class Measured:
    """A stage's columns. chosen: shown at once. folded: shown on a click. rows: read for them."""

    stage: str
    chosen: list[Distribution]
    folded: list[Distribution]
    rows: int


def measured(run: Run) -> list[Measured]:
    """The histograms of each stage that has one. Constant and repeated columns are left out."""
    shown: set[str] = set()
    found = []
    for stage in run.stages:
        columns = _columns(stage, shown)
        shown |= columns.keys()
        varying = [item for item in columns.values() if len({*item.kept, *item.dropped}) > 1]
        chosen = [
            item for item in varying if item.rules or item.name in SHOWN or len(varying) <= FEW
        ]
        if varying:
            rows = stage.kept.table.num_rows + stage.dropped.table.num_rows
            folded = [item for item in varying if item not in chosen]
            found.append(Measured(stage.name, chosen, folded, rows))
    return found


def _columns(stage: StageView, skip: set[str]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    for table, dropped in ((stage.kept.table, False), (stage.dropped.table, True)):
        for name, values in _numbers(table):
            if name not in skip:
                column = found.setdefault(name, Distribution(name.removeprefix(PREFIX)))
                (column.dropped if dropped else column.kept).extend(values)
    details = pc.drop_null(stage.dropped.table["detail"]) if stage.dropped.table.num_rows else []
    for text in pa.array(details, pa.string()).unique().to_pylist() if len(details) else ():
        if rule := _DETAIL.fullmatch(text):
            for name in (PREFIX + rule[1], rule[1]):
                if name in found:
                    found[name].rules.add((rule[2], float(rule[3])))
    return dict(sorted(found.items()))


def _numbers(table: pa.Table) -> Iterator[tuple[str, list[float]]]:
    for field_ in table.schema:
        if not (pa.types.is_floating(field_.type) or pa.types.is_integer(field_.type)):
            continue
        values = pc.drop_null(table[field_.name]).cast(pa.float64(), safe=False).to_pylist()
        finite = [value for value in values if value == value]  # not NaN
        if finite:  # else the stage did not measure the column
            yield field_.name, finite
