"""What a row says of its licence, whatever the type of the value.

Only a row that says nothing, or that it knows of none, has no licence. What has another shape is
kept as words. So no default takes the place of a restrictive licence that is spelled oddly.
"""

import json
from typing import Any

import pyarrow as pa
from corpusmill.manifests.schema import LICENCE
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.licences.expressions import named
from corpusmill.stages.licences.names import is_unknown
from corpusmill.stages.readers.column_values import spelled, values
from corpusmill.stages.readers.record import all_of, without_surrogates


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


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):  # too deep, or keys that are no text
        return "a nested value"
