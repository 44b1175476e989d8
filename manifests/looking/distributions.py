"""Histograms of a stage's numeric columns, for kept and dropped documents, with rule thresholds.

A threshold comes from the detail of a dropped document (`words=12 < 50`). So this module works for
any stage. A filter has about fifty columns. The page shows the columns that dropped a document and
the columns in `SHOWN`. It folds the others away.
"""

import re
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.looking.charts import Histogram, histogram

SHOWN = ("characters", "text_length", "words", "n_tokens", "language_score", "quality")
FEW = 6  # so many columns or fewer are all shown
PREFIX = "stat_"  # of the filter stage's columns
_DETAIL = re.compile(r"(\w+)=\S+ ([<>=!]=?) (-?[\d.]+(?:e[+-]?\d+)?)(?: \(\w+\))?")


@dataclass
class Distribution:
    """One column's values.

    rules: the conditions that dropped documents, as (comparison, threshold).
    """

    kept: list[float] = field(default_factory=list)
    dropped: list[float] = field(default_factory=list)
    rules: set[tuple[str, float]] = field(default_factory=set)


@dataclass(frozen=True)
class Figure:
    """One column's histogram. rules: the conditions that dropped documents, as text."""

    name: str
    rules: str
    chart: Histogram


@dataclass(frozen=True)
class Section:
    """A stage's figures. chosen: shown at once. folded: shown on a click."""

    title: str
    chosen: list[Figure]
    folded: list[Figure]


class Distributions:
    """The numeric columns of one stage.

    skip: columns that an earlier stage has shown.
    """

    def __init__(self, skip: set[str]) -> None:
        self._skip = skip
        self.columns: dict[str, Distribution] = {}

    def add(self, table: pa.Table, dropped: bool) -> None:
        """Add values of kept or of dropped documents. Dropped ones also have rules in `detail`."""
        if "text" in table.column_names and PREFIX + "characters" not in table.column_names:
            table = table.append_column("text_length", pc.utf8_length(table["text"]))
        for name in table.column_names:
            kind = table.schema.field(name).type
            if name in self._skip or not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                continue
            values = [
                value
                for value in pc.drop_null(table[name]).cast(pa.float64()).to_pylist()
                if value == value  # not NaN
            ]
            if values:  # else the stage did not measure the column
                column = self.columns.setdefault(name, Distribution())
                (column.dropped if dropped else column.kept).extend(values)
        if dropped:
            self._add_rules(table["detail"].drop_null().to_pylist())

    def _add_rules(self, details: list[str]) -> None:
        for statistic, comparison, threshold in (
            rule.groups() for rule in map(_DETAIL.fullmatch, details) if rule
        ):
            for name in (PREFIX + statistic, statistic):
                if name in self.columns:
                    self.columns[name].rules.add((comparison, float(threshold)))

    def section(self, title: str) -> Section | None:
        """The page's section. None if all columns are constant."""
        varying = {
            name: column
            for name, column in sorted(self.columns.items())
            if len({*column.kept, *column.dropped}) > 1
        }
        chosen = {
            name
            for name, column in varying.items()
            if column.rules or name.removeprefix(PREFIX) in SHOWN or len(varying) <= FEW
        }
        if not varying:
            return None
        return Section(
            title,
            [_figure(name, column) for name, column in varying.items() if name in chosen],
            [_figure(name, column) for name, column in varying.items() if name not in chosen],
        )


def _figure(name: str, column: Distribution) -> Figure:
    thresholds = [threshold for _, threshold in sorted(column.rules)]
    return Figure(
        name.removeprefix(PREFIX),
        ", ".join(f"{comparison} {threshold:g}" for comparison, threshold in sorted(column.rules)),
        histogram(column.kept, column.dropped, thresholds),
    )
