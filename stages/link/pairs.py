"""Which documents make pairs: the passes keys, join and choose.

A row of `KEYS` is sent to the partition of a page's address: one by the document that has the
address, and one by each document that links to it. So a partition sees all links to its pages. A
document is sent with the keys of its own links. So a partition also sees which links are mutual.

All pages of a crawl may link to one address (a licence, a home page), and all these links meet in
one partition. So only some of them leave a shard: those with the smallest hash. The same number of
them count where they meet. The smallest of all are among the smallest of each shard, so the choice
depends on no shards.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import LINKS
from corpusmill.manifests.shard import Shard
from corpusmill.stages.link.addresses import keys_of
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    home_of,
    node_range,
    partition_of,
    read_range,
    run_starts,
    write_by_node,
    write_by_partition,
)
from corpusmill.stages.synthesize.routed_documents import UNSCORED

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEYS = pa.schema(
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),  # of the page that is linked, or is there
        pa.field("own", pa.uint64(), nullable=False),  # of the document that sends the row
        pa.field("node", pa.uint64(), nullable=False),  # that document
        pa.field("rank", pa.uint64(), nullable=False),  # of it, among those with its address
        pa.field("links", pa.list_(pa.uint64())),  # of the page itself; null for a link to it
    ]
)
PAIRS = pa.schema(
    [
        pa.field("node", pa.uint64(), nullable=False),  # the document that links
        pa.field("linked", pa.uint64(), nullable=False),  # the one that is linked
        pa.field("one_way", pa.uint8(), nullable=False),  # 0: they link to each other
        pa.field("order", pa.uint64(), nullable=False),  # among the pairs of a document
    ]
)
CHOSEN = pa.schema(
    [
        pa.field("linked", pa.uint64(), nullable=False),
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("one_way", pa.uint8(), nullable=False),
        pa.field("place", pa.uint32(), nullable=False),  # among the pairs of the node, from 0
    ]
)
LINKS_READ, MUTUAL = "links", "mutual"  # accounts of the passes keys and choose
OTHER_LEVEL = "link.other_level"  # links of documents whose level is not named
_MIX = np.uint64(0x9E3779B97F4A7C15)


def find_keys(levels: Sequence[str], most: int, partitions: int, shard: Shard) -> list[Counts]:
    """The keys of one shard, sorted by partition. levels: of documents that may be in a pair; none
    given: all. most: links to one page that are sent.
    """
    first = np.uint64(node_range(home_of(shard.name))[0])
    found, seen, account = [KEYS.empty_table()], 0, Counts(LINKS_READ)
    for artifact in shard.inputs:
        names = schema_of(artifact).names
        wanted = [name for name in ("url", "level", "kind", LINKS.name) if name in names]
        for table in read_parquet(artifact, ["id", *wanted]):
            if LINKS.name in names and "url" in names:
                rows, links = _keys(table, levels, first + np.uint64(seen))
                kept = rows["links"].null_count
                account.rows_in += links
                account.kept += kept
                account.leave_out(OTHER_LEVEL, links - kept)
                found.append(rows)
            seen += table.num_rows
            shard.report(seen)
    rows = pa.concat_tables(found)
    rows = rows.take(pa.array(_sent(rows, most)))
    key = rows["key"].to_numpy()
    rows = rows.set_column(0, KEYS.field("partition"), [pa.array(partition_of(key, partitions))])
    rows = rows.take(pa.array(np.argsort(key, kind="stable")))
    with shard.parquet("work/keys", KEYS, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_by_partition(output, rows, partitions)
    return [account]


def _keys(table: pa.Table, levels: Sequence[str], first: np.uint64) -> tuple[pa.Table, int]:
    """The rows of some documents, without partition, and the links of those of all levels.

    first: node of the first document.
    """
    from corpusmill.stages.columns.strings import joined
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes

    own = keys_of(table["url"])
    allowed = own > 0
    if "kind" in table.column_names:
        allowed &= pc.fill_null(pc.not_equal(table["kind"], "synthetic"), True).to_numpy()
    node = first + np.arange(table.num_rows, dtype=np.uint64)
    rank = exact_hashes(*joined(table["id"]))[:, 0]
    column = table[LINKS.name].combine_chunks()
    source, link = pc.list_parent_indices(column).to_numpy(), keys_of(column.flatten())
    real = allowed[source] & (link > 0) & (link != own[source])
    source, link = source[real], link[real]
    distinct = np.unique(np.stack([source.astype(np.uint64), link]), axis=1)
    source, link = distinct[0].astype(np.int64), distinct[1]
    of_all_levels = len(link)
    if levels:
        level = table["level"] if "level" in table.column_names else pa.nulls(table.num_rows)
        level = pc.fill_null(level.cast(pa.string()), UNSCORED)
        allowed &= np.asarray(pc.is_in(level, pa.array(list(levels))))
        source, link = source[allowed[source]], link[allowed[source]]
    bounds = np.searchsorted(source, np.arange(table.num_rows + 1)).astype(np.int32)
    pages = pa.table(
        [
            np.zeros(table.num_rows, np.uint32),
            own,
            own,
            node,
            rank,
            pa.ListArray.from_arrays(pa.array(bounds), pa.array(link)),
        ],
        schema=KEYS,
    ).filter(pa.array(allowed))
    sent = [np.zeros(len(link), np.uint32), link, own[source], node[source], rank[source]]
    links = pa.table([*sent, pa.nulls(len(link), KEYS.field("links").type)], schema=KEYS)
    return pa.concat_tables([pages, links]), of_all_levels


def _sent(rows: pa.Table, most: int) -> "NDArray[np.int64]":
    """The places of the rows that leave a shard: all documents, and `most` links to each page."""
    is_page = pc.is_valid(rows["links"]).to_numpy()
    linking = np.flatnonzero(~is_page)
    columns = (rows[name].to_numpy()[linking] for name in ("key", "own", "rank", "node"))
    return np.concatenate([np.flatnonzero(is_page), linking[_some_links(most, *columns)]])


def _some_links(
    most: int,
    key: "NDArray[np.uint64]",
    own: "NDArray[np.uint64]",
    rank: "NDArray[np.uint64]",
    node: "NDArray[np.uint64]",
) -> "NDArray[np.int64]":
    """The places of `most` links to each page, by page: each address that links once, by the
    document with the smallest rank, and of these the smallest by hash.
    """
    order = np.lexsort((node, rank, own, key))
    once = np.ones(len(order), bool)
    once[1:] = (key[order][1:] != key[order][:-1]) | (own[order][1:] != own[order][:-1])
    order = order[once]
    alike = np.zeros(len(order), np.uint8)
    return order[_first(key[order], alike, _mixed(own[order], key[order]), most)]


def _mixed(own: "NDArray[np.uint64]", key: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """A hash of each link, by which some are taken."""
    return (own ^ (key * _MIX)) * _MIX


def join(most: int, links: int, shard: Shard) -> list[Counts]:
    """The pairs of one partition of addresses. most: in which a document is the linked one. links:
    to one page that are looked at.

    Several documents with one address are one page, which has the links of all. The one whose id
    has the smallest hash stands for it where it is linked, and of those that have a link, the one
    with the smallest leads. So the order of the shards decides nothing. Of two pages that link to
    each other, the one with the smaller key leads.
    """
    partition = int(shard.name)
    table = read_range(shard, shard.inputs, "partition", partition, partition + 1, KEYS)
    key, own, node, rank = (table[name].to_numpy() for name in ("key", "own", "node", "rank"))
    is_page = pc.is_valid(table["links"]).to_numpy()
    sharing = np.flatnonzero(is_page)
    sharing = sharing[np.lexsort((node[sharing], rank[sharing], key[sharing]))]
    pages = sharing[run_starts(key[sharing])]
    linking = np.flatnonzero(~is_page)
    page = np.searchsorted(key[pages], key[linking])
    there = page < len(pages)
    there[there] = key[pages[page[there]]] == key[linking[there]]
    linking, page = linking[there], page[there]
    columns = (column[linking] for column in (key, own, rank, node))
    some = _some_links(links, *columns)
    linking, page = linking[some], page[some]
    page_of = np.searchsorted(key[pages], key[sharing])
    one_way = ~_links_back(table["links"].take(pa.array(sharing)), page_of, page, own[linking])
    leads = one_way | (own[linking] < key[linking])
    linking, page, one_way = linking[leads], page[leads], one_way[leads]
    mixed = _mixed(own[linking], key[linking])
    taken = _first(page, one_way, mixed, most)
    linking, page = linking[taken], page[taken]
    pairs = pa.table(
        [node[linking], node[pages[page]], one_way[taken].astype(np.uint8), mixed[taken]],
        schema=PAIRS,
    ).sort_by([("node", "ascending"), ("linked", "ascending")])
    with shard.parquet("work/pairs", PAIRS, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_by_node(output, pairs)
    return []


def _links_back(
    links: pa.ChunkedArray,
    page_of: "NDArray[np.int64]",
    page: "NDArray[np.int64]",
    own: "NDArray[np.uint64]",
) -> "NDArray[np.bool_]":
    """For each link, whether its page links to the address that it comes from.

    links: of documents. page_of: the page of each of them.
    """
    listed = links.combine_chunks()
    from_page = page_of[pc.list_parent_indices(listed).to_numpy()].astype(np.uint64)
    known = listed.flatten().to_numpy() ^ (from_page * _MIX)
    return np.isin(own ^ (page.astype(np.uint64) * _MIX), known)


def choose(most: int, shard: Shard) -> list[Counts]:
    """The pairs of one shard's documents. most: that a document leads. Mutual links come first."""
    first, end = node_range(home_of(shard.name))
    table = read_range(shard, shard.inputs, "node", first, end, PAIRS)
    node, one_way = table["node"].to_numpy(), table["one_way"].to_numpy()
    taken = _first(node, one_way, table["order"].to_numpy(), most)
    place = np.arange(len(taken))
    starts = run_starts(node[taken])
    place -= np.repeat(starts, np.diff(starts, append=len(taken)))
    chosen = table.take(pa.array(taken)).select(["linked", "node", "one_way"])
    chosen = chosen.append_column("place", pa.array(place.astype(np.uint32))).cast(CHOSEN)
    with shard.parquet("work/chosen", CHOSEN, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_by_node(output, chosen.sort_by([("linked", "ascending"), ("node", "ascending")]))
    mutual = int((one_way[taken] == 0).sum())
    return [Counts(MUTUAL, rows_in=mutual, kept=mutual)]


def _first(
    group: "NDArray[np.generic]",
    one_way: "NDArray[np.generic]",
    order: "NDArray[np.uint64]",
    most: int,
) -> "NDArray[np.int64]":
    """The places of the first `most` rows of each group, by group: mutual links, then by order."""
    sorted_by = np.lexsort((order, one_way, group))
    starts = run_starts(group[sorted_by])
    number = np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))
    return sorted_by[number < most]
