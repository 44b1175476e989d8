"""Tokens and documents by source, level, kind, language and licence."""

import json
from collections import Counter
from dataclasses import dataclass

import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run, StageView
from corpusmill.report.sections.chains import Chain, levels_of, partition


@dataclass(frozen=True)
class Part:
    """A row of a table of parts. size: bytes of text. asked: the share that the blend asked for."""

    name: str
    documents: int = 0
    tokens: int = 0
    size: int = 0
    asked: float | None = None
    epochs: float | None = None
    available: int | None = None


@dataclass(frozen=True)
class Shares:
    """Parts of one whole. by: what divides it. where: the stage of the rows. note: a remark."""

    by: str
    where: str
    parts: list[Part]
    note: str = ""

    @property
    def unit(self) -> str:
        """What the bars stand for: tokens where they are counted, else text, else documents."""
        for unit in ("tokens", "size"):
            if any(getattr(part, unit) for part in self.parts):
                return unit
        return "documents"

    def of(self, part: Part) -> float:
        """The part's share, from 0 to 1."""
        whole = sum(getattr(other, self.unit) for other in self.parts)
        return getattr(part, self.unit) / whole if whole else 0.0


def shares(run: Run, chains: list[Chain]) -> list[Shares]:
    """The tables of a run that have rows."""
    found = [_sources(stage) for stage in run.of("blend")]
    folders = [stage for stage in run.of("classify", "synthesize") if stage.kept.rows]
    found += [
        _by_folder(stage, "level")
        for stage in folders
        if levels_of(stage) and stage.verb != "blend"
    ]
    found.append(_kinds(run))
    if chains:
        found += [_by_value(chains[0].stages[-1], name) for name in ("language", "licence")]
    return [item for item in found if item is not None and item.parts]


def _sources(stage: StageView) -> Shares | None:
    """The sources of a blend, from its plan."""
    path = storage.join(stage.manifest.folder, "plan.json")
    if not storage.exists(path):
        return None
    plan = json.loads(storage.read_bytes(path))
    parts = [
        Part(
            name,
            documents=source.get("documents", 0),
            tokens=source.get("tokens", 0),
            asked=source.get("asked_share"),
            epochs=source.get("epochs"),
            available=source.get("available_tokens"),
        )
        for name, source in plan.get("sources", {}).items()
    ]
    return Shares("source", stage.name, sorted(parts, key=lambda part: -part.tokens))


def _by_folder(stage: StageView, key: str) -> Shares:
    found: dict[str, list[int]] = {}
    for artifact in stage.manifest.documents():
        name = partition(artifact.path, key)
        if name:
            sums = found.setdefault(name, [0, 0, 0])
            for place, value in enumerate((artifact.rows, artifact.tokens, artifact.text_bytes)):
                sums[place] += value
    order = [name for name, _ in levels_of(stage)] if key == "level" else sorted(found)
    return Shares(key, stage.name, [Part(name, *found[name]) for name in order])


def _kinds(run: Run) -> Shares | None:
    """Actual and synthetic documents: of the blend if there is one, by a sample of its rows."""
    for stage in run.of("blend"):
        kinds = stage.kept.table
        if not {"kind", "n_tokens"} <= set(kinds.column_names):
            continue
        sums = kinds.group_by("kind").aggregate([("n_tokens", "sum"), ("n_tokens", "count")])
        weight = stage.kept.weight
        parts = [
            Part(
                str(row["kind"] or "not said"),
                round(row["n_tokens_count"] * weight),
                round((row["n_tokens_sum"] or 0) * weight),
            )
            for row in sums.to_pylist()
        ]
        note = "" if stage.kept.is_whole else f"from {kinds.num_rows:,} of {stage.kept.rows:,} rows"
        return Shares("kind", stage.name, sorted(parts, key=lambda part: -part.tokens), note)
    return None


def _by_value(stage: StageView, column: str, most: int = 12) -> Shares | None:
    """Documents by a column. None if no row has a value there."""
    sample = stage.kept
    values = sample.column(column)
    if not any(values):
        return None
    counted = Counter(str(value or "not known") for value in values)
    parts = [Part(name, round(rows * sample.weight)) for name, rows in counted.most_common(most)]
    if others := counted.total() - sum(rows for _, rows in counted.most_common(most)):
        parts.append(Part(f"{len(counted) - most} others", round(others * sample.weight)))
    note = "" if sample.is_whole else f"from {sample.table.num_rows:,} of {sample.rows:,} rows"
    return Shares(column, stage.name, parts, note)


def clusters(stage: StageView) -> list[tuple[str, int]]:
    """The documents that `dedup` kept by the size of their cluster: (size, documents)."""
    sample = stage.kept
    if "cluster_size" not in sample.table.column_names:
        return []
    sizes = pc.fill_null(sample.table["cluster_size"], 1).to_pylist()
    found: Counter[int] = Counter(max(0, size - 1).bit_length() for size in sizes)
    return [(_range(power), round(found[power] * sample.weight)) for power in range(max(found) + 1)]


def _range(power: int) -> str:
    """The sizes with so many doublings: 1, 2, 3-4, 5-8, ..."""
    first, last = (2 ** (power - 1) + 1 if power else 1), 2**power
    return str(last) if first == last else f"{first}-{last}"
