"""Where scores are cut into buckets: histograms of shards, and pass `thresholds`."""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.classifiers.buckets import Histogram, edges_of, merged
from corpusmill.classifiers.thresholds import FILE_NAME, Thresholds, to_bytes
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard

HISTOGRAM, THRESHOLDS = "work/histogram", "work/thresholds"
HISTOGRAM_SCHEMA = pa.schema(
    [
        ("scorer", pa.string()),
        ("bin", pa.uint32()),
        ("documents", pa.int64()),
        ("text_bytes", pa.int64()),
    ]
)
_MERGED_AT_ONCE = 64


class Histograms:
    """A histogram for each scorer, made of parts. They are merged when they are many."""

    def __init__(self, scorers: Iterable[str]) -> None:
        self._parts: dict[str, list[Histogram]] = {name: [] for name in scorers}

    def add(self, scorer: str, part: Histogram) -> None:
        parts = self._parts[scorer]
        parts.append(part)
        if len(parts) == _MERGED_AT_ONCE:
            self._parts[scorer] = [merged(parts)]

    def whole(self) -> dict[str, Histogram]:
        """Scorer name -> all its parts as one."""
        return {name: merged(parts) for name, parts in self._parts.items()}

    def write(self, shard: Shard) -> None:
        """Write `work/histogram/<shard>.parquet`."""
        with shard.parquet(HISTOGRAM, HISTOGRAM_SCHEMA) as output:
            for name, found in self.whole().items():
                columns = {
                    "scorer": [name] * len(found.bins),
                    "bin": found.bins,
                    "documents": found.documents,
                    "text_bytes": found.text_bytes,
                }
                output.write(pa.table(columns))


def thresholds(models: Mapping[str, str], shard: Shard) -> list[Counts]:
    """Merge the shards' histograms and cut each scorer's scores into twenty buckets.

    models: scorer name -> what it depends on.
    """
    counted = Histograms(models)
    for artifact in shard.inputs:
        for table in read_parquet(artifact):
            for name in models:
                rows = table.filter(pc.equal(table["scorer"], name))
                columns = (rows[column].to_numpy() for column in HISTOGRAM_SCHEMA.names[1:])
                counted.add(name, Histogram(*columns))
    found = {
        name: Thresholds(
            model=models[name],
            edges=tuple(edges_of(total)),
            documents=int(total.documents.sum()),
            text_bytes=int(total.text_bytes.sum()),
        )
        for name, total in counted.whole().items()
    }
    shard.file(THRESHOLDS, FILE_NAME, to_bytes(found))
    return []
