"""The second half of dedup: from candidate clusters to decisions (the passes gather and
resolve).

Equal texts need no check: one of them stands for all, and only one of each shard travels. Any
other document is removed only if its true Jaccard similarity with the document that stays
reaches the threshold. Similarity is that of the shingle sets.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.ranking import DOCUMENT_COLUMNS, RANKING
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.dedup.components import CLUSTERS, partition_of_node
from corpusmill.stages.dedup.earlier import EARLIER, fall_to_earlier
from corpusmill.stages.dedup.match import EXACT, clustered
from corpusmill.stages.dedup.settings import DedupSettings
from corpusmill.stages.dedup.synthetic import columns_of, compared_texts, parent_hashes
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    home_of,
    node_range,
    read_range,
    run_starts,
    write_by_node,
    write_by_partition,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    from corpusmill.stages.dedup.signatures.shingles import Shingles

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
DECISIONS = pa.schema(  # one row for each removed text and each survivor, sorted by node
    [
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("reason", pa.string()),  # null: stays
    ]
)
EXACT_REASON, FUZZY_REASON = "dedup.exact", "dedup.fuzzy"
SHARED_REASON = "dedup.shared_part"
BLOCK_BYTES = 64 << 20  # text of the clusters that are compared in one go; a cluster is never cut


@dataclass(frozen=True)
class Fates:
    """What happens to each of some distinct texts.

    survivor: the text that stands for it, itself if it stays. outside: the earlier document
    that it falls to instead, as a row of their table, or -1. similarity: with either. equal:
    whether its text is the earlier one's. shared_part: whether it fell mostly for a beginning or
    end that it shares with its survivor. survivor_id: the id of whoever stands for it.
    """

    survivor: "Rows"
    outside: "Rows"
    similarity: "npt.NDArray[np.float64]"
    equal: "npt.NDArray[np.bool_]"
    shared_part: "npt.NDArray[np.bool_]"
    survivor_id: "npt.NDArray[np.object_]"


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


def resolve(settings: DedupSettings, gathered: int, shard: Shard) -> list[Counts]:
    """Read one partition of clusters. Write `work/resolve` (`DECISIONS`): who is removed for
    whom.

    The inputs are `gathered` files of `MEMBERS`, then files of `earlier.EARLIER`.
    """
    from corpusmill.stages.dedup.signatures.shingles import shingle_sets

    partition = int(shard.name)
    members = read_range(
        shard, shard.inputs[:gathered], "partition", partition, partition + 1, MEMBERS
    )
    earlier = read_range(
        shard, shard.inputs[gathered:], "partition", partition, partition + 1, EARLIER
    ).sort_by("component")
    order = _ranking(settings, members, [("component", "ascending")])
    texts, members = joined(members["text"]), members.drop_columns(["text"]).take(order)
    twin = _first_equal(members) if settings.exact else np.arange(members.num_rows)
    decided = [DECISIONS.empty_table()]
    for start, stop in _blocks(members):
        block, equal = members.slice(start, stop - start), twin[start:stop] - start
        # One head for each text. The others go where it goes.
        heads = np.flatnonzero(equal == np.arange(stop - start))
        shingles = shingle_sets(
            *texts,
            settings.ngram,
            order.to_numpy()[start:stop][heads].astype(np.int64),
            settings.normalization,
            with_words=settings.fuzzy,
        )
        if settings.normalization != "meaning":
            shingles = replace(shingles, figures=None)
        fates = _fates(
            settings, block.take(pa.array(heads)), shingles, _of_clusters(earlier, block)
        )
        decided.append(_decisions(block, equal, np.searchsorted(heads, equal), heads, fates))
    with shard.parquet(
        "work/resolve", DECISIONS, row_group_bytes=UNBOUNDED, temporary=True
    ) as output:
        write_by_node(output, pa.concat_tables(decided).sort_by("node"))
    return []


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


def _ranking(settings: DedupSettings, members: pa.Table, within: list[tuple[str, str]]) -> pa.Array:
    """The order of the survivor rule. Ties go to the smallest id. Nulls come last in either
    direction.
    """
    order = [*within, *RANKING[settings.survivor], ("id", "ascending")]
    order += [("exact_high", "ascending"), ("exact_low", "ascending"), ("node", "ascending")]
    return pc.sort_indices(members, sort_keys=order)


def _first_equal(members: pa.Table) -> "Rows":
    """For every member, the first one with the same text."""
    high, low = members["exact_high"].to_numpy(), members["exact_low"].to_numpy()
    order = np.lexsort((low, high))  # stable: equal ones stay in their order
    starts = np.union1d(run_starts(high[order]), run_starts(low[order]))
    first = np.empty(len(order), dtype=np.int64)
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return first


def _heads(settings: DedupSettings, members: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Of each text, the member that ranks first and the number of copies; and the others with
    the head that they follow.

    Both are sorted by node.
    """
    if len(np.unique(members["exact_high"].to_numpy())) == members.num_rows:
        return members, COPIES.empty_table()
    order = _ranking(settings, members, []).to_numpy()
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[_first_equal(members.drop_columns(["text"]).take(pa.array(order)))]
    is_head = first == np.arange(len(first))
    node = members["node"].to_numpy()
    counts = pa.array(np.bincount(first, minlength=len(first)).astype(np.int32))
    members = with_column(members, MEMBERS.field("documents"), counts)
    copies = pa.table([node[~is_head], node[first[~is_head]]], schema=COPIES)
    return members.filter(pa.array(is_head)), copies


