"""One self-contained HTML page about a run: funnel, reasons, histograms, training loss, and documents before and after.

Numbers come from the manifests; histograms and samples from a bounded read of the shards (a fixed number of rows, the first of each
shard), so that the page of a large run takes as long as that of a small one.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.looking.charts import bars, line_chart
from corpusmill.manifests.looking.distributions import Distributions
from corpusmill.manifests.looking.find import finished_stages
from corpusmill.manifests.looking.inspect import StageRow, inspect
from corpusmill.manifests.looking.loss_curve import read_losses
from corpusmill.manifests.looking.tables import reasons_text, size_text
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.package_data import package_file
from corpusmill.manifests.shard import read_parquet

ROWS_READ = 20_000  # for histograms, per stage
SAMPLES = 6
SAMPLE_CHARACTERS = 700


@dataclass
class StageSample:
    """A bounded read of one stage: its numeric columns, its rows, and one dropped row a reason."""

    name: str
    verb: str
    numbers: Distributions
    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)


def write_report(root: str) -> str:
    """Write `<root>/report.html` and return its path. Raises InputError if `root` holds no finished stage."""
    path = storage.join(root, "report.html")
    storage.write_bytes(path, render(root).encode())
    return path


def render(root: str) -> str:
    """The page as text."""
    rows = inspect(root)
    manifests = finished_stages(root)
    samples: list[StageSample] = []
    for manifest in manifests:  # each column once, at the stage that measured it
        samples.append(
            _sample(manifest, {name for sample in samples for name in sample.numbers.columns})
        )
    parts = [
        f"<h1>corpusmill report: {html.escape(root.rstrip('/').rsplit('/', 1)[-1])}</h1>",
        _funnel(rows),
        _loss(manifests),
        _measured(samples),
        _before_and_after(samples),
        *map(_dropped, samples),
    ]
    style = package_file("manifests", "looking", "report.css").read_text("utf-8")
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>corpusmill report</title><style>{style}</style><body>{''.join(parts)}</body></html>\n"
    )


def _funnel(rows: list[StageRow]) -> str:
    heads = ("stage", "in", "kept", "dropped", "failed", "size", "tokens", "worker s", "reasons")
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=words' if number == len(heads) - 1 else ''}>{html.escape(str(cell))}</td>"
            for number, cell in enumerate(
                (
                    row.name,
                    f"{row.rows_in:,}",
                    f"{row.kept:,}",
                    f"{sum(row.excluded.values()):,}",
                    f"{row.failed:,}",
                    size_text(row.text_bytes),
                    f"{row.tokens:,}" if row.tokens else "",
                    f"{row.seconds:,.1f}",
                    reasons_text(row.excluded, row.failures, 6),
                )
            )
        )
        + "</tr>"
        for row in rows
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    chart = bars([(row.name, row.kept, sum(row.excluded.values()) + row.failed) for row in rows])
    return f"<h2>Funnel</h2>{chart}<table><tr>{head}</tr>{body}</table>"


def _loss(manifests: list[Manifest]) -> str:
    charts = []
    for manifest in manifests:
        log = storage.join(manifest.folder, "log.jsonl")
        if storage.exists(log):
            charts.append(
                f"<figure>{line_chart(read_losses(log))}<figcaption>loss (nats a token) by step</figcaption></figure>"
            )
    return f"<h2>Training</h2>{''.join(charts)}" if charts else ""


def _measured(samples: list[StageSample]) -> str:
    sections = "".join(sample.numbers.section(sample.name) for sample in samples)
    note = "Documents kept and, in the other colour, dropped; dashed: the threshold of a rule that dropped some."
    return (
        f"<h2>What the stages measured</h2><p class=note>{note}</p>{sections}" if sections else ""
    )


def _before_and_after(samples: list[StageSample]) -> str:
    texts = {row["id"]: row["text"] for sample in samples for row in sample.rows if row.get("text")}
    pairs: list[str] = []
    for sample in samples:
        for row in sample.rows:
            lineage = row.get("lineage") or {}
            before = texts.get(lineage.get("parent", ""))
            if sample.verb == "synthesize" and before and len(pairs) < SAMPLES:
                segment = before[lineage.get("start") or 0 : lineage.get("end") or len(before)]
                pairs.append(
                    f"<h3>{html.escape(str(row.get('prompt')))} · {row['id'][:12]}</h3>"
                    f"<div class=pair>{_pre(segment)}{_pre(row['text'])}</div>"
                )
    return f"<h2>Before and after synthesis</h2>{''.join(pairs)}" if pairs else ""


def _dropped(sample: StageSample) -> str:
    if not sample.dropped:
        return ""
    shown = "".join(
        f"<h3>{html.escape(str(row['reason']))} <span class=note>{html.escape(str(row.get('detail') or ''))[:200]} "
        f"{html.escape(str(row.get('url') or ''))[:120]}</span></h3>{_pre(row.get('text') or '', 'one')}"
        for row in sample.dropped
    )
    return f"<h2>{html.escape(sample.name)}: some of what was dropped</h2>{shown}"


def _pre(text: str, kind: str = "") -> str:
    cut = text[:SAMPLE_CHARACTERS] + (" …" if len(text) > SAMPLE_CHARACTERS else "")
    return f"<pre{f' class={kind}' if kind else ''}>{html.escape(cut)}</pre>"


def _sample(manifest: Manifest, but: set[str]) -> StageSample:
    """A bounded read of the stage's shards. but: columns to leave out of its histograms."""
    sample = StageSample(manifest.stages[-1], manifest.verbs[-1], Distributions(but))
    for table in _tables(manifest.documents()):
        sample.numbers.add(table, dropped=False)
        if "text" in table.column_names and "id" in table.column_names:
            sample.rows += table.select(
                [name for name in ("id", "text", "prompt", "lineage") if name in table.column_names]
            ).to_pylist()
    reasons: set[str] = set()
    for table in _tables(manifest.documents("excluded")):
        sample.numbers.add(table, dropped=True)
        for row in table.slice(0, 500).to_pylist():
            if row["reason"] not in reasons and len(sample.dropped) < SAMPLES:
                reasons.add(row["reason"])
                sample.dropped.append(row)
    return sample


def _tables(artifacts: list[storage.Artifact]) -> Iterator[pa.Table]:
    """The first row groups of the shards, until they hold `ROWS_READ` rows."""
    read = 0
    for artifact in artifacts:
        for table in (
            read_parquet(artifact) if artifact.path.endswith(".parquet") and artifact.rows else ()
        ):
            yield table
            read += table.num_rows
            if read >= ROWS_READ:
                return
