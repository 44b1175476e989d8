"""A run on an object store: moto's S3 server on loopback, used through s3fs like a real bucket."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import CorpusmillError, InputError, StorageError
from corpusmill.manifests.looking.diff import diff
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.stores import make_new
from corpusmill.pipeline import lease
from corpusmill.pipeline.api import run_stage

from tests.command_line import ROOT
from tests.object_store import object_store

TEXT = "The river rises in the northern hills, and it reaches the sea after many days.\n"


@pytest.fixture(scope="module")
def environment():
    """Environment variables that lead boto and s3fs to the server. The bucket exists."""
    with object_store() as (variables, _):
        yield variables


@pytest.fixture
def bucket(environment, request):
    """A folder in the bucket for one test."""
    return f"s3://bucket/{request.node.name}"


def corpusmill(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "corpusmill.cli", *arguments],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_a_file_is_written_listed_read_and_removed(bucket):
    artifact = storage.write_bytes(f"{bucket}/folder/file.bin", b"some bytes")
    assert artifact.digest == hashlib.sha256(b"some bytes").hexdigest()
    assert storage.matches(artifact)
    assert finding.expand([bucket]) == [f"{bucket}/folder/file.bin"]
    assert finding.expand([f"{bucket}/*/*.bin"]) == [f"{bucket}/folder/file.bin"]
    assert finding.names_in(bucket) == ["folder"]
    assert storage.read_bytes(artifact.path) == b"some bytes"
    storage.remove(artifact.path)
    assert finding.expand([bucket] if storage.exists(artifact.path) else []) == []
    with pytest.raises(InputError, match="matches no file"):
        finding.expand([bucket])


def test_a_glob_finds_files_and_none_that_is_hidden(bucket):
    for name in ("a.jsonl", ".a.jsonl.partial", ".tmp/b.jsonl", "deep/c.jsonl"):
        storage.write_bytes(f"{bucket}/{name}", b"{}")
    assert finding.expand([f"{bucket}/*"]) == [f"{bucket}/a.jsonl"]
    assert finding.expand([f"{bucket}/**/*.jsonl"]) == [
        f"{bucket}/a.jsonl",
        f"{bucket}/deep/c.jsonl",
    ]
    assert finding.expand([f"{bucket}/.tmp/*"]) == [f"{bucket}/.tmp/b.jsonl"]


def test_no_bucket_is_made_for_a_name_that_may_be_misspelt(environment):
    with pytest.raises(StorageError, match=r"cannot write to s3://buckett .*check its name"):
        storage.write_bytes("s3://buckett/out/file.bin", b"1")
    with pytest.raises(StorageError, match=r"cannot write to s3://buckett"):
        make_new("s3://buckett/out/file.bin", b"1")
    assert not storage.exists("s3://buckett")


def test_two_runs_of_one_store_are_compared(bucket):
    storage.write_bytes(f"{bucket}/in.jsonl", b'{"text": "one document about a river"}\n')
    for folder, least in (("one", 0), ("two", 1000)):
        run_stage(
            *("extract", f"{bucket}/{folder}"),
            inputs=[f"{bucket}/in.jsonl"],
            settings={"languages": [], "min_text_chars": least},
            runner="inline",
        )
    (found,) = diff(f"{bucket}/one", f"{bucket}/two")
    assert [(move.before, move.documents) for move in found.moves] == [("kept", 1)]


def test_an_input_is_known_by_its_etag_however_it_was_found(bucket):
    """A listing and a head request describe a file with different keys, so fsspec's key differs."""
    from corpusmill.manifests import stores

    path = storage.write_bytes(f"{bucket}/input.txt", b"hello").path
    artifact = storage.artifact_of(path)
    assert artifact.digest == f"etag:{hashlib.md5(b'hello').hexdigest()}"
    store, inner = stores.filesystem(path)
    listed = store.find(inner.rsplit("/", 1)[0], detail=True)[inner]
    assert stores.version_of(listed) == stores.version_of(store.info(inner)) == artifact.digest


def test_an_input_that_changes_is_another(bucket):
    path = storage.write_bytes(f"{bucket}/input.txt", b"hello").path
    artifact, mark = storage.artifact_of(path), storage.mark(path)
    storage.write_bytes(path, b"other")
    assert not storage.matches(artifact)
    assert storage.mark(path) != mark
    storage.write_bytes(path, b"hello")
    assert storage.matches(artifact)
    storage.remove(path)
    assert not storage.matches(artifact)


