"""Reading a shard: a storage error stays an OSError, a damaged file becomes an InputError."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError
from corpusmill.manifests.parquet_files import may_hold, read_parquet, schema_of
from corpusmill.manifests.shard import Shard
from corpusmill.stages.shuffle.row_groups import read_range


def parquet():
    sink = io.BytesIO()
    pq.write_table(pa.table({"node": range(4000)}), sink, row_group_size=1000)
    return sink.getvalue()


class Fails(io.BytesIO):
    """A file. Its read number `at` fails."""

    left = 0

    def read(self, size=-1):
        self.left -= 1
        if self.left == 0:
            raise OSError(5, "Input/output error")
        return super().read(size)


def ranged(path):
    return [
        read_range(
            Shard("reader", (), "nowhere"),
            [storage.artifact_of(path)],
            "node",
            0,
            9000,
            pa.schema([("node", pa.int64())]),
        )
    ]


def footer(path):
    return [may_hold(path, "text", "word")]


@pytest.mark.parametrize("read", [read_parquet, schema_of, footer, ranged])
def test_a_fault_is_raised_and_damage_is_named(monkeypatch, tmp_path, read):
    path = str(tmp_path / "a.parquet")
    data = parquet()
    (tmp_path / "a.parquet").write_bytes(data)
    artifact = storage.artifact_of(path)
    faults = 0
    for at in range(1, 12):
        file = Fails(data)
        file.left = at
        with monkeypatch.context() as patch:
            patch.setattr(storage, "artifact_of", lambda _: artifact)
            patch.setattr(storage, "open_read", lambda _, file=file: file)
            try:
                list(read(path))
            except OSError as error:
                faults += error.errno == 5
    assert faults >= 1
    (tmp_path / "a.parquet").write_bytes(data[:-20] + b"x" * 20)
    with pytest.raises(InputError, match=r"a\.parquet"):
        list(read(path))


def test_a_damaged_row_group_is_damage(tmp_path):
    path = tmp_path / "a.parquet"
    data = bytearray(parquet())
    data[100:400] = b"\xff" * 300
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet is damaged"):
        list(read_parquet(str(path)))
