"""Columns within columns: `metadata.url` is the field `url` of the objects in `metadata`.

datatrove, Dolma and RedPajama keep addresses and dates so. A dot leads into an object, unless the
column's own name has it.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.stages.readers.column_values import plain_type


def value_of(row: Mapping[str, Any], name: str) -> Any:
    """The value of a column of a JSON object. None if there is none."""
    if name in row or "." not in name:
        return row.get(name)
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def has(row: Mapping[str, Any], name: str) -> bool:
    """Whether a JSON object has the column, be it null."""
    if name in row or "." not in name:
        return name in row
    above, _, last = name.rpartition(".")
    inner = value_of(row, above)
    return isinstance(inner, Mapping) and last in inner


def field_of(schema: pa.Schema, name: str) -> pa.Field | None:
    """The field of a column of an Arrow table. None if there is none, or several of its name."""
    first, *inner = [name] if name in schema.names else name.split(".")
    if schema.names.count(first) != 1:
        return None
    field = schema.field(first)
    for part in inner:
        kind = plain_type(field.type)
        if not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return None
        field = kind.field(part)
    return field


def column_of(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The values of a column that `field_of` finds. Null where what it lies in is null."""
    first, *inner = [name] if name in batch.schema.names else name.split(".")
    column = batch.column(first)
    for part in inner:
        column = pc.struct_field(column, part)
    return column
