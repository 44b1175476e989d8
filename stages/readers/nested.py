"""Columns within columns: `metadata.url` is the field `url` of the objects in `metadata`.

datatrove, Dolma and RedPajama keep addresses and dates so. A dot leads into an object, unless a
name has it: of `a.b.c`, the column `a.b.c` comes first, then fields of `a.b`, then those of `a`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.stages.readers.column_values import plain_type


def value_of(row: Mapping[str, Any], name: str) -> Any:
    """The value of a column of a JSON object. None if there is none."""
    if name in row or "." not in name:
        return row.get(name)
    value: Any = row
    for part in _keys(row, name):
        value = value[part]
    return None if value is row else value


def has(row: Mapping[str, Any], name: str) -> bool:
    """Whether a JSON object has the column, be it null."""
    return bool(_keys(row, name))


def field_of(schema: pa.Schema, name: str) -> pa.Field | None:
    """The field of a column of an Arrow table. None if there is none, or several of its name."""
    path = _fields(list(schema), name)
    return path[-1] if path else None


def column_of(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The values of a column that `field_of` finds. Null where what it lies in is null."""
    first, *inner = _fields(list(batch.schema), name)
    column = batch.column(first.name)
    for field in inner:
        column = pc.struct_field(column, plain_type(column.type).get_field_index(field.name))
    return column


def names_in(schema: pa.Schema) -> list[str]:
    """The columns of an Arrow table, each followed by the fields in it."""
    return [name for field in schema for name in _names(field)]


def names_of(row: Mapping[str, Any], levels: int = 4) -> Iterator[str]:
    """The columns of a JSON object, and the fields of the objects in it, so many levels deep."""
    for name, value in row.items():
        yield name
        if levels > 1 and isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in names_of(value, levels - 1))


def _names(field: pa.Field) -> list[str]:
    inner = [name for below in _inner(field) for name in _names(below)]
    return [field.name, *(f"{field.name}.{name}" for name in inner)]


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """The name in two at each of its dots, the longest first part first."""
    parts = name.split(".")
    for place in range(len(parts) - 1, 0, -1):
        yield ".".join(parts[:place]), ".".join(parts[place:])


def _keys(row: Mapping[str, Any], name: str) -> list[str]:
    """The keys that lead to a column of a JSON object. Empty: there is none."""
    if name in row:
        return [name]
    for outer, inner in _splits(name):
        below = row.get(outer)
        if isinstance(below, Mapping) and (path := _keys(below, inner)):
            return [outer, *path]
    return []


def _fields(fields: Sequence[pa.Field], name: str) -> list[pa.Field]:
    """The fields that lead to a column. Empty: there is none, or several of its name."""
    named = [field for field in fields if field.name == name]
    if named:
        return named if len(named) == 1 else []
    for outer, inner in _splits(name):
        above = [field for field in fields if field.name == outer]
        if len(above) == 1 and (path := _fields(_inner(above[0]), inner)):
            return [above[0], *path]
    return []


def _inner(field: pa.Field) -> list[pa.Field]:
    """The fields of a column of objects. Empty: it is none."""
    kind = plain_type(field.type)
    return list(kind.fields) if pa.types.is_struct(kind) else []
