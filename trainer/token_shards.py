"""Token shards: the Parquet files of the pack stage, their row groups, and the held-out split.

Their columns: `id: string, tokens: list<int32>, n_prompt: int32, source: string, root: string,
phase: int16`. `root` is the document that a synthetic one was made from, else null. `phase` is the
blend's, from 0, the same in a row group. Shards of older versions lack both. Footers name the
tokenizer by its digest (`TOKENIZER`).

Shards with images also have `image`, and `letters`, `letter_x`, `letter_y` of rendered pages.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from corpusmill.manifests import schema
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.trainer.config import Packing
from corpusmill.trainer.packing import cut_chance, fitted_rows, padded_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = {"id": pa.string(), "tokens": pa.list_(pa.int32()), "n_prompt": pa.int32()}
ROOT = "root"
IMAGE, LETTERS = schema.IMAGE.name, tuple(field.name for field in schema.LETTERS)
PHASE = "phase"
# Keys in a footer. Of those with the prefix, only the number of tokens may differ between shards.
PREFIX, TOKENIZER, N_TOKENS = b"corpusmill.", b"corpusmill.tokenizer", b"corpusmill.n_tokens"
IMAGE_TOKEN = b"corpusmill.image_token"  # the id that holds an image token's place


@dataclass(frozen=True)
class RowGroup:
    """One Parquet row group, on one side of the held-out split.

    With these numbers the stream finds any row without decoding.
    """

    shard: int
    ordinal: int
    documents: int
    tokens: int
    longest: int
    padded_rows: int
    fitted_rows: int | None  # None where the catalogue did not count them
    longer: int  # documents that are longer than a training sequence
    concat_cuts: float  # documents that packing concat is expected to cut
    phase: int = 0

    def size(self, pack: Packing) -> int:
        """What the row group fills: tokens with packing concat, else rows."""
        if pack == "concat":
            return self.tokens
        rows = self.padded_rows if pack == "pad" else self.fitted_rows
        if rows is None:
            raise ValueError("the catalogue was read without the rows of packing best_fit")
        return rows


@dataclass(frozen=True)
class Catalogue:
    """All shards of a corpus: files in order, their digest, and row groups on both sides.

    metadata: what the footers say of all shards.
    """

    shards: tuple[Path, ...]
    digest: str
    largest_token: int
    training: tuple[RowGroup, ...]
    held_out: tuple[RowGroup, ...]
    sequence_length: int
    eval_fraction: float
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)


def is_held_out(root: str, eval_fraction: float) -> bool:
    """Whether a document is held out. A hash of an id decides, whatever the order and shards: the
    id of the document that it was made from, or else its own. So a page and what a model wrote from
    it are on the same side. Other names are held out by the same rule.

    A row about two documents is held out if either is, and it may quote both. So no row about a
    held-out document is trained on. But the held-out loss may be of text that is: the other
    document's.
    """
    return eval_fraction > 0 and held_out_place(root) < eval_fraction * 2.0**64


def held_out_place(root: str) -> int:
    """The place of a name, from 0 to 2**64, in the order in which names are held out. Of several
    names, one is held out if the one with the lowest place is.
    """
    return int.from_bytes(hashlib.blake2b(root.encode(), digest_size=8).digest(), "big")


def catalogue(
    shards: Sequence[Path], sequence_length: int, eval_fraction: float = 0.0, fitted: bool = True
) -> Catalogue:
    """Read every shard once. For each row group, count documents, tokens and rows.

    fitted: also count the rows of packing `best_fit`, which are slow to count. It packs one
    document after the other.

    Raises InputError for a file that is no token shard. Raises CorpusmillError if the shards were
    packed with different tokenizers or settings, or if there is nothing to train or evaluate on.
    """
    paths = tuple(sorted((Path(shard) for shard in shards), key=lambda path: path.as_posix()))
    if not paths:
        raise CorpusmillError(
            "there are no token shards to read", "give the Parquet files that the pack stage wrote"
        )
    digest = hashlib.sha256()
    sides: tuple[list[RowGroup], list[RowGroup]] = ([], [])
    largest = 0
    metadata: dict[bytes, bytes] = {}
    for shard, path in enumerate(paths):
        with open_shard(path) as file:
            own = _facts(file)
            for key in own.keys() & metadata.keys():
                if own[key] != metadata[key]:
                    what = "tokenizer" if key == TOKENIZER else "form of images"
                    raise InputError(
                        f"{path} was packed with another {what} than {paths[0]}",
                        "run pack on all documents with the same settings",
                    )
            metadata |= own
            for ordinal in range(file.num_row_groups):
                table = read_group(file, path, ordinal)
                phase = phase_of(file, ordinal)
                lengths = pc.list_value_length(table["tokens"]).to_numpy().astype(np.int64)
                largest = max(largest, pc.max(pc.list_flatten(table["tokens"])).as_py() or 0)
                held = held_out_mask(table, eval_fraction)
                for side, chosen in zip(sides, (lengths[~held], lengths[held]), strict=True):
                    if chosen.size:
                        group = _measured(shard, ordinal, phase, chosen, sequence_length, fitted)
                        side.append(group)
        with path.open("rb") as raw:
            digest.update(hashlib.file_digest(raw, "sha256").digest())
    training, held_out = sides
    if not any(group.longest > 1 for group in training):
        raise CorpusmillError(
            f"the {len(paths)} token shards hold nothing to train on",
            "check the pack stage, or lower eval_fraction",
        )
    if eval_fraction > 0 and not any(group.longest > 1 for group in held_out):
        raise CorpusmillError(
            f"no document falls into the held-out fraction {eval_fraction}",
            "raise eval_fraction; only `train` takes 0, and then has no held-out loss",
        )
    return Catalogue(
        paths,
        digest.hexdigest(),
        largest,
        tuple(training),
        tuple(held_out),
        sequence_length,
        eval_fraction,
        metadata,
    )


def _measured(
    shard: int,
    ordinal: int,
    phase: int,
    lengths: "NDArray[np.int64]",
    sequence_length: int,
    fitted: bool,
) -> RowGroup:
    return RowGroup(
        shard,
        ordinal,
        documents=lengths.size,
        tokens=int(lengths.sum()),
        longest=int(lengths.max()),
        padded_rows=int(padded_rows(lengths, sequence_length).sum()),
        fitted_rows=fitted_rows(lengths, sequence_length) if fitted else None,
        longer=int((lengths > sequence_length + 1).sum()),
        concat_cuts=float(cut_chance(lengths, sequence_length).sum()),
        phase=phase,
    )


def _facts(file: pq.ParquetFile) -> dict[bytes, bytes]:
    """What the footer says that must hold for all shards of a corpus."""
    footer = file.metadata.metadata or {}
    return {
        key: value for key, value in footer.items() if key.startswith(PREFIX) and key != N_TOKENS
    }


def find_shards(folder: Path) -> list[Path]:
    """All Parquet files under a folder (the pack stage's output), in name order.

    Excluded documents are not among them.
    """
    if not folder.is_dir():
        raise CorpusmillError(
            f"{folder} is not a folder", "give the output folder of the pack stage"
        )
    shards = sorted(
        path
        for path in folder.rglob("*.parquet")
        if "excluded" not in path.relative_to(folder).parts
    )
    if not shards:
        raise CorpusmillError(f"{folder} holds no Parquet files", "run the pack stage first")
    return shards


def open_shard(path: Path) -> pq.ParquetFile:
    """The shard, mapped into memory. Raises InputError if it is not a Parquet file."""
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path} cannot be read as Parquet ({error})", "run the pack stage again"
        ) from error


def read_group(
    file: pq.ParquetFile, path: Path, ordinal: int, also: Sequence[str] = ()
) -> pa.Table:
    """The row group's COLUMNS, each document's root (itself if it has no other), and further
    columns. Raises InputError if the file lacks a column.
    """
    missing = sorted({*COLUMNS, *also} - set(file.schema_arrow.names))
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(missing)}", "give shards that the pack stage wrote"
        )
    there = [name for name in (*COLUMNS, ROOT) if name in file.schema_arrow.names]
    table = file.read_row_group(ordinal, columns=[*there, *also], use_threads=False)
    root = pc.coalesce(table[ROOT], table["id"]) if ROOT in there else table["id"]
    read = table.select(list(COLUMNS)).cast(pa.schema(COLUMNS)).append_column(ROOT, root)
    for name in also:
        read = read.append_column(name, table[name])
    return read


def phase_of(file: pq.ParquetFile, ordinal: int) -> int:
    """The phase of the blend that a row group belongs to; 0 if it has none."""
    if PHASE not in file.schema_arrow.names:
        return 0
    phases = file.read_row_group(ordinal, columns=[PHASE], use_threads=False)[PHASE]
    return pc.max(phases).as_py() or 0


def held_out_mask(documents: pa.Table, eval_fraction: float) -> "NDArray[np.bool_]":
    """For each document of `read_group`, whether it is held out."""
    if eval_fraction <= 0:
        return np.zeros(documents.num_rows, dtype=np.bool_)
    roots = documents[ROOT].to_pylist()
    return np.array([is_held_out(root, eval_fraction) for root in roots], dtype=np.bool_)
