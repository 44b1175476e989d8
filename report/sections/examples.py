"""Documents to read: before and after synthesis, before and after edits, the best and worst of each
level, and one for each reason of a drop.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests.looking.tables import size_text
from corpusmill.manifests.schema import LEVELS
from corpusmill.report.reading.run import Run, StageView
from corpusmill.report.sections.differences import Pair, Piece, by_words, changes
from corpusmill.stages.columns.cuts import restore

PAIRS = 6
EDITED = 6  # documents of one stage
REASONS = 12  # of one stage
EXCERPT = 700  # characters
CUTS_OF = {
    "filter": "filter_cuts",
    "templates": "template_cuts",
    "decontaminate": "decontaminate_cuts",
}
LONGEST_EDITED = 60_000  # characters; a longer text takes too long to compare


@dataclass(frozen=True)
class Example:
    """One document. facts: what is known of it, in words."""

    id: str
    url: str
    facts: str
    text: str


@dataclass(frozen=True)
class Rewritten:
    """A passage, and what the language model made of it."""

    id: str
    prompt: str
    url: str
    pair: Pair


@dataclass(frozen=True)
class Edited:
    """A document that a stage cut or changed, and the changed places."""

    stage: str
    id: str
    url: str
    facts: str
    pieces: list[Piece]


@dataclass(frozen=True)
class LevelExamples:
    level: str
    best: list[Example]
    worst: list[Example]


@dataclass(frozen=True)
class DroppedExamples:
    """One dropped document for each reason of a stage."""

    stage: str
    reasons: list[tuple[str, Example]]


def rewritten(run: Run) -> list[Rewritten]:
    """Some synthetic documents, each beside the passage that it was made from."""
    # A document may stand in several pairs, and alone.
    parents: dict[tuple[str, str | None], dict[str, Any]] = {}
    for stage in run.of("synthesize"):
        for before in run.parents(stage):
            for row in before.texts.table.to_pylist():
                if row.get("text"):
                    parents[row["id"], (row.get("linked") or {}).get("id")] = row
    found: list[Rewritten] = []
    for stage in run.of("synthesize"):
        for row in stage.texts.table.to_pylist():
            lineage = row.get("lineage") or {}
            second = row.get("linked_parent")
            parent = parents.get((lineage.get("parent", ""), second["parent"] if second else None))
            if parent is None or not row.get("text") or len(found) >= PAIRS:
                continue
            text = parent["text"]
            passage = text[lineage.get("start") or 0 : lineage.get("end") or len(text)]
            if second:
                linked = parent["linked"]["text"] or ""
                passage += "\n\n" + linked[second["start"] : second["end"]]
            pair = by_words(passage, row["text"])
            found.append(
                Rewritten(row["id"], str(row.get("prompt")), str(parent.get("url") or ""), pair)
            )
    return found


def edited(run: Run) -> list[Edited]:
    """What each editing stage changed in some documents that it kept."""
    return [item for stage in run.stages for item in _edited(stage)]


def _edited(stage: StageView) -> Iterator[Edited]:
    """Of documents that only one step of the stage edited, since cuts are undone from the last."""
    columns = [CUTS_OF[verb] for verb in stage.manifest.verbs if verb in CUTS_OF]
    rows = stage.texts.table.to_pylist() if columns else []
    for row in [row for row in rows if any(row.get(name) for name in columns)][:EDITED]:
        text, cuts = row["text"] or "", [row[name] for name in columns if row.get(name)]
        if len(cuts) > 1 or len(text) > LONGEST_EDITED:
            continue
        size = sum(len(piece["text"].encode()) for piece in cuts[0])
        places = f"{len(cuts[0]):,} place{'s' * (len(cuts[0]) != 1)}"
        yield Edited(
            stage.name,
            row["id"],
            str(row.get("url") or ""),
            f"{size_text(size)} cut in {places}",
            changes(restore(text, cuts[0]), text),
        )


def levels(run: Run, most: int = 2) -> list[LevelExamples]:
    """The best and the worst documents of each level, by the bucket and the mean of the scores."""
    rows = [
        row
        for stage in run.of("classify")[-1:]
        for row in stage.texts.table.to_pylist()
        if row.get("level") and row.get("text")
    ]
    found = []
    for level in reversed(LEVELS):
        here = sorted((row for row in rows if row["level"] == level), key=_rank)
        if not here:
            continue
        few = min(most, len(here) // 2) or 1
        best = [_example(row, _scores(row)) for row in reversed(here[-few:])]
        worst = [_example(row, _scores(row)) for row in here[:few]] if len(here) > few else []
        found.append(LevelExamples(level.replace("_", " "), best, worst))
    return found


def dropped(run: Run) -> list[DroppedExamples]:
    """One dropped document for each reason, for stages that write the documents which they drop."""
    found = []
    for stage in run.stages:
        reasons: dict[str, Example] = {}
        for row in stage.dropped_texts.table.to_pylist():
            reason = str(row.get("reason"))
            if reason not in reasons and len(reasons) < REASONS:
                reasons[reason] = _example(row, str(row.get("detail") or ""))
        if any(example.text for example in reasons.values()):
            found.append(DroppedExamples(stage.name, list(reasons.items())))
    return found


def _example(row: Mapping[str, Any], facts: str) -> Example:
    text = str(row.get("text") or "")
    excerpt = text[:EXCERPT] + (" …" if len(text) > EXCERPT else "")
    return Example(row["id"], str(row.get("url") or ""), facts[:240], excerpt)


def _rank(row: Mapping[str, Any]) -> tuple[float, float]:
    scores = [
        value for name, value in row.items() if name.startswith("score_") and value is not None
    ]
    return float(row.get("quality") or 0), sum(scores) / (len(scores) or 1)


def _scores(row: Mapping[str, Any]) -> str:
    parts = [f"quality {row['quality']}"] if row.get("quality") is not None else []
    parts += [
        f"{name.removeprefix('score_')} {value:.2f}"
        for name, value in row.items()
        if name.startswith("score_") and value is not None
    ]
    return ", ".join(parts)
