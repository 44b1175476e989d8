"""Parquet files as they are read: row groups, schemas and footers.

A fault of the storage is told from a damaged file (`manifests.watched`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

READ_BUFFER = 1 << 20  # bytes of a column that are read at a time from a local file


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
                f"{path} has no column {', '.join(missing)}",
                "give the output of a stage that writes it",
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
    return _plain(footer_of(artifact).schema.to_arrow_schema())


def footer_of(artifact: Artifact | str) -> pq.FileMetaData:
    """The footer of a Parquet file. Raises as `read_parquet` does."""
    path = artifact if isinstance(artifact, str) else artifact.path
    with storage.open_read(path) as opened:
        source = Watched(opened)
        try:
            return pq.read_metadata(source)
        except (pa.ArrowInvalid, OSError) as error:
            source.check()
            raise _unreadable(path, error) from error


def may_hold(artifact: Artifact | str, column: str, value: str) -> bool:
    """Whether a row of a Parquet shard may have this value in a top-level string column.

    It compares with the minimum and maximum in the file's footer. Raises as `read_parquet` does.
    """
    footer = footer_of(artifact)
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


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with plain types in place of dictionary types."""
    for place, column in enumerate(schema):
        if pa.types.is_dictionary(column.type):
            schema = schema.set(place, column.with_type(column.type.value_type))
    return schema
