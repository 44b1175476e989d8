"""The sites with most documents, from samples: what came in, what stayed."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from corpusmill.manifests.looking.domains import NO_SITE, with_site
from corpusmill.report.reading.run import Run
from corpusmill.report.reading.sampling import Sample
from corpusmill.report.sections.chains import Chain

MOST = 25


@dataclass(frozen=True)
class SiteRow:
    """rows_in, kept: documents, of the whole run by the samples' weights. reason: the most frequent
    one of a drop.
    """

    name: str
    rows_in: int
    kept: int
    reason: str

    @property
    def keep_rate(self) -> float:
        return min(1.0, self.kept / self.rows_in) if self.rows_in else 0.0


@dataclass(frozen=True)
class SiteTable:
    """rows: the largest sites. sites: how many there are in the samples. is_whole: whether the
    samples are all rows.
    """

    rows: list[SiteRow]
    sites: int
    first: str
    last: str
    is_whole: bool


def sites(run: Run, chains: list[Chain]) -> SiteTable | None:
    """The sites of the first chain; None if its documents have no URLs."""
    if not chains:
        return None
    stages = chains[0].stages
    came: dict[str, float] = {}
    reasons: dict[str, dict[str, float]] = {}
    for stage in stages:
        for row in _counted(_with_site(stage.dropped), ["site", "reason"]):
            count = row["count_all"] * stage.dropped.weight
            why = reasons.setdefault(row["site"], {})
            why[str(row["reason"])] = why.get(str(row["reason"]), 0.0) + count
            if stage is stages[0]:
                came[row["site"]] = came.get(row["site"], 0.0) + count
    for row in _counted(_with_site(stages[0].kept), ["site"]):
        count = row["count_all"] * stages[0].kept.weight
        came[row["site"]] = came.get(row["site"], 0.0) + count
    stayed = {
        row["site"]: row["count_all"] * stages[-1].kept.weight
        for row in _counted(_with_site(stages[-1].kept), ["site"])
    }
    if not set(came) - {NO_SITE}:
        return None
    rows = [
        SiteRow(
            name,
            round(rows),
            round(stayed.get(name, 0)),
            max(reasons[name], key=lambda reason: reasons[name][reason]) if name in reasons else "",
        )
        for name, rows in sorted(came.items(), key=lambda item: -item[1])[:MOST]
    ]
    is_whole = all(sample.is_whole for stage in stages for sample in (stage.kept, stage.dropped))
    return SiteTable(rows, len(came), stages[0].name, stages[-1].name, is_whole)


def _with_site(sample: Sample) -> pa.Table:
    return with_site(sample.table) if sample.table.num_rows else sample.table


def _counted(table: pa.Table, keys: list[str]) -> list[dict[str, Any]]:
    if not set(keys) <= set(table.column_names):
        return []
    return table.group_by(keys).aggregate([([], "count_all")]).to_pylist()
