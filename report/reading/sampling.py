"""Rows of a stage, as many as a page can show: a few row groups, spread over all shards.

A stage may hold billions of rows in thousands of shards. The page reads at most `SHARDS` shards of
each kind (`TEXT_SHARDS` for texts, whose row groups are large) and about `rows` rows of them, the
same ones in each run. So the page of a large run takes no longer than that of a small one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.storage import Artifact

SHARDS, TEXT_SHARDS = 24, 6
NUMBERS = 20_000  # rows of narrow columns
TEXTS = 600  # rows with their text


@dataclass(frozen=True)
class Sample:
    """Some rows of a stage, and how many there are in all."""

    table: pa.Table
    rows: int

    @property
    def is_whole(self) -> bool:
        return self.table.num_rows == self.rows

    @property
    def weight(self) -> float:
        """How many rows of the stage stand for one of the sample."""
        return self.rows / self.table.num_rows if self.table.num_rows else 1.0

    def column(self, name: str) -> list[Any]:
        """The values of a column; empty if the sample lacks it."""
        return self.table[name].to_pylist() if name in self.table.column_names else []


def sample(
    artifacts: Iterable[Artifact],
    columns: Sequence[str] | None = None,
    rows: int = NUMBERS,
    shards: int = SHARDS,
) -> Sample:
    """About `rows` rows of the Parquet files among `artifacts`.

    columns: the columns to read, as far as a file has them; None means all columns but `text` and
    nested ones. A file without any of them gives no rows. Raises InputError for a damaged file.
    """
    files = [item for item in artifacts if item.path.endswith(".parquet") and item.rows]
    chosen = _spread(files, shards)
    tables: list[pa.Table] = []
    for number, artifact in enumerate(chosen):
        read = sum(table.num_rows for table in tables)
        wanted = max(1, (rows - read) // (len(chosen) - number))
        names = _columns(artifact, columns)
        for table in read_parquet(artifact, names) if names else ():
            tables.append(table.slice(0, wanted))
            wanted -= table.num_rows
            if wanted <= 0:
                break
    whole = sum(item.rows for item in files)
    if not tables:
        return Sample(pa.table({}), whole)
    return Sample(pa.concat_tables(tables, promote_options="permissive"), whole)


def _columns(artifact: Artifact, columns: Sequence[str] | None) -> list[str]:
    schema = schema_of(artifact)
    if columns is not None:
        return [name for name in columns if name in schema.names]
    return [
        field.name
        for field in schema
        if field.name != "text" and not pa.types.is_nested(field.type)
    ]


def _spread(files: list[Artifact], most: int) -> list[Artifact]:
    """At most `most` files, evenly over the list."""
    if len(files) <= most:
        return files
    return [files[number * len(files) // most] for number in range(most)]
