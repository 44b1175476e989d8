"""What editing stages cut out of texts: the column that records it, and the undo.

A stage that edits texts adds a column of cuts and one of removed bytes. The cuts of a text are a
list of pieces, in order; null where nothing was cut. A piece has these fields, as far as its stage
has a use for them:

- `start`: where it stood, in bytes into the text before;
- `text`: what stood there;
- `instead`: bytes that stand there now; 0 without this field;
- `step`: which edit of the text it belongs to, from 0. The last is undone first;
- `keeper`, `keeper_start`, `length`: another document has the same bytes there in its original
  text, so the piece has no `text` of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.stages.columns.strings import string_array
from corpusmill.stages.columns.table import with_column
from numpy.typing import NDArray

Piece = Mapping[str, Any]
TextOf = Callable[[str], str]


def cuts_field(name: str, *fields: pa.Field) -> pa.Field:
    """The field of a column of cuts."""
    return pa.field(name, pa.list_(pa.struct(fields)))


def cuts_column(
    field: pa.Field, counts: NDArray[np.int64], columns: Sequence[pa.Array]
) -> pa.Array:
    """The column of cuts. counts: pieces of each text. columns: the fields of all pieces."""
    values = pa.StructArray.from_arrays(columns, fields=list(field.type.value_type))
    bounds = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    nothing = pa.array(np.asarray(counts) == 0)
    return pa.ListArray.from_arrays(pa.array(bounds), values, mask=nothing).cast(field.type)


def pieces_of(
    data: NDArray[np.uint8], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> pa.Array:
    """The texts from `begins` to `ends` in `data`, as strings."""
    sizes = ends - begins
    places = np.concatenate(([0], np.cumsum(sizes)))
    from_data = np.arange(places[-1]) + np.repeat(begins - places[:-1], sizes)
    return string_array(data[from_data], places, pa.string())


def with_cuts(
    table: pa.Table,
    fields: tuple[pa.Field, pa.Field],
    cuts: pa.Array | pa.ChunkedArray,
    edited: pa.Array | pa.ChunkedArray,
) -> pa.Table:
    """`table` with its edited texts, and with the columns of cuts and of removed bytes.

    fields: of these two columns. cuts: null where the text stays. edited: the texts after the cuts.
    The number of tokens of a text that was cut becomes null, since nobody has counted it again.
    """
    was_cut, before = pc.is_valid(cuts), table["text"]
    text = pc.if_else(was_cut, edited.cast(before.type), before)
    sizes = (pc.binary_length(pc.fill_null(each, "")) for each in (before, text))
    table = with_column(table, fields[0], cuts)
    table = with_column(table, fields[1], pc.subtract(*sizes).cast(fields[1].type))
    if "n_tokens" in table.column_names:
        n_tokens = pc.if_else(was_cut, None, table["n_tokens"])
        table = with_column(table, table.schema.field("n_tokens"), n_tokens)
    return with_column(table, table.schema.field("text"), text)


def restore(
    text: str, cuts: Sequence[Piece] | None, itself: str = "", text_of: TextOf | None = None
) -> str:
    """The text as it came to the stage. cuts: of its row.

    itself: the id of the row. text_of: id -> original text of another document, which may call
    `restore` in turn. Only the cuts of `substring` need both. Such calls end: a keeper was always
    read before the documents that repeat it. A piece that repeats its own document repeats an
    earlier place of it.
    """
    steps = [list(pieces) for _, pieces in groupby(cuts or (), lambda piece: piece.get("step", 0))]
    for pieces in reversed(steps):
        whole, rest = bytearray(), memoryview(text.encode())
        for piece in pieces:
            kept = piece["start"] - len(whole)
            whole += rest[:kept]
            rest = rest[kept + piece.get("instead", 0) :]
            _put_back(whole, piece, itself, text_of)
        text = (whole + rest).decode()
    return text


def _put_back(whole: bytearray, piece: Piece, itself: str, text_of: TextOf | None) -> None:
    keeper = piece.get("keeper")
    if keeper is None:
        whole += piece["text"].encode()
        return
    begin = piece["keeper_start"]
    end = begin + piece["length"]
    if keeper == itself:
        for place in range(begin, end):  # byte by byte: the piece may overlap its source
            whole.append(whole[place])
    else:
        assert text_of is not None, "cuts of substring name documents: give `text_of`"
        whole += text_of(keeper).encode()[begin:end]
