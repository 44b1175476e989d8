"""The first half of dedup: from texts to candidate clusters (the passes sign, match and components).

Two documents are linked if they share the hash of their whole text or the key of a MinHash band. Links are kept as a spanning
forest, and the connected components of all forests are the candidate clusters; they are verified in `stages.dedup.resolve`.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.receipt import Counts
from manifests.shard import Shard, read_parquet
from stages.dedup.settings import DedupSettings
from stages.dedup.shuffle import ROW_BITS, UNBOUNDED, read_range, run_starts, write_by_node, write_by_partition

if TYPE_CHECKING:
    import numpy.typing as npt


KEYS = pa.schema(  # one row per document and key, sorted by partition, then row
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("row", pa.uint64(), nullable=False),  # within the document shard
    ]
)
LINKS = pa.schema(  # the forest: every linked document and the least one that it hangs on; sorted by node
    [pa.field("node", pa.uint64(), nullable=False), pa.field("root", pa.uint64(), nullable=False)]
)
CLUSTERS = pa.schema(  # every document of a candidate cluster; sorted by node
    [pa.field("node", pa.uint64(), nullable=False), pa.field("component", pa.uint64(), nullable=False)]
)
SIGN_ROWS = 8192  # documents whose text is looked at in one go


def sign(settings: DedupSettings, partitions: int, shard: Shard) -> list[Counts]:
    """Read one document shard's texts; write `work/sign`: its keys (`KEYS`), cut into partitions."""
    keys, rows, seen = [], [], 0
    for table in read_parquet(shard.inputs[0], columns=["text"]):
        for start in range(0, table.num_rows, SIGN_ROWS):
            batch = table["text"].slice(start, SIGN_ROWS)
            found, document = _keys(settings, batch)
            keys.append(found)
            rows.append(document + np.uint64(seen))
            seen += len(batch)
            shard.report(seen)
    key = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
    row = np.concatenate(rows) if rows else np.zeros(0, np.uint64)
    partition = (key % np.uint64(partitions)).astype(np.uint32)
    order = np.argsort(partition, kind="stable")
    table = pa.table([partition[order], key[order], row[order]], schema=KEYS)
    with shard.parquet("work/sign", KEYS, row_group_bytes=UNBOUNDED) as output:
        write_by_partition(output, table)
    return []


def match(shard: Shard) -> list[Counts]:
    """Read one partition of all shards' keys; write `work/match`: the links (`LINKS`) between documents that share one.

    The inputs are the outputs of sign in the order of the shards' positions.
    """
    from stages.dedup.clusters import forest

    partition = int(shard.name)
    keys, nodes = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for home, artifact in enumerate(shard.inputs):
        table = read_range([artifact], "partition", partition, partition + 1, KEYS)
        keys.append(table["key"].to_numpy())
        nodes.append(table["row"].to_numpy() + np.uint64(home << ROW_BITS))
    key, node = np.concatenate(keys), np.concatenate(nodes)
    order = np.argsort(key, kind="stable")  # documents with the same key stay in the order of their nodes
    key, node = key[order], node[order]
    starts = run_starts(key)
    first = np.repeat(node[starts], np.diff(starts, append=len(key)))
    linked = node != first
    table = pa.table(list(forest(node[linked], first[linked])), schema=LINKS)
    with shard.parquet("work/match", LINKS, row_group_bytes=UNBOUNDED) as output:
        write_by_node(output, table)
    return []


def components(shard: Shard) -> list[Counts]:
    """Read all links; write `work/components`: every document of a candidate cluster and its cluster (`CLUSTERS`)."""
    from stages.dedup.clusters import forest

    tables = [table for artifact in shard.inputs for table in read_parquet(artifact)]
    links = pa.concat_tables([LINKS.empty_table(), *tables])
    table = pa.table(list(forest(links["node"].to_numpy(), links["root"].to_numpy())), schema=CLUSTERS)
    with shard.parquet("work/components", CLUSTERS, row_group_bytes=UNBOUNDED) as output:
        write_by_node(output, table)
    return []


def text_buffers(texts: pa.ChunkedArray) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]":
    """Offsets and bytes of a string column, for the kernels; null counts as empty."""
    texts = pc.fill_null(texts, "").cast(pa.large_string())
    array = texts.chunk(0) if texts.num_chunks == 1 else texts.combine_chunks()
    if len(array) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    return offsets, np.frombuffer(data_buffer, np.uint8) if data_buffer else np.zeros(0, np.uint8)


def _keys(settings: DedupSettings, texts: pa.ChunkedArray) -> "tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]":
    """(key, document) pairs, ordered by document."""
    from stages.kernels import minhash

    offsets, data = text_buffers(texts)
    bands, rows = settings.banding
    if settings.fuzzy:
        found, exact, counts = minhash.band_keys(
            offsets, data, settings.ngram, minhash.permutations(bands, rows, settings.seed)
        )
        wanted = np.repeat(counts[:, None] > 0, bands, axis=1)
    else:
        found, exact = np.zeros((len(texts), 0), np.uint64), minhash.exact_hashes(offsets, data)
        wanted = np.zeros((len(texts), 0), bool)
    if settings.exact:
        found = np.concatenate([exact[:, :1], found], axis=1)  # half the hash finds them, the whole of it decides
        wanted = np.concatenate([np.ones((len(texts), 1), bool), wanted], axis=1)
    document = np.repeat(np.arange(len(texts), dtype=np.uint64)[:, None], found.shape[1], axis=1)
    return found[wanted], document[wanted]
