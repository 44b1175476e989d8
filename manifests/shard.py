"""One shard's work: what it reads and which files it writes.

A stage's work function gets a `Shard`. It writes all files through `Shard.parquet`, `Shard.file` or
`Shard.keep`. So the receipt knows each output's rows, bytes, tokens and SHA-256 without a second
read.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.parquet_output import (
    COMPRESSION_LEVEL,
    ROW_GROUP_BYTES,
    ParquetOutput,
    with_dictionary,
)
from corpusmill.manifests.partials import HashingWriter
from corpusmill.manifests.row_sum import RowSum
from corpusmill.manifests.storage import Artifact


@dataclass
class Shard:
    """One shard's work: its inputs, its outputs and its counts.

    name: unique within the pass.
    inputs: the files to read.
    folder: the stage's output folder.
    plan_hash: of this shard's plan.
    shard_settings: settings of this shard alone. Empty if there are none.
    rows_of: path -> rows read, for each input that is read row by row.
    received: path -> rows read, for each file of an earlier pass.
    earlier: attempts whose unfinished work was used, as in `Receipt`.
    """

    name: str
    inputs: tuple[Artifact, ...]
    folder: str
    plan_hash: str = ""
    shard_settings: str = ""
    outputs: list[Artifact] = field(default_factory=list)
    rows_of: dict[str, int] = field(default_factory=dict)
    received: dict[str, RowSum] = field(default_factory=dict)
    earlier: list[tuple[str, float, float]] = field(default_factory=list)
    _reported: float = field(default_factory=time.monotonic)
    _progress: dict[str, int | str | None] = field(
        default_factory=lambda: {"done": 0, "total": None, "unit": "", "read": 0}
    )

    def read(self, artifact: Artifact, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The row groups of an input, as `read_parquet` gives them. Their rows are counted."""
        return self.counted(artifact, read_parquet(artifact, columns))

    def counted(self, artifact: Artifact, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The tables that a reader made from an input. Their rows are counted as read."""
        self.count_rows(artifact, 0)
        for table in tables:
            self.count_rows(artifact, table.num_rows)
            yield table

    def count_rows(self, artifact: Artifact, rows: int) -> None:
        """Count rows of an input that were read by other means."""
        self.rows_of[artifact.path] = self.rows_of.get(artifact.path, 0) + rows

    @property
    def rows_read(self) -> int:
        """Rows read so far from the stage's inputs, which lie outside its folder."""
        within = self.folder.rstrip("/") + "/"
        return sum(rows for path, rows in self.rows_of.items() if not path.startswith(within))

    def receive(self, artifact: Artifact, table: pa.Table) -> None:
        """Count rows of a file that an earlier pass sent. Call it before any work on them."""
        self.received.setdefault(artifact.path, RowSum()).add(table)

    @property
    def rows_received(self) -> int:
        return sum(found.rows for found in self.received.values())

    @property
    def rows_sent(self) -> int:
        return sum(output.rows for output in self.outputs if output.rows_digest is not None)

    @contextmanager
    def parquet(
        self,
        where: str,
        schema: pa.Schema,
        *,
        name: str | None = None,
        row_group_bytes: int = ROW_GROUP_BYTES,
        temporary: bool = False,
        level: int = COMPRESSION_LEVEL,
    ) -> Iterator[ParquetOutput]:
        """Write `<folder>/<where>/<name or shard name>.parquet`.

        The file appears when the block ends without an error. temporary: only a later pass of the
        stage reads it. Such a file is written for speed, not for size. It has statistics of the
        first column only. It is not synced: after a power cut, the receipt's digest tells whether
        it is whole. level: of Zstandard, for all other files.

        A `name=value` part of `where` is a column for readers of the whole folder, such as pandas.
        They give it a dictionary type, so the column in the file has that too.
        """
        for part in filter(lambda part: "=" in part, where.split("/")):
            schema = with_dictionary(schema, part.partition("=")[0])
        path = storage.join(self.folder, where, f"{name or self.name}.parquet")
        with storage.atomic_writer(path, temporary) as sink:
            output = ParquetOutput(sink, schema, row_group_bytes, temporary, level)
            yield output
            output.close()
        rows, digest = output.rows, None
        if output.sent is not None:  # counts of `send`, not of `write`: the writer may lose rows
            rows, digest = output.sent.rows, output.sent.digest
        written = (sink.digest, sink.size, rows, output.text_bytes, output.tokens, digest)
        self.outputs.append(Artifact(path, *written))

    @contextmanager
    def stream(self, where: str, name: str) -> Iterator[HashingWriter]:
        """Write `<folder>/<where>/<name>` piece by piece. It appears when the block ends without an
        error.
        """
        path = storage.join(self.folder, where, name)
        with storage.atomic_writer(path) as sink:
            yield sink
        self.outputs.append(Artifact(path, sink.digest, sink.size))

    def file(self, where: str, name: str, data: bytes) -> Artifact:
        """Write `data` as `<folder>/<where>/<name>`."""
        artifact = storage.write_bytes(storage.join(self.folder, where, name), data)
        self.outputs.append(artifact)
        return artifact

    def keep(self, path: Path, where: str) -> Artifact:
        """Copy a finished local file to `<folder>/<where>/<its name>` (a model, a checkpoint)."""
        artifact = storage.copy(str(path), storage.join(self.folder, where, path.name))
        self.outputs.append(artifact)
        return artifact

    def report(self, done: int, total: int | None = None, unit: str = "documents") -> None:
        """Report how far this shard is. Only the display uses it."""
        self._progress.update(done=done, total=total, unit=unit)
        self._write_progress()

    def report_read(self, size: int) -> None:
        """Report that `size` more bytes have been read."""
        self._progress["read"] = int(self._progress["read"] or 0) + size
        self._write_progress()

    def _write_progress(self) -> None:
        """Write the progress file, at most once a second. A shard that ends sooner writes none."""
        now = time.monotonic()
        if now - self._reported < 1.0:
            return
        self._reported = now
        os.makedirs(os.path.dirname(self.progress_path), exist_ok=True)
        with open(self.progress_path, "w", encoding="utf-8") as file:
            json.dump({"shard": self.name, **self._progress}, file)

    @property
    def progress_path(self) -> str:
        return os.path.join(progress_folder(self.folder), f"{self.name}.json")

    @property
    def scratch(self) -> str:
        """A local folder for this shard's unfinished work.

        Its name holds the plan hash, so that work of another plan is never used. If the output is
        remote, it lies in this machine's temporary folder. Then only this machine can resume.
        """
        name = f"{self.name}-{self.plan_hash[:12]}"
        if storage.is_remote(self.folder):
            return f"{_temporary(self.folder)}-{name}"
        return storage.join(storage.local(self.folder), "work", "scratch", name)


def progress_folder(folder: str) -> str:
    """The local folder of the progress files of a stage's shards.

    A remote stage folder has one too. It then holds the progress of this machine's workers only.
    """
    if storage.is_remote(folder):
        return f"{_temporary(folder)}-progress"
    return os.path.join(storage.local(folder), "work", "progress")


def _temporary(folder: str) -> str:
    """The prefix of the names of a remote stage folder's local files, unique for the folder."""
    digest = hashlib.sha256(folder.rstrip("/").encode()).hexdigest()[:16]
    return os.path.join(tempfile.gettempdir(), f"corpusmill-{digest}")
