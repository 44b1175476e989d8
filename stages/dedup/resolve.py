"""The second half of dedup: from candidate clusters to who is removed for whom (the passes gather and resolve).

Equal texts need no check: one of them stands for all, and of those in one shard only it travels. Everything else is removed only if the
true Jaccard similarity of its shingle set with that of the document that stays reaches the threshold.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.receipt import Counts
from manifests.shard import Shard, read_parquet
from stages.dedup.components import CLUSTERS
from stages.dedup.match import LOCAL
from stages.dedup.settings import DedupSettings
from stages.dedup.shuffle import (
    UNBOUNDED,
    home_of,
    node_range,
    read_range,
    run_starts,
    write_by_node,
    write_by_partition,
)
from stages.dedup.synthetic import columns_of, compared_texts, parent_hashes
from stages.dedup.texts import text_buffers

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.int64]

MEMBERS = pa.schema(  # one row per distinct text of a candidate cluster and shard, sorted by partition
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("component", pa.uint64(), nullable=False),
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("exact_high", pa.uint64(), nullable=False),  # the 128-bit hash of the whole text
        pa.field("exact_low", pa.uint64(), nullable=False),
        pa.field("documents", pa.int32(), nullable=False),  # of the shard that have this text
        pa.field("text_bytes", pa.int64(), nullable=False),
        pa.field("date", pa.string()),
        pa.field("quality", pa.uint8()),
        pa.field("text", pa.large_string()),  # as it is compared; null where nobody will
    ]
)
COPIES = pa.schema(  # one row per document that goes where an equal one of its shard goes, sorted by node
    [pa.field("node", pa.uint64(), nullable=False), pa.field("head", pa.uint64(), nullable=False)]
)
DECISIONS = pa.schema(  # one row per text that is removed or that others were removed for, sorted by node
    [
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("reason", pa.string()),  # null: stays
    ]
)
RANKING = {  # what decides within a cluster before the id does
    "longest": [("text_bytes", "descending")],
    "first": [],
    "newest": [("date", "descending")],
    "best_quality": [("quality", "descending")],
}
EXACT_REASON, FUZZY_REASON = "dedup.exact", "dedup.fuzzy"
BLOCK_BYTES = 64 << 20  # text of the clusters that are compared in one go; a cluster is never cut
_PARTITION_MIX = np.uint64(0x9E3779B97F4A7C15)


def gather(settings: DedupSettings, partitions: int, shard: Shard) -> list[Counts]:
    """Read one document shard (and which of its rows are in clusters); write `work/gather`: their texts (`MEMBERS`), and
    `work/copies`: who shares one (`COPIES`)."""
    document, local, *clusters = shard.inputs
    first, end = node_range(home_of(shard.name))
    node, component = _clustered(local, read_range(clusters, "node", first, end, CLUSTERS).sort_by("node"), first)
    row = node - np.uint64(first)
    wanted = {"newest": ["date"], "best_quality": ["quality"]}.get(settings.survivor, [])
    found, begin = [], 0
    for table in read_parquet(document, columns=columns_of(document, *wanted)) if len(row) else ():
        start, stop = np.searchsorted(row, np.array([begin, begin + table.num_rows], np.uint64))
        if stop > start:
            rows = table.take(pa.array(row[start:stop] - np.uint64(begin)))
            found.append(_members(settings, rows, node[start:stop], component[start:stop], partitions))
        begin += table.num_rows
    members = pa.concat_tables([MEMBERS.empty_table(), *found])
    members, copies = _heads(settings, members) if settings.exact else (members, COPIES.empty_table())
    members = members.sort_by([("partition", "ascending"), ("node", "ascending")])
    with shard.parquet("work/gather", MEMBERS, row_group_bytes=UNBOUNDED, passing=True) as output:
        write_by_partition(output, members)
    with shard.parquet("work/copies", COPIES, passing=True) as output:
        output.write(copies)
    return []


def resolve(settings: DedupSettings, shard: Shard) -> list[Counts]:
    """Read one partition of clusters; write `work/resolve`: who is removed for whom (`DECISIONS`)."""
    partition = int(shard.name)
    members = read_range(shard.inputs, "partition", partition, partition + 1, MEMBERS)
    order = _ranking(settings, members, [("component", "ascending")])
    texts, members = members["text"], members.drop_columns(["text"]).take(order)
    twin = _first_equal(members) if settings.exact else np.arange(members.num_rows)
    decided = [DECISIONS.empty_table()]
    for start, stop in _blocks(members):
        block, equal = members.slice(start, stop - start), twin[start:stop] - start
        heads = np.flatnonzero(equal == np.arange(stop - start))  # one for each text; the others go where it goes
        survivor, similarity = heads, np.ones(len(heads))
        if settings.fuzzy:
            compared = texts.take(order.slice(start, stop - start).take(pa.array(heads)))
            survivor, similarity = _survivors(settings, block["component"].to_numpy()[heads], heads, compared)
        head_of = np.searchsorted(heads, equal)
        decided.append(_decisions(block, equal, survivor[head_of], similarity[head_of]))
    with shard.parquet("work/resolve", DECISIONS, row_group_bytes=UNBOUNDED, passing=True) as output:
        write_by_node(output, pa.concat_tables(decided).sort_by("node"))
    return []


def _clustered(local: object, linked: pa.Table, first: int) -> "tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]":
    """The shard's nodes that are in clusters, sorted, and their components.

    local: links within the shard. linked: components of the shard's nodes that are linked beyond it. A component that does not reach
    beyond the shard is named by its first node.
    """
    inside = pa.concat_tables([LOCAL.empty_table(), *read_parquet(local)])  # type: ignore[arg-type]
    node = np.concatenate([inside["row"].to_numpy() + np.uint64(first), linked["node"].to_numpy()])
    stands = np.concatenate([inside["first"].to_numpy() + np.uint64(first), linked["node"].to_numpy()])
    node, places = np.unique(node, return_index=True)  # a node in both is the first of its local component
    stands = stands[places]
    roots, component = linked["node"].to_numpy(), linked["component"].to_numpy()
    if not len(roots):
        return node, stands
    place = np.minimum(np.searchsorted(roots, stands), len(roots) - 1)
    return node, np.where(roots[place] == stands, component[place], stands)


def _members(
    settings: DedupSettings,
    rows: pa.Table,
    node: "npt.NDArray[np.uint64]",
    component: "npt.NDArray[np.uint64]",
    partitions: int,
) -> pa.Table:
    from stages.kernels.shingles import exact_hashes

    exact = exact_hashes(*text_buffers(rows["text"])) ^ parent_hashes(rows)[:, None]
    partition = ((component * _PARTITION_MIX) >> np.uint64(32)) % np.uint64(partitions)
    compared = compared_texts(rows, settings.template)
    texts = rows["text"] if compared is None else compared
    columns = {
        "partition": pa.array(partition.astype(np.uint32)),
        "component": pa.array(component),
        "node": pa.array(node),
        "id": rows["id"],
        "exact_high": pa.array(exact[:, 0]),
        "exact_low": pa.array(exact[:, 1]),
        "documents": pa.array(np.ones(len(node), np.int32)),
        "text_bytes": pc.fill_null(pc.binary_length(rows["text"]), 0),
        "text": texts if settings.fuzzy else pa.nulls(len(node), pa.large_string()),
    }
    for name in ("date", "quality"):
        columns[name] = rows[name] if name in rows.column_names else pa.nulls(len(node), MEMBERS.field(name).type)
    return pa.table([columns[name] for name in MEMBERS.names], names=MEMBERS.names).cast(MEMBERS)


def _ranking(settings: DedupSettings, members: pa.Table, within: list[tuple[str, str]]) -> pa.Array:
    """The order of the survivor rule; ties go to the smallest id. Nulls come last, whatever the direction."""
    order = [*within, *RANKING[settings.survivor], ("id", "ascending")]
    order += [("exact_high", "ascending"), ("exact_low", "ascending"), ("node", "ascending")]
    return pc.sort_indices(members, sort_keys=order)


def _first_equal(members: pa.Table) -> "Rows":
    """For every member the first one with the same text."""
    high, low = members["exact_high"].to_numpy(), members["exact_low"].to_numpy()
    order = np.lexsort((low, high))  # stable: equal ones stay in their order
    starts = np.union1d(run_starts(high[order]), run_starts(low[order]))
    first = np.empty(len(order), dtype=np.int64)
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return first


def _heads(settings: DedupSettings, members: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Of each text the member that ranks first, with how many have it; and the others, with whom they follow."""
    if len(np.unique(members["exact_high"].to_numpy())) == members.num_rows:
        return members, COPIES.empty_table()
    members = members.take(_ranking(settings, members, []))
    first = _first_equal(members)
    is_head = first == np.arange(len(first))
    node = members["node"].to_numpy()
    place = members.schema.get_field_index("documents")
    counts = pa.array(np.bincount(first, minlength=len(first)).astype(np.int32))
    members = members.set_column(place, MEMBERS.field(place), counts)
    copies = pa.table([node[~is_head], node[first[~is_head]]], schema=COPIES).sort_by("node")
    return members.filter(pa.array(is_head)), copies


