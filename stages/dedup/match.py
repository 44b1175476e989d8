"""The first half of dedup: from texts to links between similar documents (the passes sign and
match).

Two documents are linked if they share the hash of their whole text, or the key of a MinHash
band. Links within a shard do not travel. Documents of one shard that are linked, also through
others, are represented by the first of them. A key leaves the shard once, however many
documents have it. So a key brings together at most as many rows as there are shards, even for a
page that a crawl holds a hundred million times.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.dedup.components import EDGES, forest, write_edges
from corpusmill.stages.dedup.settings import DedupSettings
from corpusmill.stages.dedup.synthetic import columns_of, compared_texts, parent_hashes
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    home_of,
    node_range,
    partition_of,
    read_range,
    run_starts,
    write_by_partition,
)

if TYPE_CHECKING:
    import numpy.typing as npt


KEYS = pa.schema(  # one row per key of the shard, sorted by key, and so by partition
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        # The first of the linked documents of the shard that have it.
        pa.field("node", pa.uint64(), nullable=False),
    ]
)
LOCAL = pa.schema(  # one row per document that is linked with another of its shard, sorted by row
    [pa.field("row", pa.uint64(), nullable=False), pa.field("first", pa.uint64(), nullable=False)]
)
EXACT = pa.schema(  # one row per document of the shard: the 128-bit hash of its whole text
    [
        pa.field("exact_high", pa.uint64(), nullable=False),
        pa.field("exact_low", pa.uint64(), nullable=False),
    ]
)
SIGN_ROWS = 8192  # documents whose text is looked at in one go


def sign(settings: DedupSettings, partitions: int, shard: Shard) -> list[Counts]:
    """Read the texts of one shard. Write its keys, its links within itself, and the hashes of
    its whole texts.

    They go to `work/sign` (`KEYS`), `work/local` (`LOCAL`) and `work/exact` (`EXACT`).
    """
    keys, rows, seen = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], 0
    with shard.parquet("work/exact", EXACT, temporary=True) as output:
        for table in shard.read(shard.inputs[0], columns_of(shard.inputs[0])):
            for start in range(0, table.num_rows, SIGN_ROWS):
                batch = table.slice(start, SIGN_ROWS)
                found, document, exact = _keys(settings, batch)
                keys.append(found)
                rows.append(document + np.uint64(seen))
                output.write(pa.table([exact[:, 0], exact[:, 1]], schema=EXACT))
                seen += len(batch)
                shard.report(seen)
    write_keys(shard, np.concatenate(keys), np.concatenate(rows), partitions)
    return []


def write_keys(
    shard: Shard,
    key: "npt.NDArray[np.uint64]",
    row: "npt.NDArray[np.uint64]",
    partitions: int,
    suffix: str = "",
) -> None:
    """Write a shard's keys and its links within itself.

    key[i] belongs to document row[i], and rows come in order. suffix: of the names of the two
    folders.
    """
    from corpusmill.stages.dedup.signatures.sorting import sort_hashes

    key, row = sort_hashes(key, row)
    starts = run_starts(key)
    least = row[starts]  # rows came in order
    first = np.repeat(least, np.diff(starts, append=len(key)))
    linked, firsts = forest(row[row != first], first[row != first])
    stands = np.arange(int(row.max(initial=0)) + 1, dtype=np.uint64)
    stands[linked] = firsts
    key, node = key[starts], stands[least] + np.uint64(node_range(home_of(shard.name))[0])
    with shard.parquet(
        f"work/sign{suffix}", KEYS, row_group_bytes=UNBOUNDED, temporary=True
    ) as output:
        write_by_partition(
            output, pa.table([partition_of(key, partitions), key, node], schema=KEYS), partitions
        )
    with shard.parquet(f"work/local{suffix}", LOCAL, temporary=True) as output:
        output.write(pa.table([linked, firsts], schema=LOCAL))


def match(link_partitions: int, shard: Shard) -> list[Counts]:
    """Read one partition of all keys. Write `work/match`: links between documents that share a
    key.

    They are `EDGES` in `link_partitions` partitions.
    """
    from corpusmill.stages.dedup.signatures.sorting import sort_hashes

    partition = int(shard.name)
    table = read_range(shard, shard.inputs, "partition", partition, partition + 1, KEYS)
    key, node = table["key"].to_numpy(), table["node"].to_numpy()
    del table
    key, node = sort_hashes(stretched(key), node)
    starts = run_starts(key)
    first = np.repeat(node[starts], np.diff(starts, append=len(key)))
    linked = node != first
    with shard.parquet("work/match", EDGES, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_edges(output, *forest(node[linked], first[linked]), link_partitions)
    return []


def clustered(
    shard: Shard, local: Artifact, linked: pa.Table, first: int
) -> "tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]":
    """The nodes of the shard that are in clusters, sorted, and their components.

    local: links within the shard. linked: components of the nodes that are linked beyond the
    shard. A component that stays within the shard is named by its first node.
    """
    inside = pa.concat_tables([LOCAL.empty_table(), *shard.read(local)])
    node = np.concatenate([inside["row"].to_numpy() + np.uint64(first), linked["node"].to_numpy()])
    stands = np.concatenate(
        [inside["first"].to_numpy() + np.uint64(first), linked["node"].to_numpy()]
    )
    # A node in both is the first of its local component.
    node, places = np.unique(node, return_index=True)
    stands = stands[places]
    roots, component = linked["node"].to_numpy(), linked["component"].to_numpy()
    if not len(roots):
        return node, stands
    place = np.minimum(np.searchsorted(roots, stands), len(roots) - 1)
    return node, np.where(roots[place] == stands, component[place], stands)


def stretched(key: "npt.NDArray[np.uint64]") -> "npt.NDArray[np.uint64]":
    """The keys of a partition, which are a narrow range, stretched to 64 bits in the same order.

    Files come sorted. Sorting sorted runs by ranges writes to few places at a time.
    """
    if not len(key):
        return key
    least = key.min()
    return (key - least) * np.uint64(max(1, (2**64 - 1) // (int(key.max() - least) + 1)))


def _keys(
    settings: DedupSettings, table: pa.Table
) -> "tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]":
    """Keys and the documents that have them, in the order of documents; and the exact hashes of
    all: uint64[documents, 2].
    """
    from corpusmill.stages.dedup.signatures import minhash
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes

    texts, compared = table["text"], compared_texts(table, settings)
    bands, _ = settings.banding
    if settings.fuzzy:
        found, exact, counts = minhash.band_keys(
            *joined(compared), settings.ngram, settings.make_scheme(), settings.normalization
        )
        if compared is not texts:
            exact = exact_hashes(*joined(texts))
        wanted = np.repeat(counts[:, None] > 0, bands, axis=1)
    else:
        found, exact = np.zeros((len(texts), 0), np.uint64), exact_hashes(*joined(texts))
        wanted = np.zeros((len(texts), 0), bool)
    if settings.exact:
        # Half of the hash finds equal texts, and the whole of it decides.
        found = np.concatenate([exact[:, :1], found], axis=1)
        wanted = np.concatenate([np.ones((len(texts), 1), bool), wanted], axis=1)
    found ^= parent_hashes(table)[:, None]
    document = np.repeat(np.arange(len(texts), dtype=np.uint64)[:, None], found.shape[1], axis=1)
    return found[wanted], document[wanted], exact
