"""Token shards and a tokenizer, made in a test."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models


def write_shards(folder: Path, vocabulary: int, documents: int = 60) -> list[Path]:
    """Two shards of documents in which the next token mostly follows from the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(7)
    rows = []
    for number in range(documents):
        tokens = [draw.randrange(vocabulary)]
        for _ in range(draw.randint(20, 60)):
            after = (5 * tokens[-1] + 3) % vocabulary
            tokens.append(after if draw.random() < 0.8 else draw.randrange(vocabulary))
        rows.append({"id": f"doc-{number}", "tokens": tokens, "n_prompt": 0, "source": "test"})
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("n_prompt", pa.int32()),
            ("source", pa.string()),
        ]
    )
    paths = []
    for shard in range(2):
        path = folder / f"shard-{shard:03d}.parquet"
        table = pa.Table.from_pylist(rows[shard::2], schema)
        pq.write_table(table, path, row_group_size=8)
        paths.append(path)
    return paths


def write_tokenizer(folder: Path, vocabulary: int) -> Path:
    """A tokenizer of as many words."""
    folder.mkdir(parents=True, exist_ok=True)
    words = {f"t{number}": number for number in range(vocabulary)}
    Tokenizer(models.WordLevel(words, unk_token="t0")).save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
