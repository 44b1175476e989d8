"""The copies of the blend: each is sent to its output shard, and put in order there.

Where a copy goes depends on id, source and copy number alone (`placing`). So the result does not
depend on how the input was cut into files.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import (
    DOCUMENT,
    EXCLUSION,
    IMAGE,
    LICENCE,
    LINKED_PARENT,
    conform,
    extended,
)
from corpusmill.manifests.shard import Shard
from corpusmill.stages.blend.order import by_deficit
from corpusmill.stages.blend.placing import Numbers, Placing
from corpusmill.stages.blend.plan import PLAN
from corpusmill.stages.blend.settings import BlendSettings
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED
from corpusmill.stages.quota import WEIGHED
from corpusmill.stages.readers.documents import count_reasons, read_documents
from corpusmill.stages.shuffle.streams import DESTINATION, StreamWriter, read_streams

BLEND_SOURCE = pa.field("blend_source", pa.string())
EPOCH = pa.field("epoch", pa.int16())  # tells the copies of a document apart
PHASE = pa.field("phase", pa.int16())  # from 0
CLUSTER_SIZE = pa.field("cluster_size", pa.int32())  # of dedup
BLENDED = extended(LINKED_PARENT, LICENCE, BLEND_SOURCE, EPOCH, PHASE)
COPIES = extended(pa.field("order", pa.int64()), *EXCLUSION, of=BLENDED)
NAME = "blend"
_CARRIED = [*DOCUMENT.names, LINKED_PARENT.name, LICENCE.name]
COPIES_AT_ONCE = 4096
UNCLAIMED = -1  # the group of documents that no source wants

# The sets of sources that read the same files. A shard's name begins with the number of its set.
Claimants = tuple[tuple[str, ...], ...]


def read_claimed(
    config: BlendSettings, claimants: Claimants, shard: Shard
) -> tuple[tuple[str, ...], Iterator[pa.Table]]:
    """The sources that read the shard's file, and its rows."""
    names = claimants[int(shard.name.split("-", 1)[0])]
    reader = config.sources[names[0]].reader
    if shard.inputs[0].name.endswith(".parquet") and IMAGE.name in schema_of(shard.inputs[0]).names:
        raise InputError(
            f"{shard.inputs[0].path} has images, and blend keeps none",
            "give the output of render to pack itself, with pack.images",
        )
    tables = read_documents(shard.inputs[0], reader, NAME, (CLUSTER_SIZE, LINKED_PARENT, LICENCE))
    return names, shard.counted(shard.inputs[0], tables)


def send_copies(config: BlendSettings, claimants: Claimants, shard: Shard) -> list[Counts]:
    """Send every copy, and every excluded document once, to the output shard of its hash."""
    _, tables = read_claimed(config, claimants, shard)
    placing = Placing(json.loads(storage.read_bytes(shard.inputs[2].path)))
    label = pa.array([*placing.names, None], pa.string())  # group -1 is the last place: no source
    weighed = pa.concat_tables([WEIGHED.empty_table(), *shard.read(shard.inputs[1])])
    row_of = weighed["row"].to_numpy()
    account = Counts(NAME)
    shards = int(placing.first_shards[-1])
    output = StreamWriter(shard, "work/shuffle", COPIES, shards)
    offset = 0
    for table in tables:
        first, end = row_of.searchsorted([offset, offset + table.num_rows])
        claims = weighed.slice(first, end - first)
        group, keys = claims["group"].to_numpy().astype(np.int64), claims["key"].to_numpy()
        copies = np.where(group == UNCLAIMED, 0, placing.ends.copies(group, keys))
        rows = np.repeat(np.arange(len(copies)), _listed(claims, copies))
        copy = np.arange(len(rows)) - rows.searchsorted(rows)  # number of the copy of its row
        drawn = copies[rows] > 0
        phase, target, order = placing.place(group[rows], keys[rows], copy)
        # What nobody takes goes anywhere, evenly.
        target = np.where(drawn, target, order % shards).astype(np.int32)
        for start in range(0, len(rows), COPIES_AT_ONCE):
            some = slice(start, start + COPIES_AT_ONCE)
            taken = claims.take(pa.array(rows[some]))
            documents = table.select(_CARRIED).take(pa.array(taken["row"].to_numpy() - offset))
            source = label.take(pa.array(group[rows[some]] % len(label)))
            copied = _copies(documents, taken, source, pa.array(~drawn[some]))
            copied = with_column(copied, "order", pa.array(order[some]))
            for field, values in ((EPOCH, copy), (PHASE, phase)):
                numbers = pa.array(values[some], mask=~drawn[some])
                copied = with_column(copied, field, numbers)
            copied = copied.select(COPIES.names)
            output.write(copied.append_column(DESTINATION, pa.array(target[some])))
        account.repeats += len(rows) - len(np.unique(claims["row"].to_numpy()[rows]))
        offset += table.num_rows
        shard.report(offset)
    output.close()
    account.rows_in, account.sent = shard.rows_read, shard.rows_sent
    return [account]


