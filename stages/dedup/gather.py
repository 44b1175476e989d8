"""The texts of candidate clusters, one of each kind from each shard (the pass gather).

Equal texts need no check: one of them stands for all, and only one of each shard travels.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.ranking import DOCUMENT_COLUMNS, RANKING
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.dedup.components import CLUSTERS, partition_of_node
from corpusmill.stages.dedup.match import EXACT, clustered
from corpusmill.stages.dedup.settings import DedupSettings
from corpusmill.stages.dedup.synthetic import columns_of, compared_texts, parent_hashes
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    home_of,
    node_range,
    read_range,
    run_starts,
    write_by_partition,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]

MEMBERS = (
    pa.schema(  # one row per distinct text of a candidate cluster and shard, sorted by partition
        [
            pa.field("partition", pa.uint32(), nullable=False),
            pa.field("component", pa.uint64(), nullable=False),
            pa.field("node", pa.uint64(), nullable=False),
            pa.field("id", pa.string(), nullable=False),
            # The 128-bit hash of the whole text.
            pa.field("exact_high", pa.uint64(), nullable=False),
            pa.field("exact_low", pa.uint64(), nullable=False),
            # Of a synthetic row; it is part of the row's exact hash and of its keys.
            pa.field("parent", pa.uint64(), nullable=False),
            pa.field("documents", pa.int32(), nullable=False),  # of the shard that have this text
            pa.field("text_bytes", pa.int64(), nullable=False),
            pa.field("date", pa.string()),
            pa.field("quality", pa.uint8()),
            pa.field("text", pa.large_string()),  # as it is compared; null where nobody will
        ]
    )
)
# One row for each document that follows an equal one of its shard, sorted by node.
COPIES = pa.schema(
    [pa.field("node", pa.uint64(), nullable=False), pa.field("head", pa.uint64(), nullable=False)]
)


def gather(settings: DedupSettings, partitions: int, shard: Shard) -> list[Counts]:
    """Read one shard. Write `work/gather` (`MEMBERS`): the texts of its documents that are in
    clusters.

    Also write `work/copies` (`COPIES`): the documents that share one of these texts.
    """
    document, local, hashes, *clusters = shard.inputs
    first, end = node_range(home_of(shard.name))
    node, component = clustered(
        shard,
        local,
        read_range(shard, clusters, "node", first, end, CLUSTERS).sort_by("node"),
        first,
    )
    row = node - np.uint64(first)
    ranked_by = DOCUMENT_COLUMNS.get(settings.survivor)
    wanted = columns_of(document, *([ranked_by] if ranked_by else []))
    exact = (
        pa.concat_tables(shard.read(hashes)).take(pa.array(row))
        if len(row)
        else EXACT.empty_table()
    )
    found, begin = [], 0
    for table in read_parquet(document, columns=wanted) if len(row) else ():
        start, stop = np.searchsorted(row, np.array([begin, begin + table.num_rows], np.uint64))
        if stop > start:
            rows = table.take(pa.array(row[start:stop] - np.uint64(begin)))
            here = exact.slice(start, stop - start)
            found.append(
                _members(settings, rows, here, node[start:stop], component[start:stop], partitions)
            )
        begin += table.num_rows
    members = pa.concat_tables([MEMBERS.empty_table(), *found])
    members, copies = (
        _heads(settings, members) if settings.exact else (members, COPIES.empty_table())
    )
    if partitions > 1:  # one partition's are in order as they are
        members = members.take(pa.array(np.argsort(members["partition"].to_numpy(), kind="stable")))
    with shard.parquet("work/gather", MEMBERS, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_by_partition(output, members, partitions)
    with shard.parquet("work/copies", COPIES, temporary=True) as output:
        output.write(copies)
    return []


def ranking(settings: DedupSettings, members: pa.Table, within: list[tuple[str, str]]) -> pa.Array:
    """The order of the survivor rule. Ties go to the smallest id. Nulls come last in either
    direction.
    """
    order = [*within, *RANKING[settings.survivor], ("id", "ascending")]
    order += [("exact_high", "ascending"), ("exact_low", "ascending"), ("node", "ascending")]
    return pc.sort_indices(members, sort_keys=order)


def first_equal(members: pa.Table) -> "Rows":
    """For every member, the first one with the same text."""
    high, low = members["exact_high"].to_numpy(), members["exact_low"].to_numpy()
    order = np.lexsort((low, high))  # stable: equal ones stay in their order
    starts = np.union1d(run_starts(high[order]), run_starts(low[order]))
    first = np.empty(len(order), dtype=np.int64)
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return first


def _members(
    settings: DedupSettings,
    rows: pa.Table,
    exact: pa.Table,
    node: "npt.NDArray[np.uint64]",
    component: "npt.NDArray[np.uint64]",
    partitions: int,
) -> pa.Table:
    parents = parent_hashes(rows)
    texts = compared_texts(rows, settings)
    columns = {
        "partition": pa.array(partition_of_node(component, partitions)),
        "component": pa.array(component),
        "node": pa.array(node),
        "id": rows["id"],
        "exact_high": pa.array(exact["exact_high"].to_numpy() ^ parents),
        "exact_low": pa.array(exact["exact_low"].to_numpy() ^ parents),
        "parent": pa.array(parents),
        "documents": pa.array(np.ones(len(node), np.int32)),
        "text_bytes": pc.fill_null(pc.binary_length(rows["text"]), 0),
        "text": texts if settings.fuzzy else pa.nulls(len(node), pa.large_string()),
    }
    for name in ("date", "quality"):
        columns[name] = (
            rows[name]
            if name in rows.column_names
            else pa.nulls(len(node), MEMBERS.field(name).type)
        )
    return pa.table([columns[name] for name in MEMBERS.names], names=MEMBERS.names).cast(MEMBERS)


def _heads(settings: DedupSettings, members: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Of each text, the member that ranks first and the number of copies; and the others with
    the head that they follow.

    Both are sorted by node.
    """
    if len(np.unique(members["exact_high"].to_numpy())) == members.num_rows:
        return members, COPIES.empty_table()
    order = ranking(settings, members, []).to_numpy()
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[first_equal(members.drop_columns(["text"]).take(pa.array(order)))]
    is_head = first == np.arange(len(first))
    node = members["node"].to_numpy()
    counts = pa.array(np.bincount(first, minlength=len(first)).astype(np.int32))
    members = with_column(members, MEMBERS.field("documents"), counts)
    copies = pa.table([node[~is_head], node[first[~is_head]]], schema=COPIES)
    return members.filter(pa.array(is_head)), copies
