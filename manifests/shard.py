"""One shard's work: what it reads and which files it writes.

A stage's work function gets a `Shard`. It writes all files through `Shard.parquet`, `Shard.file` or
`Shard.keep`. So the receipt knows each output's rows, bytes, tokens and SHA-256 without a second
read.
"""

import hashlib
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.partials import HashingWriter
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.row_sum import RowSum
from corpusmill.manifests.schema import conform
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROW_GROUP_BYTES = 64 << 20
COMPRESSION_LEVEL = 3
READ_BUFFER = 1 << 20  # bytes of a column that are read at a time from a local file
UNIQUE = ("id", "text", "url")  # values of these columns hardly repeat: no dictionary encoding


class ParquetOutput:
    """A Parquet shard that is being written. It gathers tables into row groups.

    row_group_bytes: size of a row group in memory, about. waiting_bytes: of the row group so far,
    in memory.
    """

    def __init__(
        self,
        sink: HashingWriter,
        schema: pa.Schema,
        row_group_bytes: int,
        temporary: bool,
        level: int,
    ) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(
            pa.PythonFile(sink, mode="w"),
            schema,
            compression="lz4" if temporary else "zstd",
            compression_level=None if temporary else level,
            use_dictionary=False
            if temporary
            else [name for name in schema.names if name not in UNIQUE],
            # statistics of texts would be most of a footer
            write_statistics=schema.names[:1] if temporary else True,
        )
        self._limit = row_group_bytes
        self._waiting: list[pa.Table] = []
        self.waiting_bytes = 0
        self.rows = self.text_bytes = self.tokens = 0
        self.sent: RowSum | None = None

    def send(self, table: pa.Table) -> None:
        """Count rows that a later pass must receive. `write` writes them, in any order."""
        self.sent = self.sent or RowSum()
        self.sent.add(table)

    def write(self, table: pa.Table) -> None:
        """Append the rows of `table`, cast to the output's schema."""
        if table.num_rows == 0:
            return
        table = conform(table, self._schema)
        self.rows += table.num_rows
        if "text" in self._schema.names:
            self.text_bytes += pc.sum(pc.binary_length(table["text"])).as_py() or 0
        if "n_tokens" in self._schema.names:
            self.tokens += pc.sum(table["n_tokens"]).as_py() or 0
        self._waiting.append(table)
        self.waiting_bytes += table.nbytes
        if self.waiting_bytes >= self._limit:
            self.flush()

    def flush(self) -> None:
        """End the current row group."""
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=1 << 30)
            self._waiting, self.waiting_bytes = [], 0

    def count_kept(self, account: Counts) -> None:
        """Count what was written as kept rows of `account`."""
        account.kept += self.rows
        account.text_bytes += self.text_bytes
        account.tokens += self.tokens

    def describe(self, notes: Mapping[str, str]) -> None:
        """Write these keys and values into the footer."""
        self._writer.add_key_value_metadata(dict(notes))

    def close(self) -> None:
        self.flush()
        self._writer.close()


def shard_names(artifacts: Iterable[Artifact]) -> dict[str, Artifact]:
    """Shard name -> input file. The name is the file name without suffixes.

    If files share a name, their folders' names come in front: as many as tell all of them apart. If
    one path is given several times, a number comes at the end. Names do not depend on the order of
    the inputs. Time is linear in the number of files.
    """
    rivals: dict[str, list[tuple[tuple[str, ...], Artifact]]] = {}
    for artifact in sorted(artifacts, key=lambda item: (item.path, item.digest)):
        parts = (*artifact.path.replace("=", "-").split("/")[:-1], artifact.stem or "shard")
        rivals.setdefault(parts[-1], []).append((parts, artifact))
    named: dict[str, Artifact] = {}
    tried: dict[str, int] = {}
    for group in rivals.values():
        distinct = len({parts for parts, _ in group})
        depth = next(
            depth
            for depth in itertools.count(1)
            if len({parts[-depth:] for parts, _ in group}) == distinct
        )
        for parts, artifact in group:
            name = wanted = "-".join(parts[-depth:])
            while name in named:  # a number may be another file's own name
                tried[wanted] = tried.get(wanted, 0) + 1
                name = f"{wanted}-{tried[wanted]}"
            named[name] = artifact
    return dict(sorted(named.items()))


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
            schema = _as_dictionary(schema, part.partition("=")[0])
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


