"""Faults of the storage are not damage in a file. They end the shard's attempt, so that another
attempt reads the whole file.
"""

import gzip
import io
import itertools
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.readers import ReaderSettings, read_records
from corpusmill.stages.readers.data_files import why_left_out
from corpusmill.stages.readers.own import OwnReader

from tests.stages.readers import arc_bytes
from tests.stages.readers.test_compression import PACKS

RECORD = (
    b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:%d>\r\nWARC-Target-URI: http://example.org/%d\r\n"
    b"Content-Length: %d\r\n\r\n%s\r\n\r\n"
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>A page.</p>" + b"<p>more</p>" * 5000


class FailsAt(io.BytesIO):
    """A file whose read number `at` fails. reads: the numbers of its reads."""

    def __init__(self, data: bytes, at: int, reads: Iterator[int]) -> None:
        super().__init__(data)
        self.at, self.reads = at, reads

    def read(self, size: int | None = -1) -> bytes:
        if next(self.reads) == self.at:
            raise TimeoutError("the store did not answer")
        return super().read(size)


def warc() -> bytes:
    return b"".join(gzip.compress(RECORD % (n, n, len(ANSWER), ANSWER), 0) for n in range(4))


def arc() -> bytes:
    return b"".join(arc_bytes.pages(8))


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"text": [f"text {n} " * 50 for n in range(4000)]}), sink, row_group_size=1000
    )
    return sink.getvalue()


def lines() -> bytes:
    draw = random.Random(0)
    return b"".join(b'{"text": "%s"}\n' % draw.randbytes(500).hex().encode() for _ in range(90))


FILES = {"pages.warc.gz": warc, "rows.parquet": parquet} | {
    f"{name} in {kind}": partial(pack, data())
    for name, data in (("rows.jsonl", lines), ("notes.txt", lines), ("pages.arc", arc))
    for kind, pack in PACKS.items()
    if " " not in kind
}


def rows_or_fault(path: str) -> list[dict[str, object]] | str:
    """All rows of a file, or the message of the storage's fault."""
    try:
        tables = list(read_records(Artifact(path, "", 0), ReaderSettings()))
    except OSError as error:
        return str(error)
    return pa.concat_tables(tables).to_pylist()


@pytest.fixture
def fail(monkeypatch):
    """Lets the read number `at` of a file fail, counted over all times that it is opened."""

    def failing(data: bytes, at: int) -> None:
        reads = itertools.count(1)
        monkeypatch.setattr(storage, "open_read", lambda _: FailsAt(data, at, reads))

    return failing


@pytest.mark.parametrize("name", FILES)
def test_a_fault_of_the_storage_is_raised_wherever_it_comes(fail, tmp_path, name):
    data = FILES[name]()
    path = tmp_path / name.partition(" ")[0]
    path.write_bytes(data)
    whole = rows_or_fault(str(path))
    assert isinstance(whole, list)
    assert not any(row["error"] for row in whole)
    found = []
    for at in range(1, 20):
        fail(data, at)
        found.append(rows_or_fault(str(path)))
    faults = [rows for rows in found if rows == "the store did not answer"]
    assert [rows for rows in found if rows != whole] == faults
    assert len(faults) >= 3


@pytest.mark.parametrize("kind", ["gzip", "lz4", "zip"])
def test_a_fault_leaves_no_file_of_a_folder_out(fail, tmp_path, kind):
    data = PACKS[kind](lines())
    path = tmp_path / "rows"
    for at in range(1, 12):
        fail(data, at)
        assert why_left_out(str(path)) == ""


@pytest.mark.parametrize("at", range(1, 4))
def test_a_reader_of_ones_own_may_not_hide_a_fault(fail, tmp_path, at):
    path = tmp_path / "rows"
    path.write_bytes(b"line\n" * 100_000)
    own = ReaderSettings(own=f"{__name__}:Careless")
    fail(path.read_bytes(), at)
    with pytest.raises(TimeoutError):
        list(read_records(Artifact(str(path), "", 0), own))


class Careless(OwnReader):
    """A reader that takes every error for the end of the file."""

    def records(self, path: str, file: IO[bytes]) -> Iterator[Mapping[str, Any]]:
        with suppress(OSError):
            for line in file:
                yield {"text": line.decode()}
