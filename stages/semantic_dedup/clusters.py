"""Clusters of documents by spherical k-means: the passes that find centres and assign documents.

The centres come from a sample that hashes of ids choose, in the order of these hashes. So they do
not depend on shards or workers. Letters in array names: N documents, K clusters, D width.
"""

import io

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.semantic_dedup.settings import SemanticDedupSettings
from corpusmill.stages.semantic_dedup.vectors import Vectors, vectors_of
from corpusmill.stages.shuffle.row_groups import UNBOUNDED, write_by_partition

CENTRES = "centres.npy"
BLOCK = 1 << 24  # products of documents and centres that are in memory at a time


def find_centres(settings: SemanticDedupSettings, clusters: int, shard: Shard) -> list[Counts]:
    """Read all samples. Write the centres of the clusters, float32 [K, D]."""
    sample = pa.concat_tables(
        table.select(["draw", "id", "vector"])
        for artifact in shard.inputs
        for table in read_parquet(artifact)
    ).sort_by([("draw", "ascending"), ("id", "ascending")])
    vectors_ND = vectors_of(sample)
    width = vectors_ND.shape[1]
    # A tiny sample may be empty. Then all documents are one cluster.
    centres_KD = vectors_ND[:clusters].copy() if len(vectors_ND) else np.zeros((1, width), "f4")
    for number in range(settings.rounds):
        shard.report(number, settings.rounds, "rounds")
        centres_KD = moved(vectors_ND, centres_KD)
    data = io.BytesIO()
    np.save(data, centres_KD)
    shard.file("work/centres", CENTRES, data.getvalue())
    return []


def moved(vectors_ND: Vectors, centres_KD: Vectors) -> Vectors:
    """Each centre at the mean of its documents, at length 1. One without documents stays."""
    nearest_N = nearest(vectors_ND, centres_KD)
    sums_KD = np.zeros(centres_KD.shape, np.float64)
    np.add.at(sums_KD, nearest_N, vectors_ND)
    lengths_K = np.linalg.norm(sums_KD, axis=1, keepdims=True)
    means_KD = sums_KD / np.maximum(lengths_K, 1e-12)
    return np.where(lengths_K > 0, means_KD, centres_KD).astype(np.float32)


def nearest(vectors_ND: Vectors, centres_KD: Vectors) -> npt.NDArray[np.int64]:
    """The centre of greatest cosine for each vector, [N]."""
    rows = max(1, BLOCK // len(centres_KD))
    found = [
        (vectors_ND[start : start + rows] @ centres_KD.T).argmax(1)
        for start in range(0, len(vectors_ND), rows)
    ]
    return np.concatenate([np.zeros(0, np.int64), *found])


def assigned_schema(vectors: pa.Schema) -> pa.Schema:
    """One row for each document, sorted by partition."""
    fields = [vectors.field(name) for name in vectors.names if name != "draw"]
    return pa.schema(
        [
            pa.field("partition", pa.uint32(), nullable=False),
            pa.field("cluster", pa.uint32(), nullable=False),
            *fields,
        ]
    )


def assign(partitions: int, shard: Shard) -> list[Counts]:
    """Read the vectors of one shard and the centres. Write each document's cluster, with it."""
    made, centres = shard.inputs
    centres_KD = np.load(io.BytesIO(storage.read_bytes(centres.path)))
    rows = pa.concat_tables([schema_of(made).empty_table(), *shard.read(made)])
    cluster = nearest(vectors_of(rows), centres_KD)
    partition = cluster * partitions // len(centres_KD)
    schema = assigned_schema(rows.schema)
    columns = [partition.astype(np.uint32), cluster.astype(np.uint32)]
    columns += [rows[name] for name in schema.names[2:]]
    table = pa.table(columns, schema=schema)
    table = table.take(pa.array(np.lexsort((cluster, partition))))
    where = "work/assign"
    with shard.parquet(where, schema, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_by_partition(output, table, partitions)
    return []
