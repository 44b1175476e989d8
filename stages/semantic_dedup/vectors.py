"""Vectors of documents: the pass that makes them, and how files hold them.

A vector lies in a file as 16-bit floats, in a binary column of fixed size. Vectors have length 1,
so the product of two is their cosine. Rounding to 16 bits changes it by less than 0.001.

Letters in array names: N documents, D the width of the encoder.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.classifiers.encoder import embed, rows_at_a_time
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.readers.documents import read_columns
from corpusmill.stages.semantic_dedup.settings import SemanticDedupSettings
from corpusmill.stages.shuffle.row_groups import home_of, node_range

Vectors = npt.NDArray[np.float32]
VECTORS, SAMPLE = "work/vectors", "work/sample"


def vectors_schema(width: int) -> pa.Schema:
    """One row for each document. draw: a number from the hash of its id, which is its place among
    those that k-means may see.
    """
    return pa.schema(
        [
            pa.field("node", pa.uint64(), nullable=False),
            pa.field("id", pa.string(), nullable=False),
            ("text_bytes", pa.int64()),
            ("quality", pa.uint8()),
            pa.field("draw", pa.uint64(), nullable=False),
            pa.field("vector", pa.binary(2 * width), nullable=False),
        ]
    )


def vectors_of(table: pa.Table) -> Vectors:
    """float32 [N, D] of the column `vector`."""
    column = table["vector"].combine_chunks()
    width = column.type.byte_width // 2
    if not len(column):
        return np.zeros((0, width), np.float32)
    data = np.frombuffer(column.buffers()[1], np.float16)
    rows = data[column.offset * width : (column.offset + len(column)) * width]
    return rows.reshape(-1, width).astype(np.float32)


def make_vectors(settings: SemanticDedupSettings, share: float, shard: Shard) -> list[Counts]:
    """Read one shard. Write the vectors of its documents, and a sample of them.

    share: of the documents that go into the sample.
    """
    (document,) = shard.inputs
    first, _ = node_range(home_of(shard.name))
    schema, done = None, 0
    rows = rows_at_a_time(settings.embedding)
    tables: list[pa.Table] = []
    for group in shard.counted(document, read_columns(document, "id", "text", "quality")):
        for start in range(0, group.num_rows, rows):
            table = group.slice(start, rows)
            vectors = embed(settings.embedding, pc.fill_null(table["text"], "").to_pylist())
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float16)
            schema = vectors_schema(vectors.shape[1])
            tables.append(_rows(table, vectors, first + done, schema))
            done += table.num_rows
            shard.report(done, document.rows or None)
    if schema is None:
        return []
    rows = pa.concat_tables(tables)
    sampled = rows["draw"].to_numpy() < share * 2.0**64
    with shard.parquet(VECTORS, schema, temporary=True) as output:
        output.write(rows)
    with shard.parquet(SAMPLE, schema, temporary=True) as output:
        output.write(rows.filter(pa.array(sampled)))
    return []


def _rows(
    table: pa.Table, vectors: npt.NDArray[np.float16], first: int, schema: pa.Schema
) -> pa.Table:
    size = vectors.shape[1] * 2
    packed = pa.Array.from_buffers(
        pa.binary(size), len(vectors), [None, pa.py_buffer(np.ascontiguousarray(vectors))]
    )
    columns = {
        "node": np.arange(first, first + len(table), dtype=np.uint64),
        "id": table["id"],
        "text_bytes": pc.fill_null(pc.binary_length(table["text"]), 0),
        "quality": table["quality"],
        "draw": np.array([draw_of(name) for name in table["id"].to_pylist()], np.uint64),
        "vector": packed,
    }
    return pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)


def draw_of(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