def test_a_store_that_names_no_version_has_its_files_read():
    path = "memory://folder/input.txt"
    storage.write_bytes(path, b"hello")
    assert storage.artifact_of(path).digest == hashlib.sha256(b"hello").hexdigest()


def test_what_another_process_wrote_is_seen(bucket, environment):
    storage.write_bytes(f"{bucket}/one.txt", b"1")
    assert finding.files_below(bucket) == [f"{bucket}/one.txt"]
    other = (
        f"from corpusmill.manifests import storage; storage.write_bytes('{bucket}/two.txt', b'2')"
    )
    subprocess.run([sys.executable, "-c", other], env=os.environ, cwd=ROOT, check=True)
    assert storage.exists(f"{bucket}/two.txt")
    assert finding.files_below(bucket) == [f"{bucket}/one.txt", f"{bucket}/two.txt"]


@pytest.mark.slow
def test_a_rerun_under_another_runner_reuses_finished_work(bucket):
    storage.write_bytes(f"{bucket}/crawl/page.txt", (TEXT * 8).encode())
    command = ["extract", "--input", f"{bucket}/crawl", "--output", f"{bucket}/extract"]
    first = corpusmill(*command, "--runner", "inline")
    assert first.returncode == 0, first.stderr
    shard = f"{bucket}/extract/documents/page.parquet"
    assert [table.num_rows for table in read_parquet(shard)] == [1]
    (path,) = finding.files_below(f"{bucket}/extract/receipts")
    receipt = storage.read_bytes(path)
    second = corpusmill(*command, "--runner", "ray")
    assert second.returncode == 0, second.stderr
    assert storage.read_bytes(path) == receipt
    assert json.loads(receipt)["inputs"][0]["digest"].startswith("etag:")
    checked = corpusmill("verify", f"{bucket}/extract")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_endpoint_that_is_down_is_one_line(tmp_path: Path, environment):
    run = corpusmill(
        *("extract", "--input", "s3://bucket/crawl", "--output", str(tmp_path / "out")),
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_MAX_ATTEMPTS="1",
    )
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert "s3://bucket cannot be reached" in run.stderr
    assert "check the address, the network and the credentials" in run.stderr


def test_an_endpoint_that_goes_down_while_a_file_is_read_is_an_error_of_the_storage(bucket):
    from corpusmill.manifests.stores import RemoteFile

    class Broken:
        def read(self, size: int) -> bytes:
            raise RuntimeError("Connection was closed before we received a valid response")

    with pytest.raises(OSError, match=r"file cannot be read \(Connection was closed"):
        RemoteFile(Broken(), "s3://bucket/file").read(10)


def test_a_protocol_that_nobody_installed_is_named():
    with pytest.raises(StorageError, match="fsspec package of that protocol"):
        storage.exists("nosuch://bucket/file")


def test_an_upload_that_the_store_keeps_a_part_of_is_sent_again(monkeypatch):
    from fsspec.implementations.memory import MemoryFileSystem

    whole = MemoryFileSystem.put_file
    torn = [2]

    def put_file(self, local, remote, *more, **keys):
        whole(self, local, remote, *more, **keys)
        if torn[0]:
            torn[0] -= 1
            self.pipe_file(remote, self.cat_file(remote)[:4])

    monkeypatch.setattr(MemoryFileSystem, "put_file", put_file)
    artifact = storage.write_bytes("memory://torn/file.bin", b"some bytes")
    assert storage.matches(artifact)
    torn[0] = 99
    with pytest.raises(StorageError, match="not whole on its store after 3 uploads"):
        storage.write_bytes("memory://torn/other.bin", b"some bytes")


def test_a_new_file_does_not_replace_one(bucket, tmp_path):
    for folder in (bucket, str(tmp_path)):
        for data in (b"first", b"second"):
            storage.write_new(f"{folder}/made/file.json", data)
        assert storage.read_bytes(f"{folder}/made/file.json") == b"first"
        assert finding.names_in(f"{folder}/made") == ["file.json"]


def test_one_of_four_runs_that_begin_at_once_gets_the_lease(bucket, monkeypatch):
    monkeypatch.setattr(lease, "refuse_held", lambda _folder: None)  # none has seen another's
    begun, held = threading.Barrier(4), threading.Event()
    got: list[bool] = []

    def begin() -> None:
        begun.wait()
        try:
            with lease.lease(bucket):
                got.append(True)
                held.wait(30)
        except CorpusmillError:
            got.append(False)
        if len(got) == 4:
            held.set()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False, False, False, True]
    assert not storage.exists(f"{bucket}/{lease.LEASE}")
