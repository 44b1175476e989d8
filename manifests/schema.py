"""The document schema. Every stage reads and writes it.

A document is one row. `DOCUMENT` holds the columns that every document has. A column is null until
a stage fills it. A stage that measures or scores declares more columns. Its shards hold `DOCUMENT`,
then these columns. No column is inferred from data. Excluded rows have the same columns and
`EXCLUSION`: the stage, the reason code and the detail.

A reason code that begins with `error_` means that the record could not be read or processed: it
failed. Any other code means that a rule dropped it. Receipts count the two apart.
"""

import hashlib
from collections.abc import Iterable, Sequence

import pyarrow as pa
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.package_data import package_name


def list_of(kind: pa.DataType) -> pa.DataType:
    """A list type that is the same after a way through Parquet, which names the items `element`."""
    return pa.list_(pa.field("element", kind))


ORIGIN = pa.struct(
    [
        ("file", pa.string()),  # the file's path, as the recipe gives it
        ("offset", pa.int64()),  # WARC: where the record starts, bytes into the (compressed) file
        ("length", pa.int64()),  # WARC: bytes of the (compressed) record
        ("row", pa.int64()),  # JSONL, Parquet, text trees: row or ordinal within the file
    ]
)

LINEAGE = pa.struct(
    [
        ("parent", pa.string()),  # id of the actual document
        ("start", pa.int32()),  # segment span within the parent's text, in characters
        ("end", pa.int32()),
        ("prompt_hash", pa.string()),
        ("model", pa.string()),
        ("sampling", pa.string()),  # JSON: temperature, top_p, max_tokens
        ("seed", pa.int64()),
        ("sample", pa.int32()),  # which of several samples of the same request
        ("finish_reason", pa.string()),  # stop, length, error
    ]
)

DOCUMENT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("text", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
        ("date", pa.string()),  # ISO 8601
        ("language", pa.string()),  # ISO 639-1 where there is one
        ("language_score", pa.float32()),
        ("n_tokens", pa.int32()),
        ("origin", ORIGIN),
        ("quality", pa.uint8()),  # 0-19
        ("level", pa.string()),  # low, medium_low, medium, medium_high, high
        ("kind", pa.string()),  # actual, synthetic
        ("prompt", pa.string()),
        ("lineage", LINEAGE),
    ]
)

EXCLUSION = (
    pa.field("stage", pa.string()),
    pa.field("reason", pa.string()),
    pa.field("detail", pa.string()),
)

# Addresses that the main content of a page links to, absolute and without fragment. Null: unknown.
LINKS = pa.field("links", list_of(pa.string()))

# Of a document in a pair of `link`: the document that it links to. mutual: it links back.
LINKED = pa.field(
    "linked",
    pa.struct(
        [("id", pa.string()), ("url", pa.string()), ("text", pa.string()), ("mutual", pa.bool_())]
    ),
)
# Of a synthetic document about a pair: the second parent, and the span of its text. `lineage` names
# the first one.
LINKED_PARENT = pa.field(
    "linked_parent",
    pa.struct([("parent", pa.string()), ("start", pa.int32()), ("end", pa.int32())]),
)

# The licence of a document, or of a pair of image and text: an SPDX expression, or the words of
# its row if they name none. Null: unknown. Only some stages have it.
LICENCE = pa.field("licence", pa.string())

# A page as an image file. Only stages that work with images have it.
IMAGE = pa.field("image", pa.binary())
# The letters of the image without blanks, and the pixel in the middle of each.
LETTERS = (
    pa.field("letters", pa.string()),
    pa.field("letter_x", pa.list_(pa.int16())),
    pa.field("letter_y", pa.list_(pa.int16())),
)
# What is asked about an image; the text is then the answer.
QUESTION = pa.field("question", pa.string())

LEVELS = ("low", "medium_low", "medium", "medium_high", "high")
FAILED_PREFIX = "error_"


def extended(*fields: pa.Field, of: pa.Schema = DOCUMENT) -> pa.Schema:
    """The schema `of`, then the declared `fields`. A name comes once: its first field counts."""
    first: dict[str, pa.Field] = {}
    for field in (*of, *fields):
        first.setdefault(field.name, field)
    return pa.schema(list(first.values()))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with exactly the columns of `schema`, in the order of `schema`.

    Missing columns become null. Extra columns are left out. Raises InputError if a column's type
    cannot be cast without loss.
    """
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(field.name)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                why = str(error).splitlines()[0]
                raise InputError(
                    f"column {field.name!r} is {column.type}, not {field.type} ({why})",
                    "map the column with the reader's settings or mend the file",
                ) from error
        columns.append(column)
    return pa.table(columns, schema=schema)


def excluded(
    rows: pa.Table, stage: str, reasons: Sequence[str], details: Sequence[str | None]
) -> pa.Table:
    """`rows` with the exclusion columns. Each row has one reason code and one detail."""
    for field, values in zip(EXCLUSION, ([stage] * rows.num_rows, reasons, details), strict=True):
        rows = rows.append_column(field, pa.array(values, type=field.type))
    return rows


def actual_id(source: str, *origin: str | int) -> str:
    """The id of a document that was read, not generated: a hash of its origin, 32 hex digits.

    origin: the record id, or the file and the row. A shipped sample has the same ids wherever
    corpusmill is installed.
    """
    return _hashed(["actual", source, *(package_name(str(part)) for part in origin)])


def synthetic_id(
    parent: str,
    start: int,
    end: int,
    prompt_hash: str,
    model: str,
    sampling: str,
    sample: int,
    part: int = 0,
) -> str:
    """The id of a synthetic document: a hash of all parts of its request, 32 hex digits.

    So the same request gives the same id.
    """
    return _hashed(
        [
            "synthetic",
            parent,
            str(start),
            str(end),
            prompt_hash,
            model,
            sampling,
            str(sample),
            str(part),
        ]
    )


def seed_for(*parts: str | int) -> int:
    """A seed in [0, 2**63). It depends only on `parts` (document id, stage seed, purpose)."""
    return int(_hashed(["seed", *map(str, parts)])[:16], 16) >> 1


def _hashed(parts: Iterable[str]) -> str:
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=16).hexdigest()