def _blocks(members: pa.Table) -> "list[tuple[int, int]]":
    """Bounds [start, stop) of runs of whole clusters with about `BLOCK_BYTES` of text each."""
    if members.num_rows == 0:
        return []
    starts = run_starts(members["component"].to_numpy())
    size = np.cumsum(members["text_bytes"].to_numpy())
    before = np.concatenate([[0], size[starts[1:] - 1]])
    firsts = starts[run_starts(before // BLOCK_BYTES)]
    return [
        (int(start), int(stop))
        for start, stop in zip(firsts, [*firsts[1:], members.num_rows], strict=True)
    ]


def _of_clusters(earlier: pa.Table, block: pa.Table) -> pa.Table:
    """The earlier documents of the block's clusters. Both are sorted by component."""
    component = earlier["component"].to_numpy()
    start = np.searchsorted(component, block["component"][0].as_py())
    stop = np.searchsorted(component, block["component"][-1].as_py(), side="right")
    return earlier.slice(start, stop - start)


def _fates(
    settings: DedupSettings, heads: pa.Table, shingles: "Shingles", earlier: pa.Table
) -> Fates:
    """The fates of the distinct texts of some whole clusters, which come in the order of the
    survivor rule.
    """
    from corpusmill.stages.dedup.clusters import choose_survivors, fell_for_shared_part
    from corpusmill.stages.dedup.signatures.minhash import keys_of_signatures, signatures

    number = np.arange(heads.num_rows)
    survivor, similarity = number, np.ones(len(number))
    outside, equal = np.full(len(number), -1), np.zeros(len(number), bool)
    shared = np.zeros(len(number), bool)
    scheme = settings.make_scheme()
    component = heads["component"].to_numpy()
    if earlier.num_rows:
        exact = np.stack([heads["exact_high"].to_numpy(), heads["exact_low"].to_numpy()], axis=1)
        keys = (
            keys_of_signatures(signatures(shingles, scheme), scheme)
            ^ heads["parent"].to_numpy()[:, None]
        )
        outside, similarity, equal = fall_to_earlier(settings, exact, keys, shingles, earlier)
    if settings.fuzzy:
        starts = np.append(run_starts(component), len(number))
        limits = settings.verify_threshold, settings.max_comparisons
        unshared = settings.ngram if settings.shared_parts == "ignore" else 0
        choice = choose_survivors(starts, shingles, scheme, *limits, outside >= 0, unshared)
        shared = fell_for_shared_part(choice, shingles, settings.ngram)
        survivor, similarity = (
            choice.survivor,
            np.where(outside >= 0, similarity, choice.similarity),
        )
    names = heads["id"].to_numpy()[survivor]
    names[outside >= 0] = earlier["id"].to_numpy()[outside[outside >= 0]]
    return Fates(survivor, outside, similarity, equal, shared, names)


def _decisions(
    members: pa.Table, twin: "Rows", head_of: "Rows", heads: "Rows", fates: Fates
) -> pa.Table:
    """The decisions on the members of some whole clusters.

    twin: for each member, the first with the same text. head_of: that text's place among the
    heads.
    """
    documents = members["documents"].to_numpy()
    inside = fates.outside[head_of] < 0
    # A cluster is counted by its survivor: a member of this run, or an earlier document.
    stands = np.where(
        inside, heads[fates.survivor[head_of]], members.num_rows + fates.outside[head_of]
    )
    size = np.bincount(stands, weights=documents)[stands].astype(np.int32) + ~inside
    stays = inside & (stands == np.arange(members.num_rows))
    equal = np.where(inside, stands == twin, fates.equal[head_of])
    chosen = pa.array(np.flatnonzero(size > 1))
    similar = pc.if_else(pa.array(fates.shared_part[head_of]), SHARED_REASON, FUZZY_REASON)
    why = pc.if_else(pa.array(equal), EXACT_REASON, similar)
    columns = [
        members["node"],
        pa.array(fates.survivor_id[head_of], pa.string()),
        pa.array(size),
        pa.array(np.where(equal, 1.0, fates.similarity[head_of]).astype(np.float32)),
        pc.if_else(pa.array(stays), pa.scalar(None, pa.string()), why),
    ]
    return pa.table(columns, schema=DECISIONS).take(chosen)
