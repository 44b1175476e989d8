"""One self-contained HTML page about a run.

It shows the funnel, reasons, histograms, the training loss, and documents before and after. Numbers
come from the manifests. Histograms and samples come from the first rows of each stage, at most
`ROWS_READ` or a little more. So the page of a large run takes no longer than that of a small one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jinja2
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

ROWS_READ = 20_000  # a stage, for histograms and samples
SAMPLES = 6
EXCERPT_CHARACTERS = 700


@dataclass
class StageSample:
    """The first rows of one stage: numeric columns, rows, and one dropped row for each reason."""

    name: str
    verb: str
    numbers: Distributions
    rows: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)


def write_report(root: str) -> str:
    """Write `<root>/report.html`. Returns its path.

    Raises InputError if `root` holds no finished stage.
    """
    path = storage.join(root, "report.html")
    storage.write_bytes(path, render(root).encode())
    return path


def render(root: str) -> str:
    """The page as HTML."""
    rows = inspect(root)
    manifests = finished_stages(root)
    samples: list[StageSample] = []
    for manifest in manifests:  # a column is shown once, at the stage that measured it
        samples.append(
            _sample(manifest, {name for sample in samples for name in sample.numbers.columns})
        )
    logs = (storage.join(manifest.folder, "log.jsonl") for manifest in manifests)
    sections = (sample.numbers.section(sample.name) for sample in samples)
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(package_file("manifests", "looking", "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = package_file("manifests", "looking", "report.css").read_text("utf-8")
    return templates.get_template("report.html").render(
        name=storage.name_of(root),
        style=style,
        excerpt_characters=EXCERPT_CHARACTERS,
        funnel=bars(
            [(row.name, row.kept, sum(row.excluded.values()) + row.failed) for row in rows]
        ),
        rows=[_cells(row) for row in rows],
        losses=[line_chart(read_losses(log)) for log in logs if storage.exists(log)],
        measured=[section for section in sections if section],
        pairs=_before_and_after(samples),
        dropped=[sample for sample in samples if sample.dropped],
    )


def _cells(row: StageRow) -> dict[str, Any]:
    """A row of the funnel's table as text."""
    return {
        "numbers": (
            row.name,
            f"{row.rows_in:,}",
            f"{row.kept:,}",
            f"{sum(row.excluded.values()):,}",
            f"{row.failed:,}",
            f"{row.edited:,}" if row.edited else "",
            size_text(row.cut_bytes) if row.edited else "",
            size_text(row.text_bytes),
            f"{row.tokens:,}" if row.tokens else "",
            f"{row.seconds:,.1f}",
        ),
        "reasons": reasons_text(row.excluded, row.failures, 6),
    }


def _before_and_after(samples: list[StageSample]) -> list[dict[str, str]]:
    """Some synthetic documents, each with its segment of the parent document."""
    texts = {row["id"]: row["text"] for sample in samples for row in sample.rows if row.get("text")}
    pairs: list[dict[str, str]] = []
    for sample in samples:
        for row in sample.rows:
            lineage = row.get("lineage") or {}
            before = texts.get(lineage.get("parent", ""))
            if sample.verb == "synthesize" and before and len(pairs) < SAMPLES:
                segment = before[lineage.get("start") or 0 : lineage.get("end") or len(before)]
                pairs.append(
                    {
                        "prompt": str(row.get("prompt")),
                        "id": row["id"],
                        "before": segment,
                        "after": row["text"],
                    }
                )
    return pairs


def _sample(manifest: Manifest, skip: set[str]) -> StageSample:
    """Read the stage's first rows. skip: columns that get no histogram."""
    sample = StageSample(manifest.stages[-1], manifest.verbs[-1], Distributions(skip))
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
