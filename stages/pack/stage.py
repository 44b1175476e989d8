"""Pack: tokenise documents into the token shards that the trainer reads.

A token shard is Parquet. Each row is a document, or a part of a long one, with its token ids,
in the order of the blend's shard. Row groups have about a million tokens. The trainer shuffles
row groups, and fills sequences, because it knows their length. `</s>` ends every document, as in
Megatron's pre-training data. `<s>` begins it only if asked for.

A document longer than `max_document_tokens` becomes several rows, `part` 0, 1, ... Their tokens
in a row are the document's tokens: bos is in the first part only, eos in the last. The account
counts such a document once for each part. Footers hold the number of tokens and the tokenizer's
digest, so the trainer refuses shards of different tokenizers. The folder also holds a copy of the
tokenizer (`tokenizer/`) for the export, and a description (`packing.json`).
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.parquet_output import ROW_GROUP_BYTES
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import (
    DOCUMENT,
    EXCLUSION,
    LICENCE,
    LINKED_PARENT,
    QUESTION,
    excluded,
    extended,
)
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.blend.copies import BLEND_SOURCE, EPOCH, PHASE
from corpusmill.stages.contract import (
    DOCUMENTS,
    EXCLUDED,
    Account,
    GlobalStage,
    Inputs,
    Pass,
    Passes,
)
from corpusmill.stages.pack.images import COLUMNS as IMAGE_COLUMNS
from corpusmill.stages.pack.images import ImagePacking, refuse_images
from corpusmill.stages.readers import ReaderSettings
from corpusmill.stages.readers.documents import count_reasons, input_shards, read_documents
from corpusmill.stages.tokenizer import loaded as tokens
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer
from corpusmill.trainer import token_shards
from corpusmill.vision.config import Tiling
from corpusmill.vision.pixels import ImageError
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

TOKENS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("tokens", pa.list_(pa.int32())),
        ("n_prompt", pa.int32()),  # first tokens, without loss; 0 in pre-training
        ("source", pa.string()),  # the blend's source, or else the document's
        # The document that this one was made from; null if it was made from none. What is held out
        # of training follows it. Of two parents, the one that is held out first, so that a row is
        # held out if either is.
        ("root", pa.string()),
        EPOCH,
        PHASE,  # of the blend; null if it has none
        ("part", pa.int32()),
        ("n_tokens", pa.int32()),  # length of `tokens`; footers and manifests sum it
    ]
)
WITH_IMAGES = pa.schema([*TOKENS, *IMAGE_COLUMNS])
DROPPED = extended(LICENCE, *EXCLUSION)
TOKENIZER = "tokenizer"
# Keys in the footer of a token shard.
N_TOKENS, TOKENIZER_KEY = token_shards.N_TOKENS.decode(), token_shards.TOKENIZER.decode()
# The shard that copies the tokenizer. No other shard has an equals sign in its name.
COPY = "tokenizer=copy"
PACKING = "packing.json"


class Pack(GlobalStage):
    """Tokenise documents into the trainer's token shards."""

    name: ClassVar[str] = "pack"
    version: ClassVar[int] = 8
    account: ClassVar[Account] = Account.ONE_TO_MANY

    tokenizer: str
    """A folder, or a name on the Hugging Face hub."""
    add_bos: bool = False
    """Begin every document with bos."""
    add_eos: bool = True
    """End every document with eos."""
    max_document_tokens: int = Field(default=1 << 20, ge=3)
    """A longer document becomes several rows. One with an image is excluded."""
    row_group_tokens: PositiveInt = 1 << 20
    """Tokens of a row group. 1 to 2 million are read in about 20 ms."""
    images: Tiling | None = None
    """How images become tokens: the tiling of `train.vision`. Null: there are no images."""
    reader: ReaderSettings = ReaderSettings()
    """How raw files are read."""

    def depends_on(self) -> str:
        return _checked(self).digest

    def vocabulary_size(self) -> int:
        """One more than the largest token that it can write."""
        tokenizer = _checked(self)
        if self.images is not None:
            tokenizer = ImagePacking.of(self.images, tokenizer).tokenizer
        return tokenizer.vocabulary_size

    def passes(self, inputs: Inputs) -> Passes:
        shards: dict[str, tuple[Artifact, ...]] = {
            name: (artifact,)
            for name, artifact in input_shards(inputs.documents, self.name).items()
        }
        yield Pass(name="pack", shards=shards | {COPY: ()}, work=partial(_pack, self), final=True)


