"""A Parquet file while it is written: rows gathered into row groups, and counted."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.partials import HashingWriter
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.row_sum import RowSum
from corpusmill.manifests.schema import conform

ROW_GROUP_BYTES = 64 << 20
COMPRESSION_LEVEL = 3
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
        """End the file. Raises CorpusmillError if its footer does not count the rows written."""
        self.flush()
        self._writer.close()
        footer = self._writer.writer.metadata  # a collector would ask for it after a full disk, too
        if footer.num_rows != self.rows:
            raise CorpusmillError(
                f"{self.rows:,} rows were written, the file holds {footer.num_rows:,}",
                "run it again; if that does not help, report it as a bug of corpusmill",
            )


def with_dictionary(schema: pa.Schema, name: str) -> pa.Schema:
    """The schema with a dictionary type in place of text in the column `name`, if it has one."""
    place = schema.get_field_index(name)
    if place < 0 or schema.field(place).type != pa.string():
        return schema
    return schema.set(place, schema.field(place).with_type(pa.dictionary(pa.int32(), pa.string())))