def _as_dictionary(schema: pa.Schema, name: str) -> pa.Schema:
    place = schema.get_field_index(name)
    if place < 0 or schema.field(place).type != pa.string():
        return schema
    return schema.set(place, schema.field(place).with_type(pa.dictionary(pa.int32(), pa.string())))


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with plain types in place of dictionary types."""
    for place, column in enumerate(schema):
        if pa.types.is_dictionary(column.type):
            schema = schema.set(place, column.with_type(column.type.value_type))
    return schema


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


def read_parquet(
    artifact: Artifact | str,
    columns: list[str] | None = None,
    wanted: "NDArray[np.bool_] | None" = None,
) -> Iterator[pa.Table]:
    """The row groups of a Parquet file, one table each. Columns have no dictionary types.

    wanted: for each row, whether to give it. Row groups without such a row are not read.
    Raises InputError if the file is not readable Parquet or lacks a column. If the storage failed,
    its OSError is raised: another attempt may succeed.
    """
    path = artifact if isinstance(artifact, str) else artifact.path
    with storage.open_read(path) as opened:
        source = Watched(opened)
        try:
            # Reading ahead helps with remote files. With local ones it does not, and its threads
            # would go on with a file that turns out to be damaged.
            ahead = storage.is_remote(path)
            file = pq.ParquetFile(source, pre_buffer=ahead, buffer_size=0 if ahead else READ_BUFFER)
        except (pa.ArrowInvalid, OSError) as error:
            source.check()
            raise _unreadable(path, error) from error
        missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
        if missing:
            raise InputError(
                f"{path} has no column {', '.join(missing)}", "check which stage wrote it"
            )
        last = 0
        for group in range(file.num_row_groups):
            first, last = last, last + file.metadata.row_group(group).num_rows
            if wanted is not None and not wanted[first:last].any():
                continue
            try:
                # A worker has one processor. Arrow's threads would call Python from elsewhere.
                table = file.read_row_group(group, columns=columns, use_threads=False)
            except (pa.ArrowInvalid, OSError) as error:
                source.check()
                raise InputError(
                    f"{path} is damaged ({str(error).splitlines()[0]})",
                    "run the stage that writes it again",
                ) from error
            table = table.cast(_plain(table.schema))
            yield table if wanted is None else table.filter(pa.array(wanted[first:last]))


def schema_of(artifact: Artifact | str) -> pa.Schema:
    """The Arrow schema of a Parquet shard, as `read_parquet` gives it. Raises as that does."""
    path = artifact if isinstance(artifact, str) else artifact.path
    with storage.open_read(path) as opened:
        source = Watched(opened)
        try:
            return _plain(pq.read_schema(source))
        except (pa.ArrowInvalid, OSError) as error:
            source.check()
            raise _unreadable(path, error) from error


def may_hold(artifact: Artifact | str, column: str, value: str) -> bool:
    """Whether a row of a Parquet shard may have this value in a top-level string column.

    It compares with the minimum and maximum in the file's footer. Raises as `read_parquet` does.
    """
    path = artifact if isinstance(artifact, str) else artifact.path
    with storage.open_read(path) as opened:
        source = Watched(opened)
        try:
            footer = pq.read_metadata(source)
        except (pa.ArrowInvalid, OSError) as error:
            source.check()
            raise _unreadable(path, error) from error
    places = [
        place for place in range(footer.num_columns) if footer.schema.column(place).path == column
    ]
    for group in range(footer.num_row_groups) if places else ():
        bounds = footer.row_group(group).column(places[0]).statistics
        if bounds is None or not bounds.has_min_max:
            if bounds is None or bounds.num_values > 0:
                return True
        elif bounds.min <= value <= bounds.max:
            return True
    return False


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError(
        f"{path} is not a readable Parquet file ({str(error).splitlines()[0]})",
        "run the stage that writes it again",
    )
