"""The pool: token shards of `pack`, of which every proxy run trains on its own mixture.

The sources are the values of the column `source`, which is the blend's. A mixture takes documents
as `blend` does: in the order of seeded keys, whole epochs first. So two mixtures differ only by the
documents that the one takes and the other does not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.parquet_files import footer_of, read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.quota import Weights, draw_each, keys_of
from corpusmill.trainer.token_shards import COLUMNS, N_TOKENS, PREFIX, ROOT
from numpy.typing import NDArray

MEASURED = pa.schema([("source", pa.string()), ("key", pa.int64()), ("weight", pa.int64())])
SOURCE = "source:"  # before the names of accounts


@dataclass(frozen=True)
class Taken:
    """How often a mixture takes a source's documents: all of them `whole` times, and those with a
    key below `threshold` once more. tokens: how many that gives.
    """

    whole: int
    threshold: int
    tokens: int


def measure(seed: int, shard: Shard) -> list[Counts]:
    """Write source, key and tokens of each row of a token shard. The accounts are by source.

    Raises RecipeError for copies of documents: with them, no cap would hold.
    """
    (file,) = shard.inputs
    accounts: dict[str, Counts] = {}
    with shard.parquet("work/measure", MEASURED) as output:
        for table in shard.read(file, ["id", "source", "n_tokens", "epoch"]):
            if (pc.max(table["epoch"]).as_py() or 0) > 0:
                raise RecipeError(
                    f"{file.path} holds copies of documents, and the pool must hold each once",
                    "leave out max_epochs and cluster_copies in the sources of the pool's blend",
                )
            keys = pa.array(keys_of(table["id"].to_pylist(), seed))
            names = pc.fill_null(table["source"], "")
            measured = pa.table([names, keys, table["n_tokens"].cast(pa.int64())], schema=MEASURED)
            output.write(measured)
            sums = measured.group_by("source").aggregate([("weight", "sum"), ("key", "count")])
            for row in sums.to_pylist():
                account = accounts.setdefault(row["source"], Counts(f"{SOURCE}{row['source']}"))
                account.rows_in += row["key_count"]
                account.kept += row["key_count"]
                account.tokens += row["weight_sum"]
    return list(accounts.values())


def takings(
    measured: Sequence[Artifact], available: Mapping[str, int], wanted: Sequence[Mapping[str, int]]
) -> list[dict[str, Taken]]:
    """What mixtures take. available: tokens of each source. wanted: tokens of each source, for each
    mixture.
    """
    names = sorted(available)
    split = [[divmod(one[name], available[name]) for one in wanted] for name in names]

    def read() -> Iterator[Weights]:
        for artifact in measured:
            for table in read_parquet(artifact):
                group = pc.index_in(table["source"], pa.array(names, pa.string()))
                yield tuple(  # type: ignore[misc]
                    column.to_numpy().astype(np.int64)
                    for column in (group, table["key"], table["weight"])
                )

    draws = draw_each(read, {group: [rest for _, rest in one] for group, one in enumerate(split)})
    return [
        {
            name: Taken(
                split[group][number][0],
                draws[group][number].threshold,
                split[group][number][0] * available[name] + draws[group][number].weight,
            )
            for group, name in enumerate(names)
        }
        for number in range(len(wanted))
    ]


def write_mixture(
    shard: Shard,
    files: Sequence[Artifact],
    measured: Sequence[Artifact],
    taken: Mapping[str, tuple[int, int]],
    folder: Path,
) -> tuple[list[Path], int]:
    """Write the mixture as local token shards, one for each of the pool's that gives something.
    Row groups of which no row is taken are not read.

    measured: of each of `files`. taken: source -> `Taken.whole` and `Taken.threshold`. Returns the
    shards, and how many rows of the pool are in the mixture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths, rows_taken = [], 0
    for number, (file, weighed) in enumerate(zip(files, measured, strict=True)):
        known = pa.concat_tables(list(read_parquet(weighed)) or [MEASURED.empty_table()])
        times = _times(known, taken)
        is_taken = times > 0
        shard.count_rows(file, int((~is_taken).sum()))
        if not is_taken.any():
            continue
        times = times[is_taken]
        path, offset = folder / f"{number:06d}.parquet", 0
        writer: pq.ParquetWriter | None = None
        tokens = 0
        for table in read_parquet(file, [*COLUMNS, ROOT], is_taken):
            here = times[offset : offset + table.num_rows]
            offset += table.num_rows
            shard.count_rows(file, table.num_rows)
            rows_taken += table.num_rows
            rows = table.take(pa.array(np.repeat(np.arange(len(here)), here)))
            writer = writer or pq.ParquetWriter(path, rows.schema, compression="lz4")
            writer.write_table(rows, row_group_size=1 << 30)
            tokens += pc.sum(pc.list_value_length(rows["tokens"])).as_py()
        if writer is not None:
            writer.add_key_value_metadata({**_facts(file), N_TOKENS: str(tokens)})
            writer.close()
            paths.append(path)
    return paths, rows_taken


def _times(measured: pa.Table, taken: Mapping[str, tuple[int, int]]) -> NDArray[np.int64]:
    """How often each row is taken."""
    names = sorted(taken)
    group = pc.index_in(measured["source"], pa.array(names, pa.string())).to_numpy()
    whole = np.array([taken[name][0] for name in names], np.int64)
    threshold = np.array([taken[name][1] for name in names], np.int64)
    times: NDArray[np.int64] = whole[group] + (measured["key"].to_numpy() < threshold[group])
    return times


def _facts(file: Artifact) -> dict[bytes, bytes]:
    """What the footer of a token shard says, such as its tokenizer."""
    footer = footer_of(file).metadata or {}
    return {key: value for key, value in footer.items() if key.startswith(PREFIX)}
