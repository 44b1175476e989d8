"""From scored items to figures: one line for a task, and one for each of its domains.

The error beside a mean is its standard error over items (sample deviation / root of the number), as
lm-evaluation-harness gives it. Bits per byte of texts are a ratio of sums over documents. Their
error is that of the linearised ratio.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corpusmill.evaluation.results import Record

LN2 = math.log(2)


@dataclass(frozen=True)
class Line:
    """One figure. domain: empty for the whole task. error: standard error, None for one item."""

    task: str
    domain: str
    metric: str
    value: float
    error: float | None
    items: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def summary(kind: str, records: Iterable[Record]) -> list[Line]:
    """The figures of one task's scored items, the whole task first, then its domains."""
    scored = [record for record in records if record.get("reason") is None]
    domains = sorted({record["domain"] for record in scored if record.get("domain")})
    lines = list(_lines(kind, scored, ""))
    for domain in domains:
        lines += _lines(kind, [item for item in scored if item["domain"] == domain], domain)
    return lines


def _lines(kind: str, records: Sequence[Record], domain: str) -> Iterator[Line]:
    if not records:
        return
    task = records[0]["task"]

    def line(metric: str, value: float, error: float | None) -> Line:
        return Line(task, domain, metric, value, error, len(records))

    if kind in ("multiple_choice", "last_word", "answer", "code"):
        name = "pass@1" if kind == "code" else "accuracy"
        yield line(name, *_mean([float(record["right"]) for record in records]))
    if kind == "multiple_choice":
        right = [float(record["right_per_byte"]) for record in records]
        yield line("accuracy_per_byte", *_mean(right))
    if kind in ("multiple_choice", "last_word"):
        yield line("gold_bits_per_byte", *_mean([gold_bits(kind, record) for record in records]))
    if kind == "last_word":
        mean, error = _mean([record["loglikelihoods"][0] for record in records])
        perplexity = math.exp(min(-mean, 700))
        yield line("perplexity", perplexity, None if error is None else perplexity * error)
    if kind == "text":
        bits = [-record["loglikelihoods"][0] / LN2 for record in records]
        sizes = [float(record["bytes"][0]) for record in records]
        yield line("bits_per_byte", *_ratio(bits, sizes))


def gold_bits(kind: str, record: Record) -> float:
    """Bits for each byte of the right choice, or of the word."""
    gold = record["gold"] if kind == "multiple_choice" else 0
    return float(-record["loglikelihoods"][gold] / LN2 / record["bytes"][gold])


def _mean(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard error."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def _ratio(tops: Sequence[float], bottoms: Sequence[float]) -> tuple[float, float | None]:
    """sum(tops) / sum(bottoms), and the standard error of that ratio."""
    total = math.fsum(bottoms)
    ratio = math.fsum(tops) / total
    if len(tops) < 2:
        return ratio, None
    squares = math.fsum(
        (top - ratio * bottom) ** 2 for top, bottom in zip(tops, bottoms, strict=True)
    )
    return ratio, math.sqrt(squares * len(tops) / (len(tops) - 1)) / total


def table(lines: Sequence[Line]) -> Any:
    """A rich table of figures."""
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("task", "domain", "metric"):
        shown.add_column(name)
    for name in ("value", "error", "items"):
        shown.add_column(name, justify="right")
    for line in lines:
        error = "" if line.error is None else f"± {line.error:.4f}"
        shown.add_row(
            line.task, line.domain, line.metric, f"{line.value:.4f}", error, f"{line.items:,}"
        )
    return shown
