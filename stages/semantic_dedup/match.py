"""Which documents of a cluster go: the pass that compares their vectors.

Documents are taken in the order of the survivor rule. One goes if its cosine with a document that
stays reaches the limit; it falls to the most similar of those. So a chain (A like B, B like C, A
unlike C) loses only B, as in dedup.
"""

import itertools

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.ranking import RANKING
from corpusmill.stages.semantic_dedup.settings import SemanticDedupSettings
from corpusmill.stages.semantic_dedup.vectors import Vectors, vectors_of
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    read_range,
    run_starts,
    write_by_node,
)

DECISIONS = pa.schema(  # one row for each document that goes, sorted by node
    [
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),  # its id
        pa.field("similarity", pa.float32(), nullable=False),
    ]
)
ROWS = 1024  # of a cluster that are compared at a time


def match(settings: SemanticDedupSettings, schema: pa.Schema, shard: Shard) -> list[Counts]:
    """Read one partition of the clusters. Write what goes (`DECISIONS`)."""
    partition = int(shard.name)
    rows = read_range(shard, shard.inputs, "partition", partition, partition + 1, schema)
    order = [("cluster", "ascending"), *RANKING[settings.survivor], ("id", "ascending")]
    rows = rows.take(pc.sort_indices(rows, sort_keys=[*order, ("node", "ascending")]))
    bounds = [*run_starts(rows["cluster"].to_numpy()).tolist(), rows.num_rows]
    nodes, ids = rows["node"].to_numpy(), rows["id"].combine_chunks()
    found = []
    for start, end in itertools.pairwise(bounds):
        keeper, similarity = survivors(vectors_of(rows.slice(start, end - start)), settings)
        gone = np.flatnonzero(keeper != np.arange(end - start))
        names = ids.take(pa.array(start + keeper[gone]))
        columns = [nodes[start + gone], names, similarity[gone]]
        found.append(pa.table(columns, schema=DECISIONS))
        shard.report(end, rows.num_rows)
    decisions = pa.concat_tables([DECISIONS.empty_table(), *found]).sort_by("node")
    with shard.parquet(
        "work/match", DECISIONS, row_group_bytes=UNBOUNDED, temporary=True
    ) as output:
        write_by_node(output, decisions)
    return []


def survivors(
    vectors_ND: Vectors, settings: SemanticDedupSettings
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each document, the one that stands for it, itself if it stays, and their cosine.

    vectors_ND: in the order of the survivor rule.
    """
    count = len(vectors_ND)
    keeper, similarity = np.arange(count), np.ones(count, np.float32)
    stays = np.zeros(count, bool)
    for begin in range(0, count, ROWS):
        block = slice(begin, min(begin + ROWS, count))
        cosines = vectors_ND[block] @ vectors_ND[: block.stop].T
        # Most rows are like nothing before them, and need no closer look.
        cosines[:, begin:] = np.tril(cosines[:, begin:], -1)
        alike = cosines >= settings.similarity
        for row, document in enumerate(range(begin, block.stop)):
            if alike[row].any():
                to_staying = np.where(alike[row] & stays[: block.stop], cosines[row], -1.0)
                best = int(to_staying.argmax())
                if to_staying[best] >= 0:
                    keeper[document], similarity[document] = best, to_staying[best]
            stays[document] = keeper[document] == document
    return keeper, similarity
