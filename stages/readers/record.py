"""What every reader hands on: the `RECORD` schema, the settings of all formats, and batches of
bounded size.

A record is not yet a document. It may be an HTTP answer with a compressed body, or a row that
could not be read. Such a row has `error` (a reason code: `error_read.*`, `page.too_large` or
`record.wat`), `error_detail` (file, place, what happened), its origin, and nothing else. So
damage costs one counted row, and never disappears. The columns are not called `reason` and
`detail`, because an excluded record later gets columns of those names.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import ORIGIN, actual_id
from corpusmill.manifests.settings import Settings
from pydantic import PositiveInt, model_validator

RECORD = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("url", pa.string()),
        ("source", pa.string()),
        ("date", pa.string()),  # ISO 8601, as the file says it
        ("language", pa.string()),  # only where the file says one
        ("origin", ORIGIN),
        ("status", pa.int32()),  # HTTP status; null where there was no HTTP
        ("mime", pa.string()),  # lower case, without parameters
        ("charset", pa.string()),  # what the HTTP header says
        ("payload", pa.binary()),  # the page's bytes, transfer and content encodings undone
        ("text", pa.string()),  # where the file holds text and not pages
        ("path", pa.string()),  # of a program file in its repository
        ("licence", pa.string()),  # of a program: its repository's; several are joined by AND
        ("error", pa.string()),
        ("error_detail", pa.string()),
    ]
)

BATCH_ROWS = 256
BATCH_BYTES = 16 << 20
TOO_LARGE = "page.too_large"

Format = Literal["auto", "warc", "arc", "jsonl", "parquet", "text", "pdf"]


class ReaderSettings(Settings):
    """How input files become records. Column names are taken as they stand: nothing is guessed."""

    format: Format = "auto"
    """`auto` tells WARC, WET, ARC, JSON lines, Parquet and text apart by name and content. pdf:
    PDF files, which extract reads if its `mimes` name them."""
    source: str = ""
    """The collection's name, part of every id. Empty: each file's name without its suffixes."""
    text_column: str = "text"
    """Column of the text in JSON lines and Parquet. It must be there.

    A dot leads into an object, for this and other columns: `metadata.url`.
    """
    id_column: str = "id"
    """Column of the id in JSON lines and Parquet. May be absent if left at its default.

    An id is unique within its source. Without one, a document's id hashes its file and row.
    """
    url_column: str = "url"
    """Column of the URL in JSON lines and Parquet. May be absent if left at its default."""
    date_columns: tuple[str, ...] = ("date", "timestamp")
    """Columns of the date. In each row, the first one that holds something counts."""
    language_columns: tuple[str, ...] = ("language", "lang")
    """Columns of the language. In each row, the first one that holds something counts."""
    path_columns: tuple[str, ...] = ("path", "max_stars_repo_path", "file_path")
    """Columns of a program file's path, for `code`. In each row, the first one that holds something
    counts.
    """
    licence_columns: tuple[str, ...] = (
        *("licence", "license", "licenses", "max_stars_repo_licenses", "detected_licenses"),
    )
    """Columns of the licence, for `code` that of the repository: SPDX ids, or a list of them. In
    each row, the first one that names one counts. Without a column of that name, one that differs
    in case counts. A Parquet file has one of them, unless this is the default.
    """
    own: str | None = None
    """`module:Class` of a reader of your own, derived from corpusmill.OwnReader. It reads every
    file, whatever its name.
    """
    own_settings: Mapping[str, Any] = {}
    """The settings of `own`."""
    max_payload_bytes: PositiveInt = 64 << 20
    """A longer body, line or file is not read into memory. Its row says `page.too_large`.

    A longer document of `own` has such a row too.
    """

    @model_validator(mode="after")
    def _own_reader_fits(self) -> Self:
        if self.own is not None:
            from corpusmill.stages.readers.own import own_reader

            own_reader(self.own, self.own_settings)
        elif self.own_settings:
            raise RecipeError("own_settings are given without `own`", "name the reader in `own`")
        return self

    def own_class(self) -> "type[Settings] | None":
        """The class of a reader of your own, whose source belongs to the plan."""
        if self.own is None:
            return None
        from corpusmill.stages.readers.own import own_reader

        return type(own_reader(self.own, self.own_settings))


OWN_IDS = 4_000_000  # of a file that are held in memory, some 70 bytes each
DEFAULTS = {name: field.default for name, field in ReaderSettings.model_fields.items()}


@dataclass
class Place:
    """Where a record lies within its file; `length` and `row` as in `schema.ORIGIN`."""

    offset: int | None = None
    length: int | None = None
    row: int | None = None

    def __str__(self) -> str:
        parts = [
            f"offset {self.offset}" if self.offset is not None else "",
            f"row {self.row}" if self.row is not None else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass
class Record:
    """One row of `RECORD` while it is being read. key: what makes its id, besides the source."""

    path: str
    source: str
    place: Place
    key: tuple[str | int, ...]
    url: str | None = None
    date: str | None = None
    language: str | None = None
    status: int | None = None
    mime: str | None = None
    charset: str | None = None
    payload: bytes | None = None
    text: str | None = None
    path_inside: str | None = None
    licence: str | None = None
    error: str | None = None
    error_detail: str | None = None
    headers: dict[str, str] = field(default_factory=dict)  # HTTP headers, lower case; not a column

    def failed(self, error: str, what: str) -> "Record":
        """The record as a row that could not be read, at the same place."""
        where = str(self.place)
        detail = f"{self.path}{f' at {where}' if where else ''}: {what}"
        return dataclasses.replace(self, payload=None, text=None, error=error, error_detail=detail)

    def as_row(self) -> dict[str, Any]:
        others = ("id", "origin", "path")
        row = {name: getattr(self, name) for name in RECORD.names if name not in others}
        origin = {
            "file": self.path,
            "offset": self.place.offset,
            "length": self.place.length,
            "row": self.place.row,
        }
        own = {"id": actual_id(self.source, *self.key), "path": self.path_inside}
        return {**own, "origin": origin, **row}

    @property
    def size(self) -> int:
        return len(self.payload or b"") + len(self.text or "")


class OwnIds:
    """Keys for rows that have an id of their own. Document ids are hashes of these keys.

    The key is the row's id and the path of the file. If the reader has a source set, the path
    is left out: then ids survive a move of the files, and must be unique in the source. If rows
    share an id, the first has that key; the others add path and row. Rows beyond the first
    `OWN_IDS` of a file are not compared.
    """

    def __init__(self, path: str, settings: "ReaderSettings") -> None:
        self._path = path
        self._within = () if settings.source else (path,)
        self._seen: set[int] = set()

    def key(self, own: str, row: int) -> tuple[str | int, ...]:
        """The key of the row with the id `own`."""
        hashed = int.from_bytes(
            hashlib.blake2b(own.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
        )
        if hashed in self._seen:
            return own, self._path, row
        if len(self._seen) < OWN_IDS:
            self._seen.add(hashed)
        return own, *self._within


def first_said(values: Iterable[Any], spell: Callable[[Any], str | None]) -> str | None:
    """The first of a row's values that has a spelling."""
    return next((said for value in values if (said := spell(value)) is not None), None)


