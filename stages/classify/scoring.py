"""The scores of documents, and where they are cut into buckets: passes `score` and `thresholds`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.classifiers.buckets import Histogram, edges_of, histogram, merged
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.encoder import rows_at_a_time
from corpusmill.classifiers.scorer import readable_texts
from corpusmill.classifiers.thresholds import FILE_NAME, Thresholds, to_bytes
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact

if TYPE_CHECKING:
    from corpusmill.stages.classify.stage import Classify

SCORE, HISTOGRAM, THRESHOLDS = "work/score", "work/histogram", "work/thresholds"
HISTOGRAM_SCHEMA = pa.schema(
    [
        ("scorer", pa.string()),
        ("bin", pa.uint32()),
        ("documents", pa.int64()),
        ("text_bytes", pa.int64()),
    ]
)
_BATCH_ROWS = 1024
_MERGED_AT_ONCE = 64


def score(config: "Classify", shard: Shard) -> list[Counts]:
    """Write a row for each document: id and scores, null without a score. Also write histograms of
    the documents that all scorers judged.
    """
    (documents,) = shard.inputs
    schema = pa.schema([("id", pa.string()), *((name, pa.float32()) for name in config.scorers)])
    counted: dict[str, list[Histogram]] = {name: [] for name in config.scorers}
    with shard.parquet(SCORE, schema) as output:
        for table in _batches(shard, documents, _rows_at_a_time(config)):
            scores = _scores(config, table["text"])
            whole = np.all([np.isfinite(values) for values in scores.values()], axis=0)
            sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
            for name, values in scores.items():
                counted[name] = _gathered([*counted[name], histogram(values[whole], sizes[whole])])
            columns = {
                name: pa.array(values, mask=~np.isfinite(values)) for name, values in scores.items()
            }
            output.write(pa.table({"id": table["id"], **columns}))
            shard.report(output.rows, documents.rows or None)
    with shard.parquet(HISTOGRAM, HISTOGRAM_SCHEMA) as histograms:
        for name in config.scorers:
            found = merged(counted[name])
            histograms.write(
                pa.table(
                    {
                        "scorer": [name] * len(found.bins),
                        "bin": found.bins,
                        "documents": found.documents,
                        "text_bytes": found.text_bytes,
                    }
                )
            )
    return []


def _scores(config: "Classify", column: pa.ChunkedArray) -> dict[str, npt.NDArray[np.float32]]:
    texts = readable_texts(column)
    places = [place for place, text in enumerate(texts) if text is not None]
    readable = [text for text in texts if text is not None]
    found = {}
    for name, scorer in config.scorers.items():
        values = np.full(len(texts), np.nan, dtype=np.float32)
        if readable:
            values[places] = scorer.score(readable)
        found[name] = values
    return found


def thresholds(models: Mapping[str, str], shard: Shard) -> list[Counts]:
    """Merge the shards' histograms and cut each scorer's scores into twenty buckets.

    models: scorer name -> what it depends on.
    """
    counted: dict[str, list[Histogram]] = {name: [] for name in models}
    for artifact in shard.inputs:
        for table in read_parquet(artifact):
            for name in models:
                rows = table.filter(pc.equal(table["scorer"], name))
                part = Histogram(
                    *(rows[column].to_numpy() for column in ("bin", "documents", "text_bytes"))
                )
                counted[name] = _gathered([*counted[name], part])
    found = {}
    for name, model in models.items():
        total = merged(counted[name])
        found[name] = Thresholds(
            model=model,
            edges=tuple(edges_of(total)),
            documents=int(total.documents.sum()),
            text_bytes=int(total.text_bytes.sum()),
        )
    shard.file(THRESHOLDS, FILE_NAME, to_bytes(found))
    return []


def _gathered(parts: list[Histogram]) -> list[Histogram]:
    """The same histograms. If they are many, they are merged into one."""
    return parts if len(parts) < _MERGED_AT_ONCE else [merged(parts)]


def _batches(shard: Shard, documents: Artifact, rows: int) -> Iterator[pa.Table]:
    for group in shard.read(documents, ["id", "text"]):
        for start in range(0, group.num_rows, rows):
            yield group.slice(start, rows)


def _rows_at_a_time(config: "Classify") -> int:
    encoders = [item for item in config.scorers.values() if isinstance(item, EmbeddingScorer)]
    return max(map(rows_at_a_time, encoders), default=_BATCH_ROWS)
