"""What a row says of its licence, whatever the type of the value.

Only a row that says nothing, or that it knows of none, has no licence. What has another shape is
kept as words. So no default takes the place of a restrictive licence that is spelled oddly.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.schema import LICENCE
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.licences.expressions import named
from corpusmill.stages.licences.names import is_unknown
from corpusmill.stages.readers.column_values import spelled, values
from corpusmill.stages.readers.nested import field_of, has, names_in, names_of, value_of
from corpusmill.stages.readers.record import DEFAULTS, all_of, first_said, without_surrogates


def licence_of(row: Mapping[str, Any], asked: Iterable[str]) -> str | None:
    """What a row says of its licence: the first of these columns that names one.

    Of a name that the row lacks, those count that differ from it in case alone.
    """
    for name in asked:
        same = [name] if has(row, name) else _alike(name, names_of(row, name.count(".") + 1))
        if said := first_said((value_of(row, one) for one in same), licence_said):
            return said
    return None


def licence_columns(path: str, schema: pa.Schema, asked: Sequence[str]) -> tuple[str, ...]:
    """Which columns of a Parquet file `licence_of` needs.

    Raises InputError if there is none, and these names are not the default.
    """
    there = names_in(schema)
    alike = (one for name in asked for one in ([name] if name in there else _alike(name, there)))
    found = tuple(dict.fromkeys(one for one in alike if field_of(schema, one) is not None))
    if asked and not found and tuple(asked) != DEFAULTS["licence_columns"]:
        raise InputError(
            f"{path} has no column {' or '.join(map(repr, asked))}; it has {', '.join(there)}",
            "set the reader's `licence_columns` to those that hold licences",
        )
    return found


def licence_said(value: Any) -> str | None:
    """The licences of a value, as text: of a list, all of them hold. None if it says none."""
    said = all_of(filter(None, map(_words, value))) if isinstance(value, list) else _words(value)
    return None if said is None or is_unknown(said) else said


def with_licences(table: pa.Table) -> pa.Table:
    """The table with its column `licence`, if there is one, as `schema.LICENCE`.

    A column of text stays as it is.
    """
    if LICENCE.name not in table.column_names or table.schema.field(LICENCE.name).equals(LICENCE):
        return table
    said = [licence_said(value) for chunk in table[LICENCE.name].chunks for value in values(chunk)]
    return with_column(table, LICENCE, pa.array([named(one or "") for one in said], LICENCE.type))


def _words(value: Any) -> str | None:
    """One licence in its own words. NaN is how tables say that there is no value."""
    if isinstance(value, dict) and all(part in (None, "", [], {}) for part in value.values()):
        return None
    if value is None or value == [] or value != value:
        return None
    if isinstance(value, UnicodeDecodeError):  # text of Arrow that is none
        value = value.object
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    said = value if isinstance(value, str) else spelled(value) or _as_json(value)
    return without_surrogates(said).strip() or None


def _alike(name: str, there: Iterable[str]) -> list[str]:
    folded = name.casefold()
    return [one for one in there if one.casefold() == folded]


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):  # too deep, or keys that are no text
        return "a nested value"
