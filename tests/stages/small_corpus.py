"""What tests of blend, pack and tokenizer share: documents, a small tokenizer, a way to run."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests.manifest import Manifest
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.tokenizer.bpe import tokenizer_files, train_bpe
from corpusmill.stages.tokenizer.stage import Tokenizer

SYLLABLES = ("ka", "no", "ri", "tel", "mos", "ab", "ün", "sta", "wö", "pe", "lin", "qu")


def text(seed: int, words: int) -> str:
    chosen = random.Random(seed)
    return " ".join(
        "".join(chosen.choices(SYLLABLES, k=chosen.randint(1, 4)))
        + chosen.choice(("", "", ",", ".\n", " 17"))
        for _ in range(words)
    )


def documents(prefix: str, count: int, **columns: Any) -> list[dict[str, Any]]:
    """`count` documents of 1 to 40 words. n_tokens is that number, unless `columns` has another."""
    rows = []
    for number in range(count):
        words = random.Random(f"{prefix}{number}").randint(1, 40)
        rows.append(
            {
                "id": f"{prefix}-{number:05d}",
                "text": text(number, words),
                "n_tokens": words,
                "source": f"from {prefix}",
                "kind": "actual",
                **columns,
            }
        )
    return rows


def write_shard(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=DOCUMENT), path)
    return str(path)


def run(verb: str, settings: Mapping[str, Any], output: Path, *inputs: str) -> Manifest:
    return run_step(Step(verb, verb, (), settings), inputs, str(output), InlineRunner())


def rows_of(folder: Path, below: str = "documents") -> list[dict[str, Any]]:
    """Every row of a stage's shards, shard after shard."""
    return [
        row
        for path in sorted((folder / below).glob("*.parquet"))
        for table in read_parquet(str(path))
        for row in table.to_pylist()
    ]


def bytes_of(folder: Path, *below: str) -> dict[str, bytes]:
    """Name -> bytes of the files below the given parts of a stage's folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in below
        for path in sorted((folder / part).rglob("*"))
        if path.is_file()
    }


def small_tokenizer(folder: Path, **changes: Any) -> str:
    """A byte-level BPE of 400 tokens, trained here."""
    settings = Tokenizer(vocab_size=400, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in tokenizer_files(train_bpe(iter([text(1, 4000)]), settings), settings).items():
        (folder / name).write_bytes(data)
    return str(folder)