def _blocks(members: pa.Table) -> "list[tuple[int, int]]":
    """Whole clusters, as many as have `BLOCK_BYTES` of text together: [start, stop) each."""
    if members.num_rows == 0:
        return []
    starts = run_starts(members["component"].to_numpy())
    size = np.cumsum(members["text_bytes"].to_numpy())
    before = np.concatenate([[0], size[starts[1:] - 1]])
    firsts = starts[run_starts(before // BLOCK_BYTES)]
    return [(int(start), int(stop)) for start, stop in zip(firsts, [*firsts[1:], members.num_rows], strict=True)]


def _survivors(
    settings: DedupSettings, component: "npt.NDArray[np.uint64]", heads: "Rows", texts: pa.ChunkedArray
) -> "tuple[Rows, npt.NDArray[np.float64]]":
    """Which of the heads stands for each of them, and their similarity."""
    from stages.dedup.clusters import choose_survivors
    from stages.kernels.shingles import shingle_sets

    shingles = shingle_sets(*text_buffers(texts), settings.ngram)
    starts = np.append(run_starts(component), len(heads))
    choice = choose_survivors(
        starts, shingles, settings.make_scheme(), settings.verify_threshold, settings.max_comparisons
    )
    return heads[choice.survivor], choice.similarity


def _decisions(members: pa.Table, twin: "Rows", survivor: "Rows", similarity: "npt.NDArray[np.float64]") -> pa.Table:
    documents = members["documents"].to_numpy()
    size = np.bincount(survivor, weights=documents, minlength=members.num_rows).astype(np.int32)[survivor]
    chosen = np.flatnonzero(size > 1)
    survivor, equal = survivor[chosen], survivor[chosen] == twin[chosen]
    why = pc.if_else(pa.array(equal), EXACT_REASON, FUZZY_REASON)
    reason = pc.if_else(pa.array(survivor == chosen), pa.scalar(None, pa.string()), why)
    columns = [
        members["node"].take(pa.array(chosen)),
        members["id"].take(pa.array(survivor)),
        pa.array(size[chosen]),
        pa.array(np.where(equal, 1.0, similarity[chosen]).astype(np.float32)),
        reason,
    ]
    return pa.table(columns, schema=DECISIONS)
