"""The pool: a mixture is exactly the rows that it takes, and what it does not take is not read."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import parquet_files
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.pipeline.accounts import LostRows, check_shard
from corpusmill.stages.mix import pool as pool_module
from corpusmill.stages.mix.pool import MEASURED, write_mixture

GROUP = 4


def token_file(path, rows):
    """Row number n holds the tokens n, n. The row groups have 4 rows."""
    table = pa.table(
        {
            "id": [str(row) for row in rows],
            "tokens": pa.array([[row, row] for row in rows], pa.list_(pa.int32())),
            "n_prompt": pa.array([0] * len(rows), pa.int32()),
            "root": pa.nulls(len(rows), pa.string()),
        }
    )
    pq.write_table(table, path, row_group_size=GROUP)
    return Artifact(str(path), "", path.stat().st_size)


def measured_file(path, sources):
    table = {"source": sources, "key": range(len(sources)), "weight": [2] * len(sources)}
    pq.write_table(pa.table({name: list(one) for name, one in table.items()}, MEASURED), path)
    return Artifact(str(path), "", path.stat().st_size)


@pytest.fixture
def pool(tmp_path):
    """Two files: web alone in the first; a row group of web and two of code in the second."""
    return (
        [
            token_file(tmp_path / "a.parquet", range(8)),
            token_file(tmp_path / "b.parquet", range(12)),
        ],
        [
            measured_file(tmp_path / "ma.parquet", ["web"] * 8),
            measured_file(tmp_path / "mb.parquet", ["web"] * 4 + ["code"] * 8),
        ],
    )


def test_row_groups_of_which_nothing_is_taken_are_not_read(tmp_path, pool, monkeypatch):
    files, measured = pool
    read = []

    class Recorded(pq.ParquetFile):
        def read_row_group(self, number, **options):
            found = super().read_row_group(number, **options)
            if "tokens" in found.column_names:
                read.append(number)
            return found

    monkeypatch.setattr(parquet_files.pq, "ParquetFile", Recorded)
    shard = Shard("run", tuple(files), str(tmp_path))
    # Once all of code, and once more the documents with keys 4 and 5.
    taken = {"code": (1, 6), "web": (0, 0)}
    paths, rows = write_mixture(shard, files, measured, taken, tmp_path / "mixture")
    assert read == [1, 2]
    assert rows == 8
    (path,) = paths
    assert pq.read_table(path)["id"].to_pylist() == [str(n) for n in [4, 4, 5, 5, *range(6, 12)]]
    assert pq.read_metadata(path).metadata[b"corpusmill.n_tokens"] == b"20"
    assert shard.rows_of == {files[0].path: 8, files[1].path: 12}


def test_a_threshold_within_row_groups_takes_those_rows(tmp_path, pool):
    files, measured = pool
    shard = Shard("run", tuple(files), str(tmp_path))
    taken = {"code": (0, 9), "web": (0, 2)}
    paths, rows = write_mixture(shard, files, measured, taken, tmp_path / "mixture")
    found = np.concatenate([pq.read_table(path)["id"].to_numpy() for path in paths])
    assert found.tolist() == ["0", "1", "0", "1", "4", "5", "6", "7", "8"]
    assert rows == 9


def test_a_row_that_is_taken_and_not_read_is_missed(tmp_path, pool, monkeypatch):
    files, measured = pool
    files = [replace(file, rows=rows) for file, rows in zip(files, (8, 12), strict=True)]
    shard = Shard("run", tuple(files), str(tmp_path))

    def wrong(artifact, columns=None, wanted=None):
        for table in parquet_files.read_parquet(artifact, columns, wanted):
            yield table if wanted is None else table.slice(1)

    monkeypatch.setattr(pool_module, "read_parquet", wrong)
    taken = {"code": (1, 0), "web": (0, 0)}
    write_mixture(shard, files, measured, taken, tmp_path / "mixture")
    with pytest.raises(LostRows, match=r"mix read 10 of the 12 rows of .*b\.parquet"):
        check_shard("mix", shard, [])