def _listed(claims: pa.Table, copies: Numbers) -> Numbers:
    """How many rows each claim gives: its copies, or one that says why there is none.

    A document may have several claims of one source (`BlendSource.copies`). If none of them gives a
    copy, the first says why.
    """
    rows, groups = claims["row"].to_numpy(), claims["group"].to_numpy()
    same = (rows[1:] == rows[:-1]) & (groups[1:] == groups[:-1])
    first = np.concatenate([[True], ~same])[: len(rows)]
    claim = np.cumsum(first) - 1
    drawn = np.bincount(claim, weights=copies, minlength=len(rows))[claim] > 0
    return np.where(drawn, copies, first.astype(np.int64))


def _copies(documents: pa.Table, claims: pa.Table, source: pa.Array, dropped: pa.Array) -> pa.Table:
    """The copies' own columns. A dropped document has its reason, and no text."""
    wanted_by = pc.if_else(dropped, pc.binary_join_element_wise("source=", source, ""), None)
    columns = {name: documents[name] for name in _CARRIED} | {
        "text": pc.if_else(dropped, None, documents["text"]),
        "source": pc.coalesce(documents["source"], source),
        "n_tokens": pc.if_else(pc.is_null(source), documents["n_tokens"], claims["n_tokens"]),
        "blend_source": source,
        "stage": pc.if_else(dropped, pa.scalar(NAME), None),
        "reason": pc.if_else(
            dropped, pc.coalesce(claims["reason"], pa.scalar(f"{NAME}.over_quota")), None
        ),
        "detail": pc.coalesce(claims["detail"], wanted_by),
    }
    return conform(pa.table(columns), COPIES)


def merge(shard: Shard) -> list[Counts]:
    """Write one output shard: what was sent to it. The first input is the plan."""
    account = Counts(NAME)
    plan = storage.read_bytes(shard.inputs[0].path)
    if shard.name == "plan":
        shard.file("", PLAN, plan)
        return [account]
    number = int(shard.name.rsplit("-", 1)[-1])
    parts = read_streams(shard, number, shard.inputs[1:])
    # A shard may hold more than 2 GB of text. Rows of one id still need a fixed order.
    wide = COPIES.set(COPIES.get_field_index("text"), pa.field("text", pa.large_string()))
    table = pa.concat_tables([wide.empty_table(), *(part.cast(wide) for part in parts)])
    table = table.combine_chunks()
    keys = ("order", "blend_source", "id", "epoch", "text", "url")
    seen: set[tuple[str, int]] = set()
    order = pc.sort_indices(table, sort_keys=[(key, "ascending") for key in keys]).to_numpy()
    dropped = pc.is_valid(table["reason"]).to_numpy()[order]
    order = np.concatenate(
        [order[dropped], _mixed(table, order[~dropped], json.loads(plan), number)]
    )
    with (
        shard.parquet(DOCUMENTS, BLENDED) as kept,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=BLENDED)) as excluded,
    ):
        for start in range(0, len(order), 1024):
            rows = table.take(pa.array(order[start : start + 1024]))
            rows = _with_distinct_epochs(rows, seen)
            gone = rows.filter(pc.is_valid(rows["reason"]))
            kept.write(rows.filter(pc.is_null(rows["reason"])))
            excluded.write(gone)
            count_reasons(account, gone["reason"].to_pylist())
    account.received, account.kept = shard.rows_received, kept.rows
    account.text_bytes, account.tokens = kept.text_bytes, kept.tokens
    return [account]


def _mixed(table: pa.Table, rows: Numbers, plan: Mapping[str, Any], number: int) -> Numbers:
    """These rows of a shard, in the order of their deficits. number: of the shard."""
    names = sorted(plan["sources"])
    for phase in plan["phases"]:
        if number < phase["shards"]:
            break
        number -= phase["shards"]
    sources = [phase["sources"][name] for name in names]
    before = [one["tokens_before_cuts"][number - 1] if number else 0 for one in sources]
    found = table.select(["blend_source", "n_tokens"]).take(pa.array(rows))
    group = pc.index_in(found["blend_source"], pa.array(names, pa.string())).to_numpy()
    sizes = found["n_tokens"].to_numpy().astype(np.int64)
    return rows[by_deficit(group, sizes, [one["share"] for one in sources], before)]


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
