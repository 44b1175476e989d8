"""A run in a notebook: its stages, and their documents as Arrow, Polars or pandas."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, InputError, nearest
from corpusmill.manifests.looking.find import finished_stages
from corpusmill.manifests.looking.inspect import StageRow, stage_rows
from corpusmill.manifests.looking.sample import sample
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import read_parquet, schema_of

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def open_run(root: str | os.PathLike[str]) -> "OpenRun":
    """Open the output of a run, or one stage's folder.

    Raises InputError if it holds no finished stage.
    """
    root = os.fspath(root)
    return OpenRun(root, {storage.name_of(item.folder): item for item in finished_stages(root)})


@dataclass(frozen=True)
class OpenRun:
    """The finished stages of a run, by the names of their folders, parents first."""

    root: str
    manifests: dict[str, Manifest]

    @property
    def stages(self) -> list[str]:
        return list(self.manifests)

    def stage(self, name: str) -> "OpenStage":
        """A stage by the name of its folder. Raises InputError if there is none."""
        if name in self.manifests:
            return OpenStage(self.manifests[name])
        for folder, manifest in self.manifests.items():
            if name in manifest.stages:
                raise InputError(
                    f"{name} ran as one task with {folder}, and wrote no folder",
                    f"open {folder!r}, or set `keep_documents: true` at {name}",
                )
        raise InputError(f"{self.root} has no stage {name!r}", nearest(name, self.manifests))

    def funnel(self) -> list[StageRow]:
        """What each stage read, kept and dropped, as `corpusmill inspect` shows it."""
        return [row for item in self.manifests.values() for row in stage_rows(item, below=True)]

    def __repr__(self) -> str:
        return f"<run {self.root}: {', '.join(self.stages)}>"


@dataclass(frozen=True)
class OpenStage:
    """One finished stage."""

    manifest: Manifest

    @property
    def settings(self) -> dict[str, Any]:
        """step.key -> value, as the recipe gave them."""
        return self.manifest.settings

    def documents(
        self, columns: Sequence[str] | None = None, *, excluded: bool = False
    ) -> "Documents":
        """The documents that the stage kept, or those that it dropped. Nothing is read yet.

        columns: names to read; None means all.
        """
        part = "excluded" if excluded else "documents"
        return Documents(self.manifest, None if columns is None else tuple(columns), part)

    def sample(
        self, where: str = "", count: int = 20, seed: int = 0, *, excluded: bool = False
    ) -> list[dict[str, Any]]:
        """Documents that a condition in SQL holds for, drawn by a seed."""
        parts = ("excluded",) if excluded else ("documents",)
        return sample(self.manifest.folder, where, count, seed, parts)

    def __repr__(self) -> str:
        return f"<stage {storage.name_of(self.manifest.folder)}: {self.documents()!r}>"


@dataclass(frozen=True)
class Documents:
    """A stage's documents. Iterate over it for Arrow tables of bounded size, or convert it whole.

    It is an Arrow stream too (`__arrow_c_stream__`): Polars, DuckDB and others take it as it is.
    """

    manifest: Manifest
    columns: tuple[str, ...] | None = None
    part: str = "documents"

    def __iter__(self) -> Iterator[pa.Table]:
        """One table for each row group. Raises InputError if a column is missing."""
        for artifact in self.manifest.documents(self.part):
            if artifact.path.endswith(".parquet"):
                columns = None if self.columns is None else list(self.columns)
                yield from read_parquet(artifact, columns)

    def __len__(self) -> int:
        return sum(artifact.rows for artifact in self.manifest.documents(self.part))

    def arrow(self) -> pa.Table:
        """All in memory, as one Arrow table."""
        return pa.concat_tables(list(self) or [self._no_rows()], promote_options="permissive")

    def pandas(self) -> "pd.DataFrame":
        """All in memory, as pandas."""
        _need("pandas")
        return self.arrow().to_pandas()

    def polars(self) -> "pl.DataFrame":
        """All in memory, as Polars."""
        _need("polars")
        import polars

        found = polars.from_arrow(self.arrow())
        assert isinstance(found, polars.DataFrame)
        return found

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        first = next(iter(self), None)
        if first is None:
            first = self._no_rows()
        batches = (batch for table in self for batch in table.cast(first.schema).to_batches())
        reader = pa.RecordBatchReader.from_batches(first.schema, batches)
        return reader.__arrow_c_stream__(requested_schema)

    def _no_rows(self) -> pa.Table:
        """The columns without a row, as far as a file has them."""
        for artifact in self.manifest.documents(self.part):
            if artifact.path.endswith(".parquet"):
                table = schema_of(artifact).empty_table()
                return table if self.columns is None else table.select(list(self.columns))
        return pa.table({})

    def __repr__(self) -> str:
        return f"<{len(self):,} documents>"


def _need(package: str) -> None:
    import importlib.util

    if importlib.util.find_spec(package) is None:
        raise CorpusmillError(f"{package} is not installed", f"pip install {package}")
