"""Parquet: one document a row. Only the wanted columns are read, batch by batch.

Only the text must be readable. In a side column (id, URL, date, language, path, licence), what
cannot be read becomes null.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.column_values import (
    FAILURES,
    holds_text,
    identity,
    plain_type,
    row_of,
    spelled,
    texts,
    values,
)
from corpusmill.stages.readers.licences import licence_columns, licence_said
from corpusmill.stages.readers.nested import column_of, field_of, names_in
from corpusmill.stages.readers.record import (
    BATCH_ROWS,
    DEFAULTS,
    TOO_LARGE,
    OwnIds,
    Place,
    ReaderSettings,
    Record,
    first_said,
    source_of,
)

_UNREADABLE = (*FAILURES, OSError)


def read_parquet_records(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """Raises InputError if the file is no Parquet, lacks the text column (or a named id, URL or
    licence column), or has no text in it.

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
                for batch in _batches(file, group, columns, source):
                    yield from _records(path, batch, first_row + done, columns, settings, own_ids)
                    done += batch.num_rows
            except _UNREADABLE as error:
                source.check()
                what = f"row group {group} is damaged ({(str(error).splitlines() or [''])[0]})"
                for row in range(first_row + done, first_row + rows):
                    yield _blank(path, settings, row).failed("error_read.corrupt", what)
            first_row += rows


def _batches(
    file: pq.ParquetFile, group: int, columns: dict[str, tuple[str, ...]], source: Watched
) -> Iterator[pa.RecordBatch]:
    """The batches of a row group, without the side columns that cannot be read.

    Raises one of `_UNREADABLE` if the text cannot be read.
    """
    names = sorted({name for role in columns.values() for name in role})
    done = 0
    try:
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=names):
            yield batch
            done += batch.num_rows
        return
    except _UNREADABLE:
        source.check()
        readable = [name for name in names if _can_be_read(file, group, name, source)]
        if columns["text"][0] not in readable or readable == names:
            raise
    for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=readable):
        passed = min(done, batch.num_rows)
        done -= passed
        if passed < batch.num_rows:
            yield batch.slice(passed)


def _can_be_read(file: pq.ParquetFile, group: int, name: str, source: Watched) -> bool:
    try:
        for _ in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[name]):
            pass
    except _UNREADABLE:
        source.check()
        return False
    return True


def _wanted_columns(
    path: str, schema: pa.Schema, settings: ReaderSettings
) -> dict[str, tuple[str, ...]]:
    """Which of the file's columns stand for text, id, URL, date, language, path and licence.

    A column of nested values has no such role, but for licences; nor has one whose name stands
    twice.
    """
    columns: dict[str, tuple[str, ...]] = {}
    for role in ("text", "id", "url"):
        name = getattr(settings, f"{role}_column")
        asked = role == "text" or name != DEFAULTS[f"{role}_column"]
        count = schema.names.count(name)
        if count > 1 and asked:
            raise InputError(
                f"{path} has the column {name!r} {'twice' if count == 2 else f'{count} times'}",
                f"rename one in the file, or set the reader's `{role}_column` to another",
            )
        if asked and not count and field_of(schema, name) is None:
            raise InputError(
                f"{path} has no column {name!r}; it has {', '.join(names_in(schema))}",
                f"set the reader's `{role}_column` to the right one",
            )
        if role == "text" or _is_side_column(schema, name):
            columns[role] = (name,)
    for role in ("date", "language", "path"):
        names = getattr(settings, f"{role}_columns")
        columns[role] = tuple(name for name in names if _is_side_column(schema, name))
    columns["licence"] = licence_columns(path, schema, settings.licence_columns)
    text = field_of(schema, columns["text"][0])
    assert text is not None
    kind = plain_type(text.type)
    if not holds_text(kind):
        raise InputError(
            f"{path}: column {columns['text'][0]!r} is {kind}, not text",
            "set the reader's `text_column` to one that holds text",
        )
    return columns


def _is_side_column(schema: pa.Schema, name: str) -> bool:
    """Whether the column can have a role other than text and licence."""
    field = field_of(schema, name)
    return field is not None and not pa.types.is_nested(plain_type(field.type))


def _records(
    path: str,
    batch: pa.RecordBatch,
    first_row: int,
    columns: dict[str, tuple[str, ...]],
    settings: ReaderSettings,
    own_ids: OwnIds,
) -> Iterator[Record]:
    sides = {
        role: [values(column_of(batch, name)) for name in names if field_of(batch.schema, name)]
        for role, names in columns.items()
        if role != "text"
    }
    for index, text in enumerate(texts(column_of(batch, columns["text"][0]))):
        record = _blank(path, settings, first_row + index)
        if isinstance(text, Exception):
            what = f"the text is not UTF-8 ({text})"
            yield record.failed("error_read.utf8", what)
            continue
        text = text or ""
        if len(text) > settings.max_payload_bytes:
            yield record.failed(
                TOO_LARGE, f"the text has {len(text)} characters > {settings.max_payload_bytes}"
            )
            continue
        record.text = text
        record.url, record.date, record.language, record.path_inside = (
            first_said((column[index] for column in sides.get(role, ())), spelled)
            for role in ("url", "date", "language", "path")
        )
        record.licence = first_said((column[index] for column in sides["licence"]), licence_said)
        own_id = first_said((column[index] for column in sides.get("id", ())), identity)
        if own_id is not None:
            record.key = own_ids.key(own_id, first_row + index)
        yield record


def row_at(source: Any, row: int) -> dict[str, Any]:
    """One row, all its columns. Raises InputError if the file has fewer rows."""
    file = pq.ParquetFile(source)
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < rows:
            return row_of(file.read_row_group(group), row)
        row -= rows
    raise InputError("the file has no such row", "check that it is the file the document came from")


def _blank(path: str, settings: ReaderSettings, row: int) -> Record:
    return Record(path, source_of(path, settings), Place(row=row), (path, row), mime="text/plain")