def split_evenly(ids: NDArray[np.int32], limit: int) -> list[NDArray[np.int32]]:
    """Cut `ids` into the fewest parts of at most `limit` ids, of nearly equal length."""
    return np.array_split(ids, -(-len(ids) // limit))


def _checked(config: Pack) -> LoadedTokenizer:
    """The tokenizer. Raises ModelError if it lacks a token that the settings ask for."""
    tokenizer = tokens.load(config.tokenizer)
    for wanted, token, key in (
        (config.add_eos, tokenizer.eos, "eos"),
        (config.add_bos, tokenizer.bos, "bos"),
    ):
        if wanted and token is None:
            raise ModelError(
                f"the tokenizer {config.tokenizer} has no {key} token",
                f"add {key}_token to its tokenizer_config.json, take another tokenizer, "
                f"or set add_{key}: false",
            )
    return tokenizer


def _pack(config: Pack, shard: Shard) -> list[Counts]:
    """Tokenise one input shard. The shard without input copies the tokenizer."""
    tokenizer = _checked(config)
    images = ImagePacking.of(config.images, tokenizer) if config.images else None
    account = Counts(Pack.name)
    if not shard.inputs:
        _write_tokenizer(tokenizer, images, shard)
        return [account]
    schema = WITH_IMAGES if images else TOKENS
    also = (BLEND_SOURCE, EPOCH, PHASE, LINKED_PARENT, *IMAGE_COLUMNS)
    also += (QUESTION,) if images else ()
    with (
        # Row groups end by tokens, below.
        shard.parquet(DOCUMENTS, schema, row_group_bytes=1 << 62) as output,
        shard.parquet(EXCLUDED, DROPPED) as excluded_output,
    ):
        waiting = documents = 0
        tables = read_documents(shard.inputs[0], config.reader, Pack.name, also)
        for table in shard.counted(shard.inputs[0], tables):
            readable = table.filter(pc.is_null(table["reason"]))
            unreadable = table.filter(pc.is_valid(table["reason"]))
            excluded_output.write(unreadable)
            count_reasons(account, unreadable["reason"].to_pylist())
            if images is None:
                refuse_images(readable)
            for rows, dropped in _token_rows(config, tokenizer, images, readable):
                output.write(rows)
                account.repeats += pc.sum(pc.greater(rows["part"], 0)).as_py() or 0
                excluded_output.write(dropped)
                waiting += pc.sum(rows["n_tokens"]).as_py() or 0
                if waiting >= config.row_group_tokens or output.waiting_bytes >= ROW_GROUP_BYTES:
                    output.flush()
                    waiting = 0
                count_reasons(account, dropped["reason"].to_pylist())
            account.text_bytes += pc.sum(pc.binary_length(readable["text"])).as_py() or 0
            documents += table.num_rows
            shard.report(documents)
        packed_with = images.tokenizer if images else tokenizer
        output.describe({N_TOKENS: str(output.tokens), TOKENIZER_KEY: packed_with.digest})
        if images:
            output.describe(images.facts)
    account.kept, account.tokens = output.rows, output.tokens
    account.rows_in = shard.rows_read
    return [account]


def _token_rows(
    config: Pack, tokenizer: LoadedTokenizer, images: ImagePacking | None, table: pa.Table
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Batches of (rows of `TOKENS`, with the columns of images if there are some; documents that
    gave none).
    """
    before = [tokenizer.bos] if config.add_bos else []
    after = [tokenizer.eos] if config.add_eos else []
    texts = table["text"].to_pylist()
    sizes = [len(text or "") for text in texts]
    for start, end in tokens.batches(sizes):
        batch = table.slice(start, end - start)
        encoded = tokenizer.encode([text or "" for text in texts[start:end]])
        prompts = images.prompts(batch) if images else [[]] * len(encoded)
        parts: list[NDArray[np.int32]] = []
        rows: list[int] = []
        numbers: list[int] = []
        in_prompts: list[int] = []
        reasons: dict[int, tuple[str, str | None]] = {}
        for row, (prompt, ids) in enumerate(zip(prompts, encoded, strict=True)):
            if isinstance(prompt, ImageError):
                reasons[row] = (prompt.reason, prompt.detail)
            elif not ids:
                reasons[row] = ("pack.empty", None)
            elif prompt and len(prompt) + len(ids) + 2 > config.max_document_tokens:
                reasons[row] = ("pack.image_too_long", f"{len(prompt)} + {len(ids)} tokens")
            else:
                pieces = split_evenly(
                    np.array([*before, *prompt, *ids, *after], dtype=np.int32),
                    config.max_document_tokens,
                )
                parts += pieces
                rows += [row] * len(pieces)
                numbers += range(len(pieces))
                in_prompts += [len(before) + len(prompt) if prompt else 0] * len(pieces)
        lengths = np.array([len(part) for part in parts], dtype=np.int32)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        flat = np.concatenate([np.empty(0, np.int32), *parts])
        documents = batch.take(pa.array(rows, pa.int64()))
        columns = {
            "id": documents["id"],
            "tokens": pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat)),
            "n_prompt": np.array(in_prompts, np.int32),
            "source": pc.coalesce(documents["blend_source"], documents["source"]),
            "root": _roots(documents),
            "epoch": pc.fill_null(documents["epoch"], 0),
            "phase": documents["phase"],
            "part": np.array(numbers, np.int32),
            "n_tokens": lengths,
        }
        if images:
            columns |= {field.name: documents[field.name] for field in IMAGE_COLUMNS}
        dropped = batch.take(pa.array(list(reasons), pa.int64())).select(
            [*DOCUMENT.names, LICENCE.name]
        )
        codes, details = zip(*reasons.values(), strict=True) if reasons else ((), ())
        yield (
            pa.table(columns, schema=WITH_IMAGES if images else TOKENS),
            excluded(dropped, Pack.name, codes, details),
        )


def _roots(documents: pa.Table) -> pa.ChunkedArray:
    parent = pc.struct_field(documents["lineage"], "parent")
    other = pc.struct_field(documents[LINKED_PARENT.name], "parent")
    if other.null_count == len(other):
        return parent
    both = zip(parent.to_pylist(), other.to_pylist(), strict=True)
    known = ([name for name in names if name is not None] for names in both)
    first = [min(names, key=token_shards.held_out_place, default=None) for names in known]
    return pa.chunked_array([pa.array(first, pa.string())])


def _write_tokenizer(tokenizer: LoadedTokenizer, images: ImagePacking | None, shard: Shard) -> None:
    files = images.files if images else tokens.portable_files(tokenizer)
    tokenizer = images.tokenizer if images else tokenizer
    for name, data in sorted(files.items()):
        shard.file(TOKENIZER, name, data)
    record = {
        "tokenizer": {
            "digest": tokenizer.digest,
            "vocabulary_size": tokenizer.vocabulary_size,
            "bos": tokenizer.bos,
            "eos": tokenizer.eos,
            "pad": tokenizer.pad,
        }
    }
    shard.file("", PACKING, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
