"""Scores of documents, and their histograms: passes `encode` and `score`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.classifiers.buckets import histogram
from corpusmill.classifiers.embedding import EmbeddingScorer
from corpusmill.classifiers.encoder import device_of, rows_at_a_time
from corpusmill.classifiers.linear import Scores
from corpusmill.classifiers.scorer import ScorerConfig, readable_texts
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import conform
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.classify.edges import Histograms

if TYPE_CHECKING:
    from corpusmill.stages.classify.stage import Classify

ENCODE, SCORE = "work/encode", "work/score"
Batch = tuple[pa.Table, list[str | None]]  # ids and texts; the texts as Python has them
_READ = pa.schema([("id", pa.string()), ("text", pa.string())])
_BATCH_ROWS = 1024


def encode(scorers: Mapping[str, ScorerConfig], shard: Shard) -> list[Counts]:
    """Write a row for each document: id and the scores of these scorers, null without a score."""
    (documents,) = shard.inputs
    with shard.parquet(ENCODE, _schema(scorers)) as output:
        for table, texts in _batches(shard, documents, scorers):
            output.write(_rows(table["id"], _scores(scorers, texts)))
            shard.report(output.rows, documents.rows or None)
    return []


def score(config: "Classify", shard: Shard) -> list[Counts]:
    """Write a row for each document: id and scores, null without a score. Also write histograms of
    the documents that all scorers judged.

    The shard's second input, if there is one, has the scores of `config.apart()`.
    """
    documents, *encoded = shard.inputs
    known = config.apart()
    others = {name: item for name, item in config.scorers.items() if name not in known}
    before = pa.concat_tables(
        [_schema(known).empty_table(), *(part for item in encoded for part in shard.read(item))]
    )
    counted = Histograms(config.scorers)
    with shard.parquet(SCORE, _schema(config.scorers)) as output:
        for table, texts in _batches(shard, documents, others):
            made = _scores(others, texts)
            if known:
                here = before.slice(output.rows, table.num_rows)
                assert here["id"].equals(table["id"]), "`encode` keeps the order of documents"
                made |= {name: here[name].to_numpy() for name in known}
            scores = {name: made[name] for name in config.scorers}
            whole = np.all([np.isfinite(values) for values in scores.values()], axis=0)
            sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
            for name, values in scores.items():
                counted.add(name, histogram(values[whole], sizes[whole]))
            output.write(_rows(table["id"], scores))
            shard.report(output.rows, documents.rows or None)
    counted.write(shard)
    return []


def _schema(scorers: Iterable[str]) -> pa.Schema:
    return pa.schema([("id", pa.string()), *((name, pa.float32()) for name in scorers)])


def _rows(ids: pa.ChunkedArray, scores: Mapping[str, Scores]) -> pa.Table:
    columns = {name: pa.array(values, mask=~np.isfinite(values)) for name, values in scores.items()}
    return pa.table({"id": ids, **columns})


def _scores(scorers: Mapping[str, ScorerConfig], texts: Sequence[str | None]) -> dict[str, Scores]:
    places = [place for place, text in enumerate(texts) if text is not None]
    readable = [text for text in texts if text is not None]
    found = {}
    for name, scorer in scorers.items():
        values = np.full(len(texts), np.nan, dtype=np.float32)
        if readable:
            values[places] = scorer.score(readable)
        found[name] = values
    return found


def _batches(
    shard: Shard, documents: Artifact, scorers: Mapping[str, ScorerConfig]
) -> Iterator[Batch]:
    encoders = [item for item in scorers.values() if isinstance(item, EmbeddingScorer)]
    rows = max(map(rows_at_a_time, encoders), default=_BATCH_ROWS)
    groups = (conform(group, _READ) for group in shard.read(documents, _READ.names))
    tables = (
        group.slice(start, rows) for group in groups for start in range(0, group.num_rows, rows)
    )
    batches = ((table, readable_texts(table["text"])) for table in tables)
    gpu = any(device_of(item) == "cuda" for item in encoders)
    return one_ahead(batches) if gpu else batches


def one_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches. A thread reads the next one while the caller works on one."""
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, batches, None)
        while (batch := waiting.result()) is not None:
            waiting = thread.submit(next, batches, None)
            yield batch
