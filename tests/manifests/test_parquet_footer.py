"""What a shard's footer tells without reading rows."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_files import may_hold


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], False),
        ([["actual", None]], False),
        ([[None, None]], False),
        ([["actual"], ["synthetic"]], True),
        ([["actual", "unheard"]], True),  # within the bounds is all that a footer tells
    ],
)
def test_a_footer_tells_where_a_value_cannot_be(tmp_path, groups, expected):
    schema = pa.schema([("text", pa.string()), ("kind", pa.string())])
    with pq.ParquetWriter(tmp_path / "shard.parquet", schema) as writer:
        for kinds in groups:
            writer.write_table(pa.table([["synthetic"] * len(kinds), kinds], schema=schema))
    assert may_hold(str(tmp_path / "shard.parquet"), "kind", "synthetic") is expected
    assert not may_hold(str(tmp_path / "shard.parquet"), "level", "synthetic")


def test_without_statistics_every_value_may_be_there(tmp_path):
    pq.write_table(
        pa.table({"kind": ["actual"]}), tmp_path / "shard.parquet", write_statistics=False
    )
    assert may_hold(str(tmp_path / "shard.parquet"), "kind", "synthetic")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "shard.parquet").write_bytes(b"no Parquet")
    with pytest.raises(InputError, match=r"shard\.parquet is not a readable Parquet file"):
        may_hold(str(tmp_path / "shard.parquet"), "kind", "synthetic")
