"""JSON lines, plain or compressed: one object a line, its text in one column. An array of objects
is read as if each were a line.

A line that is no JSON object, or has no text, becomes a row with an error. If no line has the
text column, the settings are wrong, and the file is refused.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.storage import Artifact
from corpusmill.manifests.watched import Watched
from corpusmill.stages.readers.compression import opened
from corpusmill.stages.readers.json_array import is_array, items
from corpusmill.stages.readers.licences import licence_of
from corpusmill.stages.readers.nested import has, names_of, value_of
from corpusmill.stages.readers.record import (
    DEFAULTS,
    TOO_LARGE,
    OwnIds,
    Place,
    ReaderSettings,
    Record,
    first_said,
    source_of,
    without_surrogates,
)
from corpusmill.stages.readers.streams import Inflated, Plain, chunks_of, lines

_MOST_DIGITS = 4000  # Python refuses to read numbers of more than 4,300
_BROKEN = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8 (PEP 383)
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[{]+|[\]}]+', re.DOTALL)
_START = 1000  # bytes that tell an array from lines
_LOOK_AHEAD = 1000  # lines without the text column before the file is refused


def read_jsonl(artifact: Artifact, settings: ReaderSettings) -> Iterator[Record]:
    """Raises InputError if no line of the file (or none of its first 1,000 objects) has the
    text column.

    Also if an id or URL column that the settings name is in none of them.
    """
    with storage.open_read(artifact.path) as source:
        file: Any = Watched(source)
        stream = opened(file, artifact.path)
        waiting: list[Record] = []
        seen_columns: set[str] = set()
        own_ids = OwnIds(artifact.path, settings)
        objects = 0
        row = -1
        for line, length in rows(stream, settings.max_payload_bytes):
            row += 1
            if not line.strip() and length == len(line):
                continue
            record, columns = _parsed(
                line, length, _blank(artifact, settings, row), settings, own_ids
            )
            objects += columns is not None
            seen_columns |= columns or set()
            if settings.text_column in seen_columns and not waiting:
                yield record
                continue
            waiting.append(record)
            if settings.text_column in seen_columns or objects >= _LOOK_AHEAD:
                _check_columns(artifact.path, seen_columns, objects, settings)
                yield from waiting
                waiting = []
        _check_columns(artifact.path, seen_columns, objects, settings)
        if row >= 0 and not objects:
            raise InputError(
                f"{artifact.path} holds no JSON object "
                f"({waiting[0].error_detail if waiting else 'only empty lines'})",
                "write one object a line, or an array of objects, or set the reader's `format`",
            )
        yield from waiting
        damage = stream.damage
        if damage is not None:
            lost = _blank(artifact, settings, row + 1)
            lost.place.offset = damage.offset
            yield lost.failed(f"error_read.{damage.kind}", damage.what)


def line_at(file: IO[bytes], path: str, row: int) -> bytes:
    """One line or item, counted from 0. Raises InputError if the file has fewer."""
    for number, (line, _) in enumerate(rows(opened(file, path), 1 << 30)):
        if number == row:
            return line
    raise InputError(
        f"the file has no line {row}", "check that it is the file the document came from"
    )


def rows(stream: Inflated | Plain, limit: int) -> Iterator[tuple[bytes, int]]:
    """The objects of a file, each with its length in bytes: its lines, or the items of an array."""
    chunks = chunks_of(stream)
    start = b""
    while len(start) < _START and (chunk := next(chunks, b"")):
        start += chunk
    whole = itertools.chain([start], chunks)
    return items(whole, limit) if is_array(start) else lines(whole, limit)


def _blank(artifact: Artifact, settings: ReaderSettings, row: int) -> Record:
    return Record(
        artifact.path,
        source_of(artifact.path, settings),
        Place(row=row),
        (artifact.path, row),
        mime="text/plain",
    )


def _parsed(
    line: bytes, length: int, blank: Record, settings: ReaderSettings, own_ids: OwnIds
) -> tuple[Record, set[str] | None]:
    """The record of one line, and the object's columns (None if it is no object)."""
    if length > len(line):
        return blank.failed(
            TOO_LARGE, f"the line has {length} bytes > {settings.max_payload_bytes}"
        ), None
    try:
        value, is_utf8 = _loaded(line)
    except (ValueError, RecursionError) as error:
        return blank.failed("error_read.json", f"the line is not JSON ({error})"), None
    if not isinstance(value, dict):
        return blank.failed(
            "error_read.json", f"the line is {type(value).__name__}, not an object"
        ), None
    named = (settings.text_column, settings.id_column, settings.url_column)
    columns = {*value, *(name for name in named if has(value, name))}
    if any(name not in columns and (name == named[0] or "." in name) for name in named):
        columns.update(names_of(value))  # for the message
    get = partial(value_of, value)
    text = get(settings.text_column)
    if not isinstance(text, str):
        if settings.text_column not in columns:
            return blank.failed(
                "error_read.column", f"there is no column {settings.text_column!r}"
            ), columns
        if text is not None:
            what = f"column {settings.text_column!r} holds {type(text).__name__}, not text"
            return blank.failed("error_read.type", what), columns
    broken = None if is_utf8 else _BROKEN.search(text or "")
    if broken:
        what = f"the text is not UTF-8 (byte {ord(broken[0]) - 0xDC00:#x})"
        return blank.failed("error_read.utf8", what), columns
    blank.text = without_surrogates(text or "")
    blank.url = _scalar(get(settings.url_column))
    blank.date = first_said(map(get, settings.date_columns), _scalar)
    blank.language = first_said(map(get, settings.language_columns), _scalar)
    blank.path_inside = first_said(map(get, settings.path_columns), _scalar)
    blank.licence = licence_of(value, settings.licence_columns)
    own_id = _scalar(get(settings.id_column))
    if own_id is not None:
        blank.key = own_ids.key(own_id, blank.place.row or 0)
    return blank, columns


