"""The second half of dedup: from candidate clusters to kept and removed documents (the passes gather, resolve and dedup).

Equal texts need no check: one of them stands for all, and only its text travels. Everything else is removed only if the true Jaccard
similarity of its shingle set with that of the document that stays reaches the threshold.
"""

import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.receipt import Counts
from manifests.schema import EXCLUSION, excluded, extended
from manifests.shard import Shard, read_parquet, schema_of
from stages.contract import DOCUMENTS, EXCLUDED
from stages.dedup.match import CLUSTERS, text_buffers
from stages.dedup.settings import CLUSTER_COLUMNS, DedupSettings
from stages.dedup.shuffle import (
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


MEMBERS = pa.schema(  # one row per document of a candidate cluster, sorted by partition
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("component", pa.uint64(), nullable=False),
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("exact_high", pa.uint64(), nullable=False),  # the 128-bit hash of the whole text
        pa.field("exact_low", pa.uint64(), nullable=False),
        pa.field("text_bytes", pa.int64(), nullable=False),
        pa.field("date", pa.string()),
        pa.field("quality", pa.uint8()),
        pa.field("text", pa.large_string()),  # null where an equal text of the same shard travels already
    ]
)
DECISIONS = pa.schema(  # one row per document that is removed or that others were removed for, sorted by node
    [
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field("reason", pa.string()),  # null: stays
        pa.field("detail", pa.string()),
    ]
)
RANKING = {  # what decides within a cluster before the id does
    "longest": [("text_bytes", "descending")],
    "first": [],
    "newest": [("date", "descending")],
    "best_quality": [("quality", "descending")],
}
EXACT_REASON, FUZZY_REASON = "dedup.exact", "dedup.fuzzy"
_PARTITION_MIX = np.uint64(0x9E3779B97F4A7C15)


def gather(settings: DedupSettings, partitions: int, shard: Shard) -> list[Counts]:
    """Read one document shard (and which of its rows are in clusters); write `work/gather`: those documents (`MEMBERS`)."""
    document, clusters = shard.inputs
    first, end = node_range(home_of(shard.name))
    listed = read_range([clusters], "node", first, end, CLUSTERS)
    node, component = listed["node"].to_numpy(), listed["component"].to_numpy()
    row = node - np.uint64(first)
    wanted = {"newest": ["date"], "best_quality": ["quality"]}.get(settings.survivor, [])
    found, begin = [], 0
    for table in read_parquet(document, columns=["id", "text", *wanted]):
        start, stop = np.searchsorted(row, np.array([begin, begin + table.num_rows], np.uint64))
        if stop > start:
            rows = table.take(pa.array(row[start:stop] - np.uint64(begin)))
            found.append(_members(rows, node[start:stop], component[start:stop], partitions))
        begin += table.num_rows
    members = pa.concat_tables([MEMBERS.empty_table(), *found])
    members = _without_repeated_texts(members) if settings.exact else members
    if not settings.fuzzy:
        members = _without_texts(members, np.ones(members.num_rows, bool))
    members = members.sort_by([("partition", "ascending"), ("node", "ascending")])
    with shard.parquet("work/gather", MEMBERS, row_group_bytes=UNBOUNDED) as output:
        write_by_partition(output, members)
    return []


def resolve(settings: DedupSettings, shard: Shard) -> list[Counts]:
    """Read one partition of clusters; write `work/resolve`: who is removed for whom (`DECISIONS`)."""
    partition = int(shard.name)
    members = read_range(shard.inputs, "partition", partition, partition + 1, MEMBERS)
    order = [("component", "ascending"), *RANKING[settings.survivor], ("id", "ascending")]
    order += [("exact_high", "ascending"), ("exact_low", "ascending"), ("node", "ascending")]
    members = members.take(  # nulls come last, whatever the direction
        pc.sort_indices(members, sort_keys=order)
    )
    twin = _first_equal(members) if settings.exact else np.arange(members.num_rows)
    survivor, similarity = _survivors(settings, members, twin)
    with shard.parquet("work/resolve", DECISIONS, row_group_bytes=UNBOUNDED) as output:
        write_by_node(output, _decisions(members, twin, survivor, similarity))
    return []


def remove(settings: DedupSettings, shard: Shard) -> list[Counts]:
    """Read one document shard and the decisions on it; write its kept rows with their clusters, and its removed rows."""
    started = time.perf_counter()
    home, name = shard.name.split("-", 1)
    first, end = node_range(int(home))
    decisions = read_range(shard.inputs[1:], "node", first, end, DECISIONS).sort_by("node")
    row = decisions["node"].to_numpy() - np.uint64(first)
    schema = extended(*CLUSTER_COLUMNS, of=schema_of(shard.inputs[0]))
    counts = Counts(settings.name)
    with (
        shard.parquet(DOCUMENTS, schema, name=name) as kept_output,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema), name=name) as excluded_output,
    ):
        for table in read_parquet(shard.inputs[0]):
            begin = counts.rows_in
            counts.rows_in += table.num_rows
            start, stop = np.searchsorted(row, np.array([begin, counts.rows_in], np.uint64))
            table, reason, detail = _decided(
                table, decisions.slice(start, stop - start), row[start:stop] - np.uint64(begin)
            )
            stays = pc.is_null(reason)
            kept, gone = table.filter(stays), pc.invert(stays)
            kept_output.write(kept)
            counts.kept += kept.num_rows
            counts.text_bytes += pc.sum(pc.binary_length(kept["text"])).as_py() or 0
            counts.tokens += (pc.sum(kept["n_tokens"]).as_py() or 0) if "n_tokens" in kept.column_names else 0
            reasons = reason.filter(gone).to_pylist()
            for code in sorted(set(reasons)):
                counts.excluded[code] = counts.excluded.get(code, 0) + reasons.count(code)
            excluded_output.write(
                excluded(table.filter(gone), settings.name, reasons, detail.filter(gone).to_pylist())
            )
            shard.report(counts.rows_in)
    counts.seconds = time.perf_counter() - started
    return [counts]


