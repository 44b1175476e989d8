"""The values of an Arrow column as text, whatever its type, value by value.

Files hold dates beyond Python's range, unknown time zones, and text stored as bytes. If a value
cannot be converted, only this value is lost, not its row or its file.
"""

import datetime
import decimal
import math
import uuid
from typing import Any

import pyarrow as pa

# What pyarrow and Python raise for a value that cannot be converted: out of range, no such time
# zone, not UTF-8, no such type.
FAILURES = (ValueError, ArithmeticError, LookupError, TypeError, NotImplementedError)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values themselves: without dictionary, run ends and extension."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def holds_text(kind: pa.DataType) -> bool:
    """Whether values of a plain type are text, or bytes that may be text, or nothing."""
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_null(kind)
    )


def values(column: pa.Array) -> list[Any]:
    """The column's Python values, or the exception in place of a value that Python cannot hold."""
    column = _readable(column)
    try:
        return list(column.to_pylist())
    except FAILURES:
        return [_value(column[row]) for row in range(len(column))]


def texts(column: pa.Array) -> list[str | UnicodeDecodeError | None]:
    """The values of a column of text or bytes, or the exception in place of one that is not UTF-8.

    Bytes of fixed size end where their padding of zeros begins.
    """
    found = values(column)
    if pa.types.is_fixed_size_binary(plain_type(column.type)):
        found = [value and value.rstrip(b"\0") for value in found]
    return [_decoded(value) if isinstance(value, bytes) else value for value in found]


def spelled(value: Any) -> str | None:
    """A side column's value as text. None for what has no spelling: nested values, bytes that are
    not UTF-8, spans of time, NaN, and values that could not be read.
    """
    if isinstance(value, bytes):
        value = _decoded(value)
    if isinstance(value, str):
        return value or None
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        try:
            return value.isoformat()
        except FAILURES:  # its time zone has no offset for it
            return None
    if isinstance(value, decimal.Decimal):
        return f"{value:f}" if value.is_finite() else None
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else None
    if isinstance(value, uuid.UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    return None


def identity(value: Any) -> str | None:
    """As `spelled`, for an id. Bytes that are no text are spelled in hex."""
    if isinstance(value, bytes) and isinstance(_decoded(value), UnicodeDecodeError):
        return value.hex()
    return spelled(value)


def row_of(table: pa.Table, row: int) -> dict[str, Any]:
    """One row: column name -> value. If two columns have one name, a number is added to it."""
    found: dict[str, Any] = {}
    for number, name in enumerate(table.column_names):
        cell = table.column(number).slice(row, 1).combine_chunks()
        value = values(cell)[0]
        key = name if name not in found else f"{name} ({number})"
        found[key] = None if isinstance(value, Exception) else value
    return found


def _readable(column: pa.Array) -> pa.Array:
    """The column as a type that Python has: without dictionary, nanoseconds, unknown time zones."""
    while True:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        elif isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        else:
            break
    kind = column.type
    if pa.types.is_timestamp(kind):
        unit = "us" if kind.unit == "ns" else kind.unit
        zone = kind.tz if kind.tz is None or _is_known(kind.tz) else "UTC"
        if (unit, zone) != (kind.unit, kind.tz):
            column = column.cast(pa.timestamp(unit, zone), safe=False)
    elif pa.types.is_time64(kind) and kind.unit == "ns":
        column = column.cast(pa.time64("us"), safe=False)
    return column


def _is_known(zone: str) -> bool:
    try:
        pa.scalar(0, pa.timestamp("s", zone)).as_py()
    except FAILURES:
        return False
    return True


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except FAILURES as error:
        return error


def _decoded(value: bytes) -> str | UnicodeDecodeError:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        return error