def _loaded(line: bytes) -> tuple[Any, bool]:
    """The value of a line, and whether the line is UTF-8. Other bytes become lone surrogates
    (PEP 383).

    A side column may be nested beyond Python's depth, or a number beyond its size. It becomes null.
    Raises ValueError or RecursionError.
    """
    try:
        text, is_utf8 = line.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        text, is_utf8 = line.decode("utf-8", "surrogateescape"), False
    try:
        return json.loads(text), is_utf8
    except RecursionError:
        if not text.lstrip().startswith("{"):
            raise
        return json.loads(_flat(text)), is_utf8
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            raise
        return json.loads(text, parse_int=_small), is_utf8


def _small(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MOST_DIGITS else None


def _flat(text: str) -> str:
    """The JSON of an object whose nested values are null."""
    parts: list[str] = []
    depth = at = 0
    for token in _TOKEN.finditer(text):
        run, begin = token[0], token.start()
        if run[0] in "{[":
            if depth < 2 <= depth + len(run):
                parts += [text[at : begin + 1 - depth], "null"]
            depth += len(run)
        elif run[0] in "]}":
            if depth >= 2 > depth - len(run):
                at = begin + depth - 1
            depth -= len(run)
    return "".join([*parts, text[at:]])


def _scalar(value: Any) -> str | None:
    """A JSON scalar as text. Null, lists and objects have no value."""
    if isinstance(value, str):
        return without_surrogates(value) or None
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _check_columns(path: str, seen: set[str], objects: int, settings: ReaderSettings) -> None:
    if not objects:
        return
    for setting in ("text_column", "id_column", "url_column"):
        name = getattr(settings, setting)
        optional = setting != "text_column" and name == DEFAULTS[setting]
        if name not in seen and not optional:
            raise InputError(
                f"{path} has no column {name!r}; it has {', '.join(sorted(seen)) or 'none'}",
                f"set the reader's `{setting}` to the right one",
            )
