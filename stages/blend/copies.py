"""The copies of the blend. Hashes choose each copy's output shard and its place in the shard.

The hashes depend on id, source and copy number alone. So the result does not depend on how the
input was cut into files.
"""

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import DOCUMENT, EXCLUSION, extended, seed_for
from corpusmill.manifests.shard import Shard
from corpusmill.stages.blend.plan import PLAN
from corpusmill.stages.blend.settings import BlendSettings
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED
from corpusmill.stages.quota import WEIGHED
from corpusmill.stages.readers.documents import count_reasons, read_documents
from corpusmill.stages.shuffle.streams import DESTINATION, StreamWriter, read_streams
from numpy.typing import NDArray

BLEND_SOURCE = pa.field("blend_source", pa.string())
EPOCH = pa.field("epoch", pa.int16())  # tells the copies of a document apart
BLENDED = extended(BLEND_SOURCE, EPOCH)
COPIES = extended(pa.field("order", pa.int64()), *EXCLUSION, of=BLENDED)
NAME = "blend"
COPIES_AT_ONCE = 4096
UNCLAIMED = -1  # the group of documents that no source wants

# The sets of sources that read the same files. A shard's name begins with the number of its set.
Claimants = tuple[tuple[str, ...], ...]


def read_claimed(
    config: BlendSettings, claimants: Claimants, shard: Shard
) -> tuple[tuple[str, ...], Iterator[pa.Table]]:
    """The sources that read the shard's file, and its rows."""
    names = claimants[int(shard.name.split("-", 1)[0])]
    tables = read_documents(shard.inputs[0], config.sources[names[0]].reader, NAME)
    return names, shard.counted(shard.inputs[0], tables)


def send_copies(config: BlendSettings, claimants: Claimants, shard: Shard) -> list[Counts]:
    """Send every copy, and every excluded document once, to the output shard of its hash."""
    _, tables = read_claimed(config, claimants, shard)
    plan = json.loads(storage.read_bytes(shard.inputs[2].path))
    names = sorted(config.sources)
    label = pa.array([*names, None], pa.string())  # group -1 is the last place: no source
    whole = np.array([*(plan["sources"][name]["whole_epochs"] for name in names), 0])
    threshold = np.array(
        [*(int(plan["sources"][name]["threshold"], 16) for name in names), 0], dtype=np.uint64
    )
    weighed = pa.concat_tables([WEIGHED.empty_table(), *shard.read(shard.inputs[1])])
    row_of = weighed["row"].to_numpy()
    account = Counts(NAME)
    output = StreamWriter(shard, "work/shuffle", COPIES, plan["shards"])
    offset = 0
    for table in tables:
        first, end = row_of.searchsorted([offset, offset + table.num_rows])
        claims = weighed.slice(first, end - first)
        group = claims["group"].to_numpy()
        copies = whole[group] + (claims["key"].to_numpy().astype(np.uint64) < threshold[group])
        rows = np.repeat(np.arange(len(copies)), np.maximum(copies, 1))
        copy = np.arange(len(rows)) - rows.searchsorted(rows)  # number of the copy of its row
        drawn = copies[rows] > 0
        for start in range(0, len(rows), COPIES_AT_ONCE):
            some = slice(start, start + COPIES_AT_ONCE)
            taken = claims.take(pa.array(rows[some]))
            documents = table.select(DOCUMENT.names).take(
                pa.array(taken["row"].to_numpy() - offset)
            )
            source = label.take(pa.array(group[rows[some]] % len(label)))
            copied = _copies(
                documents, taken, source, copy[some], pa.array(~drawn[some]), config.seed
            )
            target = (copied["order"].to_numpy() % plan["shards"]).astype(np.int32)
            output.write(copied.append_column(DESTINATION, pa.array(target)))
        account.repeats += len(rows) - len(np.unique(claims["row"].to_numpy()[rows]))
        offset += table.num_rows
        shard.report(offset)
    output.close()
    account.rows_in, account.sent = shard.rows_read, shard.rows_sent
    return [account]


def _copies(
    documents: pa.Table,
    claims: pa.Table,
    source: pa.Array,
    copy: NDArray[np.int64],
    dropped: pa.Array,
    seed: int,
) -> pa.Table:
    """Rows of `COPIES`. A copy has its epoch and its place in the order. A dropped document has
    its reason.
    """
    identity = zip(source.to_pylist(), documents["id"].to_pylist(), copy.tolist(), strict=True)
    order = np.fromiter(
        (seed_for("order", seed, str(name), *rest) for name, *rest in identity), dtype=np.int64
    )
    wanted_by = pc.if_else(dropped, pc.binary_join_element_wise("source=", source, ""), None)
    columns = {name: documents[name] for name in DOCUMENT.names} | {
        "text": pc.if_else(dropped, None, documents["text"]),
        "source": pc.coalesce(documents["source"], source),
        "n_tokens": pc.if_else(pc.is_null(source), documents["n_tokens"], claims["n_tokens"]),
        "blend_source": source,
        "epoch": pc.if_else(dropped, None, pa.array(copy.astype(np.int16))),
        "order": order,
        "stage": pc.if_else(dropped, pa.scalar(NAME), None),
        "reason": pc.if_else(
            dropped, pc.coalesce(claims["reason"], pa.scalar(f"{NAME}.over_quota")), None
        ),
        "detail": pc.coalesce(claims["detail"], wanted_by),
    }
    return pa.table([columns[name] for name in COPIES.names], schema=COPIES)


def merge(shard: Shard) -> list[Counts]:
    """Write one output shard: what was sent to it, in the order of the hash."""
    account = Counts(NAME)
    if shard.name == "plan":
        shard.file("", PLAN, storage.read_bytes(shard.inputs[0].path))
        return [account]
    parts = read_streams(shard, int(shard.name), shard.inputs)
    # A shard may hold more than 2 GB of text. Rows of one id still need a fixed order.
    wide = COPIES.set(COPIES.get_field_index("text"), pa.field("text", pa.large_string()))
    table = pa.concat_tables([wide.empty_table(), *(part.cast(wide) for part in parts)])
    table = table.combine_chunks()
    keys = ("order", "blend_source", "id", "epoch", "text", "url")
    seen: set[tuple[str, int]] = set()
    order = pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys])
    with (
        shard.parquet(DOCUMENTS, BLENDED) as kept,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=BLENDED)) as excluded,
    ):
        for start in range(0, len(order), 1024):
            rows = table.take(order.slice(start, 1024))
            rows = _with_distinct_epochs(rows, seen)
            dropped = rows.filter(pc.is_valid(rows["reason"]))
            kept.write(rows.filter(pc.is_null(rows["reason"])))
            excluded.write(dropped)
            count_reasons(account, dropped["reason"].to_pylist())
    account.received, account.kept = shard.rows_received, kept.rows
    account.text_bytes, account.tokens = kept.text_bytes, kept.tokens
    return [account]


def _with_distinct_epochs(rows: pa.Table, seen: set[tuple[str, int]]) -> pa.Table:
    """Give rows of one id different epochs, even if several sources or files hold the id."""
    epochs: list[int | None] = []
    for identity, epoch in zip(rows["id"].to_pylist(), rows["epoch"].to_pylist(), strict=True):
        while epoch is not None and (identity, epoch) in seen:
            epoch += 1
        if epoch is not None:
            seen.add((identity, epoch))
        epochs.append(epoch)
    return with_column(rows, EPOCH, pa.array(epochs, EPOCH.type))