def all_of(licences: Iterable[str]) -> str | None:
    """The expression that asks for each of these. A choice (OR) among several stands in brackets,
    since AND binds closer. None if all are empty.
    """
    parts = [part for part in dict.fromkeys(each.strip() for each in licences) if part]
    if len(parts) < 2:
        return parts[0] if parts else None
    choice = re.compile(r"\sOR\s", re.IGNORECASE)
    return " AND ".join(f"({part})" if choice.search(part) else part for part in parts)


def source_of(path: str, settings: ReaderSettings) -> str:
    """The name of the collection: as set, or the file's name without its suffixes."""
    return settings.source or storage.stem_of(path) or "input"


def in_batches(records: Iterable[Record], batch_rows: int, batch_bytes: int) -> Iterator[pa.Table]:
    """Tables of `RECORD` with at most `batch_rows` rows. A batch also ends when it holds
    `batch_bytes`.
    """
    rows: list[dict[str, Any]] = []
    size = 0
    for record in records:
        rows.append(record.as_row())
        size += record.size
        if len(rows) >= batch_rows or size >= batch_bytes:
            yield pa.Table.from_pylist(rows, schema=RECORD)
            rows, size = [], 0
    if rows:
        yield pa.Table.from_pylist(rows, schema=RECORD)


def without_surrogates(text: str) -> str:
    """`text` with U+FFFD for lone surrogates, which JSON can spell and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
