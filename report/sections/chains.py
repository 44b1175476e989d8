"""The ways of documents through the stages: chains in which each row ends once.

A run may hold several: the crawl through extract, filter, dedup and classify, and another corpus
beside it. Training, vocabularies and models are no part of a chain. A blend takes copies of
documents from several chains, so it starts a new account and ends the chains that it reads.
"""

from dataclasses import dataclass, field

from corpusmill.manifests.looking.inspect import StageRow
from corpusmill.manifests.schema import LEVELS
from corpusmill.report.reading.run import Run, StageView

ONE_TO_ONE = "one_to_one"
NO_LINK = ("pack", "train", "export", "convert", "evaluate", "render")


@dataclass(frozen=True)
class Link:
    """One account of a chain. reasons: (reason, rows) of rows that ended, the most frequent
    first; the rest are summed up.
    """

    name: str
    rows_in: int
    kept: int
    reasons: list[tuple[str, int]]


@dataclass(frozen=True)
class Chain:
    """Stages that follow each other. ends: how the kept rows are divided at the end, e.g. by
    level; empty if they are not.
    """

    stages: list[StageView]
    links: list[Link]
    ends: list[tuple[str, int]] = field(default_factory=list)

    @property
    def rows_in(self) -> int:
        return self.links[0].rows_in

    @property
    def kept(self) -> int:
        return self.links[-1].kept


def chains(run: Run) -> list[Chain]:
    """The chains of a run, the one with most rows first. Stages that drop nothing and stand alone
    are left out.
    """
    found: list[list[StageView]] = []
    for stage in run.stages:
        if not _is_link(stage):
            continue
        parents = run.parents(stage)
        before = next((chain for chain in found if chain[-1] in parents), None)
        if before:
            before.append(stage)
        else:
            found.append([stage])
    drawn = [_chain(stages) for stages in found]
    worth = [chain for chain in drawn if len(chain.links) > 1 or chain.kept < chain.rows_in]
    return sorted(worth, key=lambda chain: -chain.rows_in)


def _is_link(stage: StageView) -> bool:
    manifest = stage.manifest
    return (
        manifest.account == ONE_TO_ONE
        and manifest.unit == "documents"
        and stage.verb not in NO_LINK
        and bool(stage.rows)
        and stage.rows[0].rows_in > 0
    )


def _chain(stages: list[StageView]) -> Chain:
    links = [_link(row) for stage in stages for row in stage.rows]
    return Chain(stages, links, levels_of(stages[-1]))


def _link(row: StageRow, most: int = 4) -> Link:
    ended = {**row.excluded, **row.unused, **row.failures}
    ordered = sorted(ended.items(), key=lambda item: (-item[1], item[0]))
    others = sum(rows for _, rows in ordered[most:])
    if len(ordered) > most:
        ordered = [*ordered[:most], (f"{len(ordered) - most} other reasons", others)]
    return Link(row.name, row.rows_in, row.kept, ordered)


def levels_of(stage: StageView) -> list[tuple[str, int]]:
    """Rows by level, the highest first, from the folders `level=...`; empty if there are none."""
    rows: dict[str, int] = {}
    for artifact in stage.manifest.documents():
        level = partition(artifact.path, "level")
        if level:
            rows[level] = rows.get(level, 0) + artifact.rows
    order = {level: place for place, level in enumerate(reversed(LEVELS))}
    return sorted(rows.items(), key=lambda item: order.get(item[0], len(order)))


def partition(path: str, key: str) -> str:
    """The value of `key` in a path such as `documents/level=low/kind=actual/x.parquet`."""
    for part in path.split("/"):
        name, equals, value = part.partition("=")
        if name == key and equals:
            return value
    return ""
