"""Local and remote files are written whole or not at all, and hashed while they are written."""

import errno
import hashlib
import os
import platform
import subprocess

import pytest
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import InputError, StorageError
from corpusmill.manifests.partials import remove_partials


def write_half(path):
    with storage.atomic_writer(path) as file:
        file.write(b"half")
        raise ValueError("halfway")


def test_an_atomic_write_hashes_what_it_writes(tmp_path):
    path = str(tmp_path / "below" / "file.bin")
    artifact = storage.write_bytes(path, b"some bytes")
    assert artifact.digest == hashlib.sha256(b"some bytes").hexdigest()
    assert storage.matches(artifact)
    assert finding.files_below(str(tmp_path)) == [path]


@pytest.mark.parametrize(("passing", "synced"), [(False, 1), (True, 0)])
def test_what_is_kept_waits_for_the_disk_and_what_passes_on_does_not(
    tmp_path, monkeypatch, passing, synced
):
    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", calls.append)
    with storage.atomic_writer(str(tmp_path / "file.bin"), passing) as file:
        file.write(b"some bytes")
    assert len(calls) == synced
    assert (tmp_path / "file.bin").read_bytes() == b"some bytes"


def test_a_failed_write_leaves_the_old_file_and_no_partial(tmp_path):
    path = str(tmp_path / "file.bin")
    storage.write_bytes(path, b"old")
    with pytest.raises(ValueError, match="halfway"):
        write_half(path)
    assert (tmp_path / "file.bin").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


def test_the_partial_of_a_killed_writer_is_removed_by_the_next(tmp_path):
    killed = subprocess.Popen(["true"])
    killed.wait()
    (tmp_path / f".file.bin.{platform.node()}-{killed.pid}-deadbeef.partial").write_bytes(b"half")
    storage.write_bytes(str(tmp_path / "file.bin"), b"whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("writer", [f"{platform.node()}-{os.getppid()}", "elsewhere-1"])
def test_the_partial_of_a_writer_at_work_is_left_to_it(tmp_path, writer):
    partial = tmp_path / f".file.bin.{writer}-deadbeef.partial"
    partial.write_bytes(b"half")
    storage.write_bytes(str(tmp_path / "file.bin"), b"whole")
    assert partial.exists()
    if writer.startswith("elsewhere"):
        os.utime(partial, (0, 0))  # so old that its writer must be gone
        storage.write_bytes(str(tmp_path / "file.bin"), b"again")
        assert not partial.exists()


def killed_partial(folder, name):
    """The partial file of a dead writer."""
    killed = subprocess.Popen(["true"])
    killed.wait()
    left = folder / f".{name}.{platform.node()}-{killed.pid}-deadbeef.partial"
    left.write_bytes(b"half")
    return left


def test_a_folder_is_read_once_however_many_files_are_written(tmp_path, monkeypatch):
    left = [killed_partial(tmp_path, f"{number}.bin") for number in (0, 3)]
    read: list[str] = []
    listdir = os.listdir

    def recorded(folder):
        read.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", recorded)
    for number in range(5):
        storage.write_bytes(str(tmp_path / f"{number}.bin"), b"whole")
    assert read == [str(tmp_path)]
    assert not any(path.exists() for path in left)


def test_a_partial_that_somebody_else_removes_is_gone(tmp_path):
    partial = tmp_path / ".file.bin.elsewhere-1-deadbeef.partial"
    partial.write_bytes(b"half")
    storage.write_bytes(str(tmp_path / "file.bin"), b"whole")
    partial.unlink()
    assert storage.write_bytes(str(tmp_path / "file.bin"), b"again").size == 5


def test_what_killed_writers_left_anywhere_below_a_folder_is_found(tmp_path):
    storage.write_bytes(str(tmp_path / "a/b/file.bin"), b"whole")
    left = killed_partial(tmp_path / "a/b", "other.bin")
    at_work = tmp_path / f"a/.file.bin.{platform.node()}-{os.getppid()}-deadbeef.partial"
    at_work.write_bytes(b"half")
    remove_partials(str(tmp_path))
    assert (left.exists(), at_work.exists()) == (False, True)
    assert (tmp_path / "a/b/file.bin").read_bytes() == b"whole"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("crawl-1.warc.gz", "crawl-1"),
        ("train.0001.jsonl.zst", "train.0001"),
        ("v1.2.parquet", "v1.2"),
        ("plain", "plain"),
        (".gz", ".gz"),
    ],
)
def test_a_stem_is_the_name_without_known_suffixes(name, stem):
    assert storage.stem_of(f"/a.b/{name}") == stem


def test_a_full_disk_is_a_storage_error_that_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", refuse)
    with pytest.raises(StorageError, match="free space"):
        storage.write_bytes(str(tmp_path / "file.bin"), b"x")
    assert not list(tmp_path.iterdir())


def test_changed_bytes_do_not_match(tmp_path):
    artifact = storage.write_bytes(str(tmp_path / "file.bin"), b"right")
    (tmp_path / "file.bin").write_bytes(b"wrong")
    assert not storage.matches(artifact)


def test_any_fsspec_url_serves():
    artifact = storage.write_bytes("memory://bucket/run/file.bin", b"remote")
    assert storage.read_bytes("memory://bucket/run/file.bin") == b"remote"
    assert storage.matches(artifact)
    assert finding.expand(["memory://bucket/run"]) == ["memory://bucket/run/file.bin"]
    assert finding.expand(["memory://bucket/*/file.bin"]) == ["memory://bucket/run/file.bin"]
    storage.remove("memory://bucket/run/file.bin")
    assert not storage.exists("memory://bucket/run/file.bin")


def test_a_failed_remote_write_publishes_nothing():
    with pytest.raises(ValueError, match="halfway"):
        write_half("memory://bucket/half.bin")
    assert not storage.exists("memory://bucket/half.bin")


def test_expand_takes_folders_files_and_globs_and_names_what_matches_nothing(tmp_path):
    for name in ("a.txt", "b.txt", ".hidden"):
        (tmp_path / name).write_text("x")
    assert [
        path.rsplit("/", 1)[-1] for path in finding.expand([str(tmp_path), str(tmp_path / "a*")])
    ] == [
        "a.txt",
        "b.txt",
    ]
    with pytest.raises(InputError, match=r"nothing-\*"):
        finding.expand([str(tmp_path / "nothing-*")])


def test_folders_behind_links_are_read_and_circles_are_not_followed(tmp_path):
    there, here = tmp_path / "disk2", tmp_path / "crawl"
    there.mkdir()
    here.mkdir()
    (there / "a.warc.gz").write_bytes(b"")
    (here / "snapshot").symlink_to(there)
    (there / "circle").symlink_to(here)
    (here / "itself").symlink_to(here)
    assert finding.files_below(str(here)) == [str(here / "snapshot" / "a.warc.gz")]


def test_a_file_where_a_folder_should_be_is_a_refusal_with_its_mend(tmp_path):
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(StorageError, match="choose another place"):
        storage.write_bytes(str(tmp_path / "taken" / "file.bin"), b"some bytes")
