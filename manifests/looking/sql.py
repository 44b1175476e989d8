"""A stage's rows as a table of DuckDB, which reads the shards and only the columns it needs."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.stores import filesystem, is_remote

if TYPE_CHECKING:
    import duckdb

SHARD = "shard"  # the column with the path of a row's file within the stage's folder


@contextmanager
def connection(memory_gib: float = 2.0) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A database in memory. memory_gib: above it, DuckDB uses temporary files."""
    import duckdb

    with duckdb.connect(config={"preserve_insertion_order": False}) as database:
        database.execute(f"SET memory_limit = '{memory_gib}GiB'")
        database.execute("SET enable_progress_bar = false")
        yield database


def make_table(
    database: "duckdb.DuckDBPyConnection",
    name: str,
    manifest: Manifest,
    where: Sequence[str] = ("documents",),
) -> list[str]:
    """Make the view `name` over a stage's shards. Returns its columns.

    where: `documents`, `excluded` or both. The view has the column `shard` too. Columns that only
    some files have are null elsewhere. Raises InputError if the stage has no such rows, or a file
    is missing.
    """
    paths = [
        artifact.path
        for part in where
        for artifact in manifest.documents(part)
        if artifact.path.endswith(".parquet") and artifact.rows
    ]
    if not paths:
        what = " and ".join(where)
        raise InputError(f"{manifest.folder} holds no rows in {what}", "choose another stage")
    for path in paths[:1]:
        if is_remote(path):
            _register(database, path)
        elif not storage.exists(path):
            raise InputError(f"{path} is missing", "run the stage again")
    begin = len(manifest.folder.rstrip("/")) + 2
    files = ", ".join(quoted(_one_file(storage.local(path))) for path in paths)
    database.execute(
        f"CREATE VIEW {name} AS SELECT * EXCLUDE filename, substr(filename, {begin}) AS {SHARD} "
        f"FROM read_parquet([{files}], union_by_name = true, filename = true, "
        "hive_partitioning = false)"
    )
    return [row[0] for row in database.execute(f"DESCRIBE {name}").fetchall()]


def _register(database: "duckdb.DuckDBPyConnection", path: str) -> None:
    """Let the database read from the store of a remote path. A store may be registered once."""
    store = filesystem(path)[0]
    protocols = (store.protocol,) if isinstance(store.protocol, str) else store.protocol
    if not any(map(database.filesystem_is_registered, protocols)):
        database.register_filesystem(store)


def _one_file(path: str) -> str:
    """A glob that matches this path alone. DuckDB takes every path for a glob."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


def quoted(text: str) -> str:
    """The text as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
