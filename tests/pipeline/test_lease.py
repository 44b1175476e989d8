"""Two runs do not write into one folder. The lease of a dead run keeps no other run out."""

import json
import os
import platform
import subprocess
import sys
import threading
import time

import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.pipeline import lease as leases
from corpusmill.pipeline.execute import execute
from corpusmill.pipeline.lease import LEASE, lease, refuse_held
from corpusmill.pipeline.runner import InlineRunner

from tests.command_line import ROOT
from tests.pipeline.sample_stages import CountAndCopy, write_documents
from tests.pipeline.test_execute import job


def left(folder, **values):
    """A lease in the folder from another run."""
    found = {"token": "t", "host": platform.node(), "process": 1, "born": leases._born(1)}
    path = folder / LEASE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**found, "since": 0.0, "renewed": time.time(), **values}))


def test_a_second_run_is_refused_and_says_who_holds_the_folder(tmp_path):
    with lease(str(tmp_path)):
        message = rf"process {os.getpid()} on .*, since 2.*wait until it has ended, stop it"
        with pytest.raises(CorpusmillError, match=message), lease(str(tmp_path)):
            pass
        with pytest.raises(CorpusmillError, match="another run writes in"):
            refuse_held(str(tmp_path))
    refuse_held(str(tmp_path))
    assert os.listdir(tmp_path / "work") == []


def test_a_stage_holds_its_folder_while_it_runs(tmp_path):
    documents = write_documents(tmp_path, {"a": ["one"]})
    out = tmp_path / "out"

    class Watching(InlineRunner):
        def run(self, tasks, *, holds_engine):
            with pytest.raises(CorpusmillError, match="another run writes in"):
                execute(job(CountAndCopy(), out, documents), InlineRunner())
            yield from super().run(tasks, holds_engine=holds_engine)

    execute(job(CountAndCopy(), out, documents), Watching())
    assert not (out / LEASE).exists()


def test_a_process_of_this_machine_that_is_gone_keeps_nobody_out(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left(tmp_path, process=gone.pid)
    with lease(str(tmp_path)):
        pass


def test_another_process_with_an_old_number_is_not_the_holder(tmp_path):
    left(tmp_path, born=leases._born(1) + 1)
    with lease(str(tmp_path)):
        pass
    left(tmp_path)
    with pytest.raises(CorpusmillError, match="process 1 on"), lease(str(tmp_path)):
        pass


def test_a_run_of_another_machine_that_renews_its_lease_is_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "_LOOKED_SECONDS", 0.02)
    left(tmp_path, host="elsewhere")
    timer = threading.Timer(0.2, lambda: left(tmp_path, host="elsewhere", renewed=time.time() + 1))
    timer.start()
    with pytest.raises(CorpusmillError, match="process 1 on elsewhere"), lease(str(tmp_path)):
        pass
    timer.join()


def test_a_run_of_another_machine_that_was_killed_keeps_nobody_out_for_long(tmp_path, monkeypatch):
    """A scheduler starts a killed job again at once. It waits, and needs no option."""
    monkeypatch.setattr(leases, "_LOOKED_SECONDS", 0.02)
    monkeypatch.setattr(leases, "STALE_SECONDS", 0.5)
    left(tmp_path, host="elsewhere")
    started = time.monotonic()
    with lease(str(tmp_path)):
        assert 0.3 < time.monotonic() - started < 30
    left(tmp_path, host="elsewhere", renewed=time.time() - 1)
    with lease(str(tmp_path)):
        pass


def test_a_run_that_lost_its_lease_does_not_finish(tmp_path):
    documents = write_documents(tmp_path, {"a": ["one"]})

    class Slept(InlineRunner):
        def run(self, tasks, *, holds_engine):
            yield from super().run(tasks, holds_engine=holds_engine)
            left(tmp_path / "out", host="elsewhere")

    with pytest.raises(CorpusmillError, match="this run has lost its lease"):
        execute(job(CountAndCopy(), tmp_path / "out", documents), Slept())
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert (tmp_path / "out" / LEASE).exists()  # the other run's


def test_a_lease_that_goes_while_it_is_read_keeps_nobody_out(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "exists", lambda _path: True)
    refuse_held(str(tmp_path))


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_left(tmp_path):
    """A limit on the size of files stands for a full disk."""
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from corpusmill.pipeline.lease import lease\n"
        f"with lease({str(tmp_path)!r}): pass"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "StorageError" in run.stderr
    assert "cannot be written (File too large)" in run.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_a_lease_is_renewed_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "RENEWED_SECONDS", 0.05)
    with lease(str(tmp_path)):
        written = (tmp_path / LEASE).stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while (tmp_path / LEASE).stat().st_mtime_ns == written:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_on_an_object_store_one_of_two_runs_gets_in(monkeypatch):
    monkeypatch.setattr(leases, "_SETTLING_SECONDS", 0.0)
    folder = "memory://leases/out"
    with lease(folder), pytest.raises(CorpusmillError, match="another run"), lease(folder):
        pass
    refuse_held(folder)


def test_on_an_object_store_the_first_of_two_that_saw_no_lease_gets_in(monkeypatch):
    monkeypatch.setattr(leases, "_SETTLING_SECONDS", 0.0)
    folder = "memory://leases/raced"
    monkeypatch.setattr(leases, "refuse_held", lambda _folder: None)  # each looked before both took
    with lease(folder) as check:
        with pytest.raises(CorpusmillError, match="another run"), lease(folder):
            pass
        check()


def test_on_an_object_store_a_stale_lease_is_replaced(monkeypatch):
    monkeypatch.setattr(leases, "_SETTLING_SECONDS", 0.0)
    folder = "memory://leases/stale"
    gone = {"token": "t", "host": "elsewhere", "process": 1, "born": 0, "since": 0, "renewed": 0}
    for left_there in (json.dumps(gone), "half a le"):
        storage.write_bytes(f"{folder}/{LEASE}", left_there.encode())
        with lease(folder) as check:
            check()
        assert not storage.exists(f"{folder}/{LEASE}")


def test_a_file_system_without_hard_links_has_leases_too(tmp_path, monkeypatch):
    def refused(*_paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with lease(str(tmp_path / "out")):
        assert (tmp_path / "out" / LEASE).exists()
    assert not (tmp_path / "out" / LEASE).exists()
