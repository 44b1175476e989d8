"""The documents of `filter_labels.jsonl`, joined with their texts.

The labels hold no texts, because other people own the pages. They join with the output of `extract`
by crawl file and URL. `filter_quality.py` says how they came about.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

LABELS = Path(__file__).with_name("filter_labels.jsonl")
CRAWLS = ("web/crawl-*.warc.gz", "web2/crawl2-*.warc.gz")


@dataclass(frozen=True)
class Labelled:
    """Labelled documents. `rows[i]` is the label of row i of `table`, an output of `extract`."""

    table: pa.Table
    rows: Sequence[Mapping[str, Any]]

    def array(self, value: Callable[[Mapping[str, Any]], Any]) -> NDArray[Any]:
        return np.array([value(row) for row in self.rows])

    @property
    def bad(self) -> NDArray[np.bool_]:
        return self.array(lambda row: row["label"] == "drop")

    @property
    def weights(self) -> NDArray[np.float64]:
        return self.array(lambda row: float(row["weight"]))

    @property
    def sites(self) -> NDArray[np.str_]:
        return self.array(lambda row: row["site"])

    def half(self, name: str) -> NDArray[np.bool_]:
        return self.array(lambda row: row["half"] == name)


def extract(data: Path, folder: Path) -> Path:
    """Run `extract` with its defaults over the crawls. Returns the folder it wrote."""
    from corpusmill.pipeline.execute import Job, execute
    from corpusmill.pipeline.fused import Fused
    from corpusmill.pipeline.inputs import expand_inputs
    from corpusmill.pipeline.runner import InlineRunner
    from corpusmill.stages.contract import Inputs
    from corpusmill.stages.extract.stage import Extract

    runner = InlineRunner()
    crawls = sorted(str(path) for pattern in CRAWLS for path in data.glob(pattern))
    documents, parents, _ = expand_inputs(crawls, str(folder), runner)
    stages: Any = Fused(stages=(Extract(),))
    execute(Job(stages, ("extract",), {}, Inputs(str(folder), documents), parents), runner)
    return folder


def read(folder: Path) -> pa.Table:
    """The documents that `extract` kept, with the columns that the filter reads."""
    columns = ["id", "url", "language", "origin", "text"]
    return pa.concat_tables(
        pq.read_table(path, columns=columns)
        for path in sorted((folder / "documents").glob("*.parquet"))
    )


def join(documents: pa.Table) -> Labelled:
    """The labelled documents among these. A crawl that has an address twice has it once here."""
    labels = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    files = [Path(origin["file"]).name for origin in documents["origin"].to_pylist()]
    places = {
        key: row for row, key in enumerate(zip(files, documents["url"].to_pylist(), strict=True))
    }
    found = [
        (places[key], label) for label in labels if (key := (label["warc"], label["url"])) in places
    ]
    if missing := len(labels) - len(found):
        print(f"{missing} labelled documents were not extracted, or are of another language")
    return Labelled(documents.take([row for row, _ in found]), [label for _, label in found])
