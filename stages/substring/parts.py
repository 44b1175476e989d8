"""Parts of the corpus: which part a document belongs to. Parts have a bounded size and keep a site
together if it fits.

A document's key is the hash of its host, or of its id if it has no URL. The keys are cut into
ranges of equal width, many to a part, and the bytes of text in each range are measured.
Neighbouring ranges share a part until it is full. A range that is larger than a part (a giant site)
is split by the hash of the id. So parts depend on the documents alone. The plan is small: one row
for each range.

Boilerplate repeats within a site, so a part by host has nearly all copies of it. Repeats across
sites are seen only if the sites share a part: with P parts, a passage on two sites is seen with
probability 1 / P.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import seed_for
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.columns.linked import refuse_linked_shard
from corpusmill.stages.readers.documents import read_columns
from corpusmill.stages.shuffle.streams import DESTINATION, StreamWriter
from corpusmill.stages.substring.settings import SubstringSettings
from numpy.typing import NDArray

RANGES_A_PART = 16
SEND_ROWS = 1024
KEY_BITS = 63
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?:[Ww][Ww][Ww]\.)?(?P<host>[^/?#:]+)"

MEASURED = pa.schema([("range", pa.int64()), ("text_bytes", pa.int64())])
PLAN = pa.schema(  # one row for each range of keys that has documents, ascending
    [
        ("range", pa.int64()),
        ("part", pa.int32()),  # the range's first part
        ("splits", pa.int32()),  # how many parts it has
    ]
)


def key_ranges(documents: Iterable[Artifact], part_bytes: int) -> int:
    """How many ranges the keys are cut into: a power of two. If nobody counted the text, a
    compressed byte counts as four.
    """
    text_bytes = sum(document.text_bytes or 4 * document.size for document in documents)
    return 1 << (RANGES_A_PART * text_bytes // part_bytes).bit_length()


def measure(settings: SubstringSettings, ranges: int, shard: Shard) -> list[Counts]:
    """Read one document shard. Write `work/measure`: the bytes of text in each range of keys
    (`MEASURED`).

    Raises InputError if the stage would leave repeats in the column `linked`.
    """
    numbers, sizes, seen = [], [], 0
    (document,) = shard.inputs
    refuse_linked_shard(document, settings.name)
    columns = ("id", "text", "url") if settings.parts_by == "host" else ("id", "text")
    for table in shard.counted(document, read_columns(document, *columns)):
        numbers.append(_ranges_of(settings, table, ranges))
        sizes.append(pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64))
        seen += table.num_rows
        shard.report(seen)
    number = np.concatenate([np.zeros(0, np.int64), *numbers])
    size = np.concatenate([np.zeros(0, np.int64), *sizes])
    with shard.parquet("work/measure", MEASURED) as output:
        output.write(pa.table(list(_sums(number, size)), schema=MEASURED))
    return []


def plan_parts(settings: SubstringSettings, measured: int, shard: Shard) -> list[Counts]:
    """Read all measured sizes. Write the plan (`PLAN`), and an empty table with every column of the
    documents.

    The measured files are the first inputs, and the others are the documents. Raises InputError if
    a column has two types.
    """
    tables = [table for artifact in shard.inputs[:measured] for table in read_parquet(artifact)]
    total = pa.concat_tables([MEASURED.empty_table(), *tables])
    number, size = _sums(total["range"].to_numpy(), total["text_bytes"].to_numpy())
    part, splits = pack(size, settings.part_bytes)
    with shard.parquet("work/plan", PLAN) as output:
        output.write(
            pa.table([number, part.astype(np.int32), splits.astype(np.int32)], schema=PLAN)
        )
    try:
        schema = pa.unify_schemas([schema_of(document) for document in shard.inputs[measured:]])
    except pa.ArrowTypeError as error:
        raise InputError(
            f"substring's inputs have a column of two types ({str(error).splitlines()[0]})",
            "give it the output of one stage",
        ) from error
    with shard.parquet("work/plan", schema, name="schema"):
        pass
    return []


def pack(sizes: NDArray[np.int64], part_bytes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first part of each range of keys, and its number of parts. A range shares its one part
    with its neighbours. Only a range of more than `part_bytes` bytes has parts of its own.
    """
    parts, splits = np.zeros(len(sizes), np.int64), np.ones(len(sizes), np.int64)
    part = filled = 0
    for index, size in enumerate(sizes.tolist()):
        if filled and filled + size > part_bytes:
            part, filled = part + 1, 0
        parts[index] = part
        filled += size
        if size > part_bytes:
            splits[index] = -(-size // part_bytes)
            part, filled = part + int(splits[index]), 0
    return parts, splits


def parts_in(plan: Artifact) -> int:
    """How many parts the plan has."""
    ends = [
        pc.max(pc.add(table["part"], table["splits"])).as_py() or 0 for table in read_parquet(plan)
    ]
    return max(ends, default=1)


def send(settings: SubstringSettings, ranges: int, parts: int, shard: Shard) -> list[Counts]:
    """Read one document shard and the plan. Write `work/shuffle`: its rows, sent to their parts."""
    document, plan_file = shard.inputs
    plan = pa.concat_tables([PLAN.empty_table(), *shard.read(plan_file)])
    first, splits = plan["part"].to_numpy(), plan["splits"].to_numpy()
    output = StreamWriter(shard, "work/shuffle", schema_of(document), parts)
    seen = 0
    for group in shard.read(document):
        for start in range(0, group.num_rows, SEND_ROWS):
            table = group.slice(start, SEND_ROWS)
            row = np.searchsorted(plan["range"].to_numpy(), _ranges_of(settings, table, ranges))
            part = first[row] + _keys(table["id"], "split") % splits[row]
            output.write(table.append_column(DESTINATION, pa.array(part.astype(np.int32))))
            seen += table.num_rows
            shard.report(seen)
    output.close()
    return [Counts(settings.name, rows_in=shard.rows_read, sent=shard.rows_sent)]


def _ranges_of(settings: SubstringSettings, table: pa.Table, ranges: int) -> NDArray[np.int64]:
    """The range of each document's key."""
    identity = table["id"]
    if settings.parts_by == "host" and "url" in table.column_names:
        host = pc.struct_field(pc.extract_regex(table["url"], HOST), "host")
        identity = pc.coalesce(pc.utf8_lower(host), identity)
    return _keys(identity, "part") >> (KEY_BITS - ranges.bit_length() + 1)


def _keys(values: pa.ChunkedArray, purpose: str) -> NDArray[np.int64]:
    """A hash in [0, 2**63) of each text."""
    encoded = values.combine_chunks().dictionary_encode()
    hashes = [seed_for("substring", purpose, value) for value in encoded.dictionary.to_pylist()]
    return np.array(hashes, np.int64)[encoded.indices.to_numpy()]


def _sums(
    number: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct numbers, ascending, and for each the sum of its sizes."""
    distinct, place = np.unique(number, return_inverse=True)
    sums = np.zeros(len(distinct), np.int64)
    np.add.at(sums, place, size)
    return distinct, sums
