"""What each source of a blend has: its documents, their tokens and their keys."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.blend.copies import CLUSTER_SIZE, NAME, UNCLAIMED, Claimants, read_claimed
from corpusmill.stages.blend.placing import Numbers
from corpusmill.stages.blend.settings import BlendSettings, BlendSource
from corpusmill.stages.quota import WEIGHED, keys_of
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.tokenizer import loaded as tokens
from numpy.typing import NDArray


def measure(config: BlendSettings, claimants: Claimants, shard: Shard) -> list[Counts]:
    """Write a row of `WEIGHED` for each document and source that claims it. If none does, write
    one row with the reason.
    """
    names, tables = read_claimed(config, claimants, shard)
    names_of = sorted(config.sources)
    group_of = {name: group for group, name in enumerate(names_of)}
    accounts = {group_of[name]: Counts(f"source:{name}") for name in names}
    accounts[UNCLAIMED] = Counts("unclaimed")
    offset = 0
    with shard.parquet("work/measure", WEIGHED) as output:
        for table in tables:
            sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
            usable = pc.is_null(table["reason"]).to_numpy() & (sizes > 0)
            claims = {
                group_of[name]: usable & wanted_by(config.sources[name], table) for name in names
            }
            claimed = np.logical_or.reduce(list(claims.values()))
            counts = _token_counts(config, table, claimed)
            keys = keys_of(table["id"].to_pylist(), config.seed)
            written = []
            for group, mask in {**claims, UNCLAIMED: ~claimed}.items():
                rows = np.flatnonzero(mask)
                own_keys = keys[rows]
                if group != UNCLAIMED:
                    rows, own_keys = rehydrated(
                        config.sources[names_of[group]], table, rows, keys, config.seed
                    )
                columns: dict[str, Any] = {
                    "row": rows + offset,
                    "group": np.full(len(rows), group, dtype=np.int16),
                    "key": own_keys,
                    "weight": counts[rows].astype(np.int64),
                    "n_tokens": counts[rows],
                    "text_bytes": sizes[rows],
                }
                account = accounts[group]
                account.rows_in += len(rows)
                if group == UNCLAIMED:
                    reasons = [
                        _reason(table["reason"][row].as_py(), sizes[row]) for row in rows.tolist()
                    ]
                    columns |= {"reason": reasons, "detail": table["detail"].take(pa.array(rows))}
                    count_reasons(account, reasons)
                else:
                    account.kept += len(rows)
                    account.tokens += int(counts[rows].sum(dtype=np.int64))
                    account.text_bytes += int(sizes[rows].sum())
                part = {
                    field.name: columns.get(field.name, pa.nulls(len(rows), field.type))
                    for field in WEIGHED
                }
                written.append(pa.table(part, schema=WEIGHED))
            output.write(
                pa.concat_tables(written).sort_by(
                    [(name, "ascending") for name in ("row", "group", "key")]
                )
            )
            offset += table.num_rows
            shard.report(offset)
    return list(accounts.values())


def rehydrated(
    source: BlendSource, table: pa.Table, rows: Numbers, keys: Numbers, seed: int
) -> tuple[Numbers, Numbers]:
    """The rows, each as often as its cluster's size says, and a key for each."""
    if not source.cluster_copies:
        return rows, keys[rows]
    repeated = np.repeat(rows, times_of(source, table)[rows])
    number = np.arange(len(repeated)) - repeated.searchsorted(repeated)
    ids = table["id"].take(pa.array(repeated)).to_pylist()
    others = keys_of((f"{one}/{n}" for one, n in zip(ids, number, strict=True)), seed, "rehydrate")
    return repeated, np.where(number == 0, keys[repeated], others)


def times_of(source: BlendSource, table: pa.Table) -> Numbers:
    """How often each row counts, by the size of its cluster in dedup."""
    if not source.cluster_copies:
        return np.ones(table.num_rows, np.int64)
    steps = sorted({1: 1, **source.cluster_copies}.items())
    sizes, copies = np.array(steps, np.int64).T
    cluster = np.maximum(pc.fill_null(table[CLUSTER_SIZE.name], 1).to_numpy(), 1)
    times: Numbers = copies[sizes.searchsorted(cluster, side="right") - 1]
    return times


def wanted_by(source: BlendSource, table: pa.Table) -> NDArray[np.bool_]:
    """Which rows have the levels, kinds and prompts of the source."""
    wanted = np.ones(table.num_rows, dtype=bool)
    for column, choice in (
        ("level", source.levels),
        ("kind", source.kinds),
        ("prompt", source.prompts),
    ):
        if choice:
            wanted &= pc.is_in(table[column], value_set=pa.array(choice)).to_numpy()
    return wanted


def _reason(read_reason: str | None, size: int) -> str:
    return read_reason or (f"{NAME}.not_selected" if size else f"{NAME}.empty")


def _token_counts(
    config: BlendSettings, table: pa.Table, wanted: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Tokens of each document: from its column, or else counted. 0 if no source wants the document.

    Raises RecipeError if a wanted document has no count and there is no tokenizer.
    """
    counts = pc.fill_null(table["n_tokens"], 0).to_numpy().astype(np.int32)
    counts[~wanted] = 0
    uncounted = wanted if config.recount else wanted & pc.is_null(table["n_tokens"]).to_numpy()
    rows = np.flatnonzero(uncounted)
    if len(rows):
        if config.tokenizer is None:
            raise RecipeError(
                f"document {table['id'][int(rows[0])]} has no n_tokens",
                "set the blend's tokenizer: weights are shares of tokens",
            )
        counts[rows] = tokens.load(config.tokenizer).count(
            table["text"].take(pa.array(rows)).to_pylist()
        )
    return counts
