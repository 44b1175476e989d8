"""Tokenizer: train a byte-level BPE on documents. Write it as a folder that `AutoTokenizer` loads.

The tokenizer is byte-level (`bpe`). So every text survives a round trip, and there is no unknown
token.

The text is a sample bounded in bytes. A hash of each document's id chooses it. Training sees only
sums of word counts. So the result does not depend on the order of documents or on their shards.

    measure -> plan -> sample -> tokenizer (one task; the library uses all cores)
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes
from corpusmill.stages.quota import WEIGHED, draw, keys_of, read_weights
from corpusmill.stages.readers import ReaderSettings
from corpusmill.stages.readers.documents import input_shards, read_documents
from corpusmill.stages.tokenizer.bpe import (
    CHAT_TEMPLATE,
    RESERVED,
    SPECIAL_TOKENS,
    as_json,
    tokenizer_files,
    train_bpe,
)
from pydantic import NonNegativeInt, PositiveInt, model_validator

FOLDER = "tokenizer"
REPORT = "training.json"
SAMPLED = pa.schema([("key", pa.int64()), ("text", pa.string())])
MEASURED_BYTES = 4 << 20  # of the sample: from these comes the report's bytes_per_token


class Tokenizer(GlobalStage):
    """Train a byte-level BPE tokenizer."""

    name: ClassVar[str] = "tokenizer"
    version: ClassVar[int] = 3
    account: ClassVar[Account] = Account.MANY_TO_ONE

    vocab_size: PositiveInt = 131072
    """Tokens, special ones included (Nemotron-H: 131,072). A multiple of 128 suits GPUs."""
    special_tokens: tuple[str, ...] = SPECIAL_TOKENS
    """Tokens that no text is cut into. The first three are pad, bos and eos."""
    chat_template: str = CHAT_TEMPLATE
    """A chat template in Jinja, for models trained with this tokenizer."""
    sample_bytes: PositiveInt = 2 << 30
    """Bytes of text to train on."""
    min_frequency: NonNegativeInt = 2
    """A pair seen less often is not merged."""
    model_max_length: PositiveInt = 8192
    """Tokens of the longest input, noted for those who load the tokenizer. It cuts nothing here."""
    seed: int = 0
    """Seed of the sample."""
    reader: ReaderSettings = ReaderSettings()
    """How raw files are read."""

    @model_validator(mode="after")
    def _tokens_have_room(self) -> Self:
        if len(self.special_tokens) < 3 or len(set(self.special_tokens)) < len(self.special_tokens):
            raise RecipeError(
                f"special_tokens is {list(self.special_tokens)}",
                "name pad, bos and eos first, and no token twice",
            )
        least = len(self.special_tokens) + 256
        if self.vocab_size < least:
            raise RecipeError(
                f"vocab_size is {self.vocab_size}, which has no room for 256 bytes "
                f"and {len(self.special_tokens)} special tokens",
                f"give at least {least}",
            )
        missing = [
            token
            for token in RESERVED
            if token in self.chat_template and token not in self.special_tokens
        ]
        if missing:
            raise RecipeError(
                f"the chat template uses {missing[0]}, which is not among special_tokens",
                "add it there, or set chat_template",
            )
        return self

    def depends_on(self) -> str:
        import tokenizers

        return f"tokenizers {tokenizers.__version__}"

    def passes(self, inputs: Inputs) -> Passes:
        files = input_shards(inputs.documents, self.name)
        measured = yield Pass(
            name="measure",
            shards={name: (file,) for name, file in files.items()},
            work=partial(_measure, self),
        )
        weighed = {name: receipt.outputs[0] for name, receipt in sorted(measured.receipts.items())}
        planned = yield Pass(
            name="plan", shards={"plan": tuple(weighed.values())}, work=partial(_plan, self)
        )
        plan = planned.outputs()[0]
        sampled = yield Pass(
            name="sample",
            shards={name: (files[name], weighed[name], plan) for name in weighed},
            work=partial(_sample, self),
        )
        yield Pass(
            name="tokenizer",
            shards={"tokenizer": (plan, *sampled.outputs())},
            work=partial(_train, self),
            final=True,
        )


def _measure(settings: Tokenizer, shard: Shard) -> list[Counts]:
    """Write the key and text bytes of every document that has text."""
    with shard.parquet("work/measure", WEIGHED) as output:
        offset = 0
        for table in read_documents(shard.inputs[0], settings.reader, Tokenizer.name):
            sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
            rows = np.flatnonzero(sizes)
            columns: dict[str, Any] = {
                "row": rows + offset,
                "group": np.zeros(len(rows), np.int16),
                "key": keys_of(
                    table["id"].take(pa.array(rows)).to_pylist(), settings.seed, "tokenizer"
                ),
                "weight": sizes[rows],
            }
            output.write(pa.table(columns))
            offset += table.num_rows
            shard.report(offset)
    return []


def _plan(settings: Tokenizer, shard: Shard) -> list[Counts]:
    """Find the key below which the documents have `sample_bytes` together."""

    drawn = draw(partial(read_weights, shard.inputs), {0: settings.sample_bytes})[0]
    if not drawn.documents:
        raise RecipeError(
            f"there is no document to learn from, or none that fits into a sample of "
            f"{settings.sample_bytes} bytes",
            "check the input (`corpusmill inspect`), or raise sample_bytes",
        )
    plan = {
        "documents": drawn.documents,
        "text_bytes": drawn.weight,
        "threshold": f"{drawn.threshold:x}",
    }
    shard.file("work/plan", REPORT, as_json(plan))
    return []


def _sample(settings: Tokenizer, shard: Shard) -> list[Counts]:
    """Copy the text of the drawn documents."""
    threshold = int(json.loads(storage.read_bytes(shard.inputs[2].path))["threshold"], 16)
    weighed = pa.concat_tables([WEIGHED.empty_table(), *shard.read(shard.inputs[1])])
    chosen = weighed["key"].to_numpy().astype(np.uint64) < np.uint64(threshold)
    drawn = weighed.filter(pa.array(chosen))
    row_of = drawn["row"].to_numpy()
    account = Counts(Tokenizer.name)
    with shard.parquet("work/sample", SAMPLED) as output:
        offset = 0
        documents = read_documents(shard.inputs[0], settings.reader, Tokenizer.name)
        for table in shard.counted(shard.inputs[0], documents):
            first, end = row_of.searchsorted([offset, offset + table.num_rows])
            rows = pa.array(row_of[first:end] - offset)
            key, text = drawn["key"].slice(first, end - first), table["text"].take(rows)
            sampled = pa.table([key, text], schema=SAMPLED)
            output.send(sampled)
            output.write(sampled)
            offset += table.num_rows
            no_text = pc.sum(pc.equal(pc.fill_null(pc.binary_length(table["text"]), 0), 0)).as_py()
            account.leave_out(f"{Tokenizer.name}.no_text", no_text or 0)
    account.leave_out(f"{Tokenizer.name}.not_sampled", int(np.count_nonzero(~chosen)))
    account.rows_in, account.sent = shard.rows_read, shard.rows_sent
    return [account]


def _train(settings: Tokenizer, shard: Shard) -> list[Counts]:
    """Train on the whole sample. Write the tokenizer's folder and a report of the training."""
    plan = json.loads(storage.read_bytes(shard.inputs[0].path))
    account = Counts(Tokenizer.name, text_bytes=plan["text_bytes"])

    def texts(below: int, counted: bool = False) -> Iterator[str]:
        for artifact in shard.inputs[1:]:
            for table in read_parquet(artifact):
                if counted:
                    shard.receive(artifact, table)
                chosen = table["text"].filter(
                    pa.array(table["key"].to_numpy().astype(np.uint64) < np.uint64(below))
                )
                account.kept += len(chosen) if counted else 0
                for text in chosen:
                    yield text.as_py()

    threshold = int(plan["threshold"], 16)
    tokenizer = train_bpe(texts(threshold, counted=True), settings)
    account.received = shard.rows_received
    for name, data in tokenizer_files(tokenizer, settings).items():
        shard.file(FOLDER, name, data)
    some = min(threshold, threshold * MEASURED_BYTES // max(plan["text_bytes"], 1) + 1)
    measured = list(texts(some)) or list(texts(threshold))[:1]
    n_tokens = sum(
        len(encoding.ids)
        for encoding in tokenizer.encode_batch_fast(measured, add_special_tokens=False)
    )
    report = {
        "documents": plan["documents"],
        "text_bytes": plan["text_bytes"],
        "vocabulary_size": tokenizer.get_vocab_size(),
        "bytes_per_token": round(sum(len(text.encode()) for text in measured) / n_tokens, 4),
    }
    shard.file("", REPORT, as_json(report))
    return [account]
