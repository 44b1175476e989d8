"""The answers to each prompt of `synthesize`: how many were asked for, kept and dropped."""

from collections import Counter
from dataclasses import dataclass

from corpusmill.report.reading.run import Run, StageView
from corpusmill.report.sections.chains import partition


@dataclass(frozen=True)
class PromptRow:
    """asked: answers of the model. reasons: why others were not kept, the most frequent first.

    tokens: that the model wrote for kept texts. size: their bytes. distinct, alike, warnings: how
    unlike the rows are (`stages.synthesize.diversity`): distinct four-word runs, and the mean
    similarity of two rows. estimated: whether tokens and reasons are a sample's.
    """

    stage: str
    prompt: str
    asked: int
    kept: int
    tokens: int
    size: int
    reasons: list[tuple[str, int]]
    estimated: bool = False
    distinct: float | None = None
    alike: float | None = None
    warnings: tuple[str, ...] = ()


def prompts(run: Run) -> list[PromptRow]:
    """A row for each prompt of each `synthesize` stage, by name."""
    return [row for stage in run.of("synthesize") for row in _rows(stage)]


def _rows(stage: StageView) -> list[PromptRow]:
    kept: dict[str, list[int]] = {}
    for artifact in stage.manifest.documents():
        sums = kept.setdefault(partition(artifact.path, "prompt") or "all", [0, 0])
        sums[0] += artifact.rows
        sums[1] += artifact.text_bytes
    tokens: Counter[str] = Counter()
    written = stage.kept.column("output_tokens") or stage.kept.column("n_tokens")
    for name, count in zip(stage.kept.column("prompt"), written, strict=False):
        tokens[str(name or "all")] += count or 0
    diversity = stage.manifest.measures.get("diversity", {})
    reasons: dict[str, Counter[str]] = {}
    dropped = stage.dropped
    names = dropped.column("prompt") or ["all"] * dropped.table.num_rows
    for name, reason in zip(names, dropped.column("reason"), strict=False):
        reasons.setdefault(str(name or "all"), Counter())[str(reason)] += 1
    found = []
    for name in sorted(kept.keys() | reasons.keys()):
        rows, size = kept.get(name, [0, 0])
        why = [
            (reason, round(count * dropped.weight))
            for reason, count in reasons.get(name, Counter()).most_common()
        ]
        measured = diversity.get(name, {})
        asked = rows + sum(count for _, count in why)
        found.append(
            PromptRow(
                stage.name,
                name,
                asked,
                rows,
                round(tokens[name] * stage.kept.weight),
                size,
                why,
                not (dropped.is_whole and stage.kept.is_whole),
                measured.get("distinct_4"),
                measured.get("self_similarity"),
                tuple(measured.get("warnings", ())),
            )
        )
    return found