def _members(
    rows: pa.Table, node: "npt.NDArray[np.uint64]", component: "npt.NDArray[np.uint64]", partitions: int
) -> pa.Table:
    from stages.kernels.minhash import exact_hashes

    exact = exact_hashes(*text_buffers(rows["text"]))
    partition = ((component * _PARTITION_MIX) >> np.uint64(32)) % np.uint64(partitions)
    columns = {
        "partition": pa.array(partition.astype(np.uint32)),
        "component": pa.array(component),
        "node": pa.array(node),
        "id": rows["id"],
        "exact_high": pa.array(exact[:, 0]),
        "exact_low": pa.array(exact[:, 1]),
        "text_bytes": pc.fill_null(pc.binary_length(rows["text"]), 0),
        "text": rows["text"],
    }
    for name in ("date", "quality"):
        columns[name] = rows[name] if name in rows.column_names else pa.nulls(len(node), MEMBERS.field(name).type)
    return pa.table([columns[name] for name in MEMBERS.names], names=MEMBERS.names).cast(MEMBERS)


def _first_equal(members: pa.Table) -> "npt.NDArray[np.int64]":
    """For every member the first one with the same text."""
    high, low = members["exact_high"].to_numpy(), members["exact_low"].to_numpy()
    order = np.lexsort((low, high))  # stable: equal ones stay in their order
    starts = np.union1d(run_starts(high[order]), run_starts(low[order]))
    first = np.empty(len(order), dtype=np.int64)
    first[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
    return first


def _without_repeated_texts(members: pa.Table) -> pa.Table:
    """A text that many documents of a shard share is sent once: a cluster of a million copies is a million short rows."""
    return _without_texts(members, _first_equal(members) != np.arange(members.num_rows))


def _without_texts(members: pa.Table, without: "npt.NDArray[np.bool_]") -> pa.Table:
    place = MEMBERS.get_field_index("text")
    texts = pc.if_else(pa.array(~without), members["text"], pa.scalar(None, pa.large_string()))
    return members.set_column(place, MEMBERS.field(place), texts)


def _survivors(
    settings: DedupSettings, members: pa.Table, twin: "npt.NDArray[np.int64]"
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]":
    """For every member who stands for it, and their similarity."""
    if not settings.fuzzy or members.num_rows == 0:
        return twin, np.ones(len(twin))
    from stages.dedup.clusters import choose_survivors
    from stages.kernels.minhash import permutations, shingle_sets

    heads = np.flatnonzero(twin == np.arange(len(twin)))  # one for each text; the others go where it goes
    has_text = np.flatnonzero(pc.is_valid(members["text"]).to_numpy(zero_copy_only=False))
    source = heads.copy()
    source[np.searchsorted(heads, twin[has_text[::-1]])] = has_text[
        ::-1
    ]  # whichever of the equal ones brought the text
    shingles = shingle_sets(*text_buffers(members["text"].take(pa.array(source))), settings.ngram)
    component = members["component"].to_numpy()[heads]
    starts = np.append(run_starts(component), len(heads))
    perms = permutations(*settings.banding, settings.seed)
    choice = choose_survivors(starts, shingles, perms, settings.verify_threshold, settings.max_comparisons)
    head_of = np.searchsorted(heads, twin)
    return heads[choice.survivor][head_of], choice.similarity[head_of]


def _decisions(
    members: pa.Table,
    twin: "npt.NDArray[np.int64]",
    survivor: "npt.NDArray[np.int64]",
    similarity: "npt.NDArray[np.float64]",
) -> pa.Table:
    size = np.bincount(survivor, minlength=members.num_rows)[survivor]
    number = np.arange(members.num_rows)
    survivor_id = members["id"].take(pa.array(survivor)).to_pylist()
    reasons: list[str | None] = []
    details: list[str | None] = []
    for i in np.flatnonzero(size > 1):
        stays, equal = survivor[i] == number[i], survivor[i] == twin[i]
        reasons.append(None if stays else EXACT_REASON if equal else FUZZY_REASON)
        measured = "" if equal else f" jaccard={similarity[i]:.3f}"
        details.append(None if stays else f"duplicate_of={survivor_id[i]}{measured}")
    chosen = pa.array(np.flatnonzero(size > 1))
    columns = [
        members["node"].take(chosen),
        members["id"].take(pa.array(survivor)).take(chosen),
        pa.array(size[size > 1].astype(np.int32)),
        pa.array(reasons, pa.string()),
        pa.array(details, pa.string()),
    ]
    return pa.table(columns, schema=DECISIONS).sort_by("node")


def _decided(
    table: pa.Table, decisions: pa.Table, row: "npt.NDArray[np.uint64]"
) -> tuple[pa.Table, pa.ChunkedArray, pa.ChunkedArray]:
    """The table with its cluster columns, and the reason and detail of each row; row: which rows the decisions are about."""
    place = np.full(table.num_rows, -1, dtype=np.int64)
    place[row.astype(np.int64)] = np.arange(len(row))
    taken = decisions.take(pa.array(place, mask=place < 0))
    for name, values in (
        ("cluster_id", pc.coalesce(taken["survivor"], table["id"])),
        ("cluster_size", pc.fill_null(taken["size"], 1)),
    ):
        index = table.schema.get_field_index(name)
        table = table.append_column(name, values) if index < 0 else table.set_column(index, name, values)
    return table, taken["reason"], taken["detail"]
