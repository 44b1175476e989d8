"""Faults of the storage are not damage in a file. They end the shard's attempt, so that another
attempt reads the whole file.
"""

import gzip
import io
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.stages.readers import ReaderSettings, read_records

RECORD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:%d>\r\nWARC-Target-URI: http://example.org/%d\r\n"
    b"Content-Length: %d\r\n\r\n%s\r\n\r\n"
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>A page.</p>" + b"<p>more</p>" * 5000


class FailsOnce(io.BytesIO):
    """A file whose read number `at` fails."""

    def __init__(self, data: bytes, at: int) -> None:
        super().__init__(data)
        self.left = at

    def read(self, size: int | None = -1) -> bytes:
        self.left -= 1
        if self.left == 0:
            raise TimeoutError("the store did not answer")
        return super().read(size)


def warc() -> bytes:
    return b"".join(gzip.compress(RECORD % (n, n, len(ANSWER), ANSWER), 0) for n in range(4))


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"text": [f"text {n} " * 50 for n in range(4000)]}), sink, row_group_size=1000
    )
    return sink.getvalue()


@pytest.mark.parametrize(("name", "make"), [("pages.warc.gz", warc), ("rows.parquet", parquet)])
def test_a_fault_of_the_storage_is_raised_wherever_it_comes(monkeypatch, tmp_path, name, make):
    data = make()
    path = tmp_path / name
    path.write_bytes(data)
    artifact = storage.artifact_of(str(path))
    whole = sum(table.num_rows for table in read_records(artifact, ReaderSettings()))
    failed = 0
    for at in range(1, 12):

        @contextmanager
        def opened(_path, at=at):
            yield FailsOnce(data, at)

        with monkeypatch.context() as patch:
            patch.setattr(storage, "open_read", opened)
            try:
                rows = sum(table.num_rows for table in read_records(artifact, ReaderSettings()))
            except OSError as error:
                failed += "did not answer" in str(error)
            else:
                assert rows == whole
    assert failed >= 3
