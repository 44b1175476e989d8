"""Parquet: one document a row. Only the wanted columns are read, batch by batch."""

import datetime
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.record import (
    BATCH_ROWS,
    DEFAULTS,
    TOO_LARGE,
    OwnIds,
    Place,
    ReaderSettings,
    Record,
    source_of,
)


def read_parquet_records(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """Raises InputError if the file is no Parquet, lacks the text column (or a named id or URL
    column), or has no text in it.

    A damaged row group costs one row for each of its records.
    """
    path = artifact.path
    with storage.open_read(path) as opened:
        source = Watched(opened)
        try:
            file = pq.ParquetFile(source)
        except (pa.ArrowInvalid, OSError) as error:
            source.check()
            what = str(error).splitlines()[0]
            raise InputError(
                f"{path} is not a readable Parquet file ({what})", "make it again"
            ) from error
        columns = _wanted_columns(path, file.schema_arrow, settings)
        own_ids = OwnIds(path, settings)
        first_row = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            done = 0
            try:
                for batch in file.iter_batches(
                    BATCH_ROWS, row_groups=[group], columns=sorted(set(columns.values()))
                ):
                    yield from _records(path, batch, first_row + done, columns, settings, own_ids)
                    done += batch.num_rows
            except (pa.ArrowInvalid, OSError) as error:
                source.check()
                what = f"row group {group} is damaged ({str(error).splitlines()[0]})"
                for row in range(first_row + done, first_row + rows):
                    yield _blank(path, settings, row).failed("error_read.corrupt", what)
            first_row += rows


def _wanted_columns(path: str, schema: pa.Schema, settings: ReaderSettings) -> dict[str, str]:
    """Which of the file's columns stands for text, id, URL, date and language."""
    columns = {}
    for role in ("text", "id", "url"):
        name = getattr(settings, f"{role}_column")
        if name in schema.names:
            columns[role] = name
        elif role == "text" or name != DEFAULTS[f"{role}_column"]:
            raise InputError(
                f"{path} has no column {name!r}; it has {', '.join(schema.names)}",
                f"set the reader's `{role}_column` to the right one",
            )
    for role in ("date", "language"):
        found = next(
            (name for name in getattr(settings, f"{role}_columns") if name in schema.names), None
        )
        if found:
            columns[role] = found
    kind = schema.field(columns["text"]).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    ):
        raise InputError(
            f"{path}: column {columns['text']!r} is {kind}, not text",
            "set the reader's `text_column` to one that holds text",
        )
    return columns


def _records(
    path: str,
    batch: pa.RecordBatch,
    first_row: int,
    columns: dict[str, str],
    settings: ReaderSettings,
    own_ids: OwnIds,
) -> Iterator[Record]:
    values = {role: batch.column(name) for role, name in columns.items()}
    for index in range(batch.num_rows):
        record = _blank(path, settings, first_row + index)
        try:
            row = {role: column[index].as_py() for role, column in values.items()}
        except UnicodeDecodeError as error:
            yield record.failed(
                "error_read.utf8", f"a column is not UTF-8 ({error.reason} at byte {error.start})"
            )
            continue
        text = row["text"] or ""
        if len(text) > settings.max_payload_bytes:
            yield record.failed(
                TOO_LARGE, f"the text has {len(text)} characters > {settings.max_payload_bytes}"
            )
            continue
        record.text = text
        record.url, record.date, record.language = (
            _scalar(row.get(role)) for role in ("url", "date", "language")
        )
        own_id = _scalar(row.get("id"))
        if own_id is not None:
            record.key = own_ids.key(own_id, first_row + index)
        yield record


def row_at(source: Any, row: int) -> dict[str, Any]:
    """One row, all its columns. Raises InputError if the file has fewer rows."""
    file = pq.ParquetFile(source)
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < rows:
            return file.read_row_group(group).slice(row, 1).to_pylist()[0]
        row -= rows
    raise InputError("the file has no such row", "check that it is the file the document came from")


def _blank(path: str, settings: ReaderSettings, row: int) -> Record:
    return Record(path, source_of(path, settings), Place(row=row), (path, row), mime="text/plain")


def _scalar(value: Any) -> str | None:
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    return (
        str(value)
        if isinstance(value, (str, int, float)) and value != "" and not isinstance(value, bool)
        else None
    )
