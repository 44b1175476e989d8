"""Documents from any input: a stage's shards unchanged, raw files through the readers."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.readers import ReaderSettings
from corpusmill.stages.readers.documents import (
    BATCH_ROWS,
    input_shards,
    is_document_shard,
    read_documents,
)

from tests.stages.small_corpus import documents, write_shard


def read(path, **settings):
    tables = list(
        read_documents(storage.artifact_of(str(path)), ReaderSettings(**settings), "blend")
    )
    return tables, [row for table in tables for row in table.to_pylist()]


def test_shards_keep_every_column_and_their_order(tmp_path):
    rows = documents("doc", 2 * BATCH_ROWS + 3, level="high", kind="synthetic", prompt="list")
    tables, found = read(write_shard(tmp_path / "in.parquet", rows))
    assert [table.num_rows for table in tables] == [BATCH_ROWS, BATCH_ROWS, 3]
    assert [{key: row[key] for key in rows[0]} for row in found] == rows


def test_raw_parquet_is_not_taken_for_a_shard(tmp_path):
    path = tmp_path / "raw.parquet"
    pq.write_table(pa.table({"text": ["eins"], "n_tokens": [7]}), path)
    assert not is_document_shard(storage.artifact_of(str(path)))
    _, (row,) = read(path)
    assert (row["text"], row["source"], row["kind"], row["n_tokens"]) == (
        "eins",
        "raw",
        "actual",
        None,
    )


def test_a_record_that_cannot_be_read_carries_stage_and_reason(tmp_path):
    path = tmp_path / "raw.jsonl"
    path.write_text('{"text": "eins"}\n{"text": \n', encoding="utf-8")
    _, (good, bad) = read(path)
    assert (good["stage"], good["reason"]) == (None, None)
    assert bad["stage"] == "blend"
    assert bad["reason"].startswith("error_read.")


def test_nothing_to_read_is_refused():
    with pytest.raises(RecipeError, match="pack has nothing to read"):
        input_shards((), "pack")
