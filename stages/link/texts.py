"""The texts of pairs: the passes send and link.

The texts of linked documents go to the shards of those that link to them, as stream files.
"""

from collections.abc import Mapping
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import LICENCE, LINKED, LINKS, extended
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import DOCUMENTS
from corpusmill.stages.link.pairs import CHOSEN
from corpusmill.stages.readers.licences import with_licences
from corpusmill.stages.shuffle.row_groups import ROW_BITS, home_of, node_range, read_range
from corpusmill.stages.shuffle.streams import DESTINATION, StreamWriter, read_streams

SENT = pa.schema(
    [
        pa.field("node", pa.uint64(), nullable=False),  # the document that links
        pa.field("place", pa.uint32(), nullable=False),
        pa.field("one_way", pa.uint8(), nullable=False),
        *(pa.field(name, pa.string()) for name in ("id", "url", "text")),
    ]
)


def send(homes: int, characters: int, files: Mapping[str, int], shard: Shard) -> list[Counts]:
    """Send the texts of the shard's documents that are linked in a pair.

    characters: of a text, at most. files: shard -> how many of its inputs are documents. The others
    hold `CHOSEN`.
    """
    count = files[shard.name]
    first, end = node_range(home_of(shard.name))
    chosen = read_range(shard, shard.inputs[count:], "linked", first, end, CHOSEN)
    chosen = chosen.sort_by([("linked", "ascending"), ("node", "ascending")])
    row = (chosen["linked"].to_numpy() - np.uint64(first)).astype(np.int64)
    home = (chosen["node"].to_numpy() >> np.uint64(ROW_BITS)).astype(np.int32)
    output = StreamWriter(shard, "work/texts", SENT, homes)
    seen = 0
    documents_of = shard.inputs[:count] if len(row) else ()
    for table in chain.from_iterable(
        read_parquet(artifact, ["id", "url", "text"]) for artifact in documents_of
    ):
        start, stop = np.searchsorted(row, [seen, seen + table.num_rows])
        pairs = chosen.slice(start, stop - start)
        documents = table.take(pa.array(row[start:stop] - seen))
        columns = {name: pairs[name] for name in ("node", "place", "one_way")}
        columns |= {"id": documents["id"], "url": documents["url"]}
        columns["text"] = pc.utf8_slice_codeunits(documents["text"], 0, characters)
        sent = pa.table(columns).cast(SENT)
        output.write(sent.append_column(DESTINATION, pa.array(home[start:stop])))
        seen += table.num_rows
        shard.report(seen)
    output.close()
    return []


def put_together(files: Mapping[str, int], shard: Shard) -> list[Counts]:
    """Write the pairs of one shard: the document that links, with the linked one in a column.

    files: as for `send`. The other inputs are its stream files.
    """
    count, home = files[shard.name], home_of(shard.name)
    first = np.uint64(node_range(home)[0])
    received = [SENT.empty_table(), *read_streams(shard, home, shard.inputs[count:])]
    wide = SENT.set(SENT.get_field_index("text"), pa.field("text", pa.large_string()))
    linked = pa.concat_tables([part.cast(wide) for part in received])
    linked = linked.sort_by([("node", "ascending"), ("place", "ascending")])
    row = (linked["node"].to_numpy() - first).astype(np.int64)
    schemas = [schema_of(artifact) for artifact in shard.inputs[:count]]
    fields = [field for schema in schemas for field in schema if field.name != LINKED.name]
    fields = [LICENCE if field.name == LICENCE.name else field for field in fields]
    there = extended(*(field for field in fields if field.name != LINKS.name), of=pa.schema([]))
    schema = extended(LINKED, of=there)
    account, seen = Counts("link"), 0
    with shard.parquet(DOCUMENTS, schema, name=shard.name.split("-", 1)[1]) as output:
        for artifact in shard.inputs[:count]:
            for table in map(with_licences, shard.read(artifact)):
                start, stop = np.searchsorted(row, [seen, seen + table.num_rows])
                here = row[start:stop] - seen
                paired = len(np.unique(here))
                account.leave_out("link.no_pair", table.num_rows - paired)
                account.repeats += len(here) - paired
                rows = table.select([name for name in there.names if name in table.column_names])
                column = _structs(linked.slice(start, stop - start))
                output.write(rows.take(pa.array(here)).append_column(LINKED, column))
                seen += table.num_rows
                shard.report(seen)
    output.count_kept(account)
    account.rows_in = shard.rows_read
    return [account]


def _structs(linked: pa.Table) -> pa.Array:
    """The column `linked`."""
    fields = {
        "id": linked["id"],
        "url": linked["url"],
        "text": linked["text"].cast(pa.string()),
        "mutual": pc.equal(linked["one_way"], 0),
    }
    arrays = [
        pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        for column in fields.values()
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(LINKED.type))
