"""Read evaluation sets: JSON lines, JSON lists and Parquet files, compressed or not."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import InputError
from corpusmill.stages.decontaminate.layouts import Layout, Part, layout_of, parts_of
from corpusmill.stages.decontaminate.settings import EvaluationSet
from corpusmill.stages.readers import certain_format
from corpusmill.stages.readers.column_values import row_of
from corpusmill.stages.readers.compression import opened, start_of
from corpusmill.stages.readers.data_files import sorted_out
from corpusmill.stages.readers.nested import value_of


class Item(NamedTuple):
    """One evaluation item: its set, its id there, and its parts."""

    set: str
    id: str
    parts: tuple[Part, ...]


def files_of(name: str, chosen: EvaluationSet) -> list[str]:
    """The set's files, sorted. Raises InputError if there are none."""
    files: set[str] = set()
    for pattern in chosen.patterns:
        found = finding.expand([pattern.rstrip("/")])
        files |= set(
            found if pattern in found or finding.is_glob(pattern) else sorted_out(found).data
        )
    if not files:
        raise InputError(
            f"the evaluation set {name} has no files of data", f"check sets.{name}.input"
        )
    return sorted(files)


def read_items(name: str, chosen: EvaluationSet) -> Iterator[Item]:
    """The items of a set. If it has several files, an item's set also says which: `NAME/FILE`.

    Raises InputError if a file cannot be read or has an unknown layout, if there is no record, or
    if no record has anything in a field that the settings name.
    """
    number = 0
    named = _named_layout(chosen)
    empty = set(named.needs) if named else set()
    files = files_of(name, chosen)
    for path in files:
        label = name if len(files) == 1 else f"{name}/{storage.stem_of(path)}"
        layout = named
        for row in _rows(path):
            layout = layout or layout_of(row)
            if layout is None:
                raise InputError(
                    f"{path} has no layout that is known: fields {', '.join(map(str, row))}",
                    f"name the fields in sets.{name}.question, .answer, ...",
                )
            identity = row.get(chosen.id)
            parts = tuple(part for part in parts_of(row, layout) if part.text.strip())
            if not number and not parts:
                raise InputError(
                    f"the first record of {path} has nothing in the fields "
                    f"{', '.join(layout.needs)}",
                    f"name the fields in sets.{name}.question, .answer, ...",
                )
            empty -= {field for field in empty if value_of(row, field) is not None}
            yield Item(label, str(number if identity is None else identity), parts)
            number += 1
    if not number:
        raise InputError(
            f"the evaluation set {name} holds no record ({files[0]})", f"check sets.{name}.input"
        )
    if empty:
        raise InputError(
            f"no record of the evaluation set {name} has anything in the field {min(empty)}",
            f"check the fields that sets.{name} names",
        )


def _named_layout(chosen: EvaluationSet) -> Layout | None:
    if not chosen.names_fields:
        return None
    return Layout(
        chosen.question,
        chosen.answer,
        chosen.passage,
        chosen.text,
        chosen.choices,
        chosen.gold,
        chosen.first,
    )


def _rows(path: str) -> Iterator[dict[str, Any]]:
    """The records of a file."""
    with storage.open_read(path) as file:
        start = start_of(file, path)
        try:
            if certain_format(start) == "parquet":
                yield from _parquet_rows(file)
            else:
                yield from _json_rows(opened(file, path), start)
        except (ValueError, pa.ArrowInvalid) as error:
            raise InputError(
                f"{path} cannot be read as an evaluation set ({str(error).splitlines()[0]})",
                "give JSON lines, a JSON list of objects, or Parquet",
            ) from error


def _parquet_rows(file: Any) -> Iterator[dict[str, Any]]:
    for batch in pq.ParquetFile(file).iter_batches(1024):
        table = pa.Table.from_batches([batch])
        for row in range(table.num_rows):
            yield row_of(table, row)


def _json_rows(stream: Any, start: bytes) -> Iterator[dict[str, Any]]:
    """Objects of a list, or one a line. Raises ValueError for anything else."""
    text = stream.read().decode("utf-8-sig")
    if stream.damage is not None:
        raise ValueError(stream.damage.what)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        rows = json.loads(text)
    else:
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError(f"a record is {type(row).__name__}, not an object")
        yield row
