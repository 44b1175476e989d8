"""Token shards as files of other trainers: Megatron's `.bin` and `.idx`, and flat `.ds` files.

Both hold the token ids of all documents end to end, little-endian, in the order of the shard.

- **Megatron** (`megatron/core/datasets/indexed_dataset.py`): `.bin` has the ids, `.idx` the length
  of every sequence, where it begins in bytes, and which sequences begin a document. A part of a
  long document is a sequence of its own. Give `--data-path` the path without the suffix.
- **Flat** (datatrove, nanotron): `.ds` has the ids, `.ds.index` the end of every document in tokens
  (uint64), `.ds.metadata` the tokenizer, the number of tokens and bytes a token. `numpy.memmap`
  reads the ids alone, as nanoGPT and llm.c's tools do.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import InputError, RecipeError
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import IMAGE
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from numpy.typing import NDArray

TokenType = Literal["uint16", "uint32", "int32"]

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_CODES = {"uint16": 8, "int32": 4}  # of `DType` in Megatron
_COLUMNS = ["tokens", "part"]


class Written(NamedTuple):
    """lengths: of every row, in tokens. first_parts: rows that begin a document. A shard whose
    first row goes on with a document begins one all the same.
    """

    lengths: NDArray[np.int64]
    first_parts: NDArray[np.int64]


def check_tokens(artifact: Artifact) -> None:
    """Raises InputError if the file is no token shard."""
    missing = set(_COLUMNS) - set(schema_of(artifact).names)
    if missing:
        raise InputError(
            f"{artifact.path} has no column {', '.join(sorted(missing))}",
            "give the output folder of pack, or set convert.format to datasets",
        )
    if IMAGE.name in schema_of(artifact).names:
        raise InputError(
            f"{artifact.path} has images, which files of tokens cannot hold",
            "convert shards of text, or set convert.format to datasets",
        )


def token_type(wanted: TokenType | Literal["auto"], form: str, largest: int) -> TokenType:
    """The type of the ids. `auto`: the smallest that holds the vocabulary, as the format's own
    tools choose it.

    largest: the largest id that may occur. Raises RecipeError if the ids do not fit.
    """
    if wanted == "auto":
        limit = 65_500 if form == "megatron" else 1 << 16  # Megatron's `optimal_dtype`
        wanted = "uint16" if largest < limit else ("int32" if form == "megatron" else "uint32")
    if form == "megatron" and wanted not in _CODES:
        raise RecipeError(f"Megatron has no {wanted}", "set convert.token_type to uint16 or int32")
    if largest > np.iinfo(wanted).max:
        raise RecipeError(
            f"the vocabulary has the id {largest}, too large for {wanted}",
            "set convert.token_type to auto",
        )
    return wanted


def write_megatron(shard: Shard, kind: TokenType, where: str) -> list[Counts]:
    """`<shard>.bin` and `<shard>.idx`."""
    written = _write_ids(shard, kind, where, f"{shard.name}.bin")
    sizes = written.lengths * np.dtype(kind).itemsize
    pointers = np.concatenate([[0], np.cumsum(sizes)])[: len(sizes)]
    documents = np.concatenate([written.first_parts, [len(sizes)]])
    counts = np.array([len(sizes), len(documents)], "<u8").tobytes()
    header = _MAGIC + np.array([_VERSION], "<u8").tobytes() + bytes([_CODES[kind]]) + counts
    arrays = (written.lengths.astype("<i4"), pointers.astype("<i8"), documents.astype("<i8"))
    shard.file(where, f"{shard.name}.idx", header + b"".join(one.tobytes() for one in arrays))
    return [_account(shard, written)]


def write_flat(shard: Shard, kind: TokenType, where: str, tokenizer: str) -> list[Counts]:
    """`<shard>.ds`, `<shard>.ds.index` and `<shard>.ds.metadata`. tokenizer: its name, for
    people.
    """
    name = f"{shard.name}.ds"
    written = _write_ids(shard, kind, where, name)
    ends = np.cumsum(written.lengths)
    last_parts = np.concatenate([written.first_parts[1:], [len(ends)]])[: len(written.first_parts)]
    shard.file(where, f"{name}.index", ends[last_parts - 1].astype("<u8").tobytes())
    total = int(ends[-1]) if len(ends) else 0
    notes = f"{tokenizer}|{np.dtype(kind).itemsize}\n{total}\n{total / 1e9:.2f} GT"
    shard.file(where, f"{name}.metadata", notes.encode())
    return [_account(shard, written)]


def _write_ids(shard: Shard, kind: TokenType, where: str, name: str) -> Written:
    """Write the ids of all rows, end to end."""
    lengths: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    parts: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    with shard.stream(where, name) as output:
        for table in _rows(shard):
            tokens = table["tokens"].combine_chunks()
            lengths.append(pc.list_value_length(tokens).to_numpy().astype(np.int64))
            parts.append(table["part"].to_numpy().astype(np.int64))
            output.write(
                tokens.flatten().to_numpy().astype(np.dtype(kind).newbyteorder("<")).tobytes()
            )
            shard.report(sum(map(len, lengths)))
    part = np.concatenate(parts)
    begins = part == 0
    begins[:1] = True
    return Written(np.concatenate(lengths), np.flatnonzero(begins))


def _rows(shard: Shard) -> Iterator[pa.Table]:
    for artifact in shard.inputs:
        yield from shard.read(artifact, _COLUMNS)


def _account(shard: Shard, written: Written) -> Counts:
    rows, tokens = len(written.lengths), int(written.lengths.sum())
    return Counts("convert", rows_in=shard.rows_read, kept=rows, tokens=tokens)
