"""The kernels are compiled once a machine, and the user sees it."""

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.pipeline import kernels
from corpusmill.pipeline.kernels import CHAINS, VERBS, ensure_compiled, kernels_to_compile


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_a_machine_that_has_the_kernels_hears_nothing(cache):
    (cache / "complete").touch()
    said: list[str] = []
    ensure_compiled(said.append)
    assert said == []


def test_compiling_is_said_once_and_remembered(cache, monkeypatch):
    monkeypatch.setattr(kernels, "CHAINS", {})
    calls = []
    monkeypatch.setattr(kernels, "_compile_all", lambda say: calls.append(say))
    said: list[str] = []
    ensure_compiled(said.append)
    ensure_compiled(said.append)
    assert len(calls) == 1
    assert (cache / "complete").exists()


def test_a_chain_that_fails_is_one_line_and_not_remembered(cache, monkeypatch):
    monkeypatch.setattr(kernels, "CHAINS", {"no such chain": ()})
    said: list[str] = []
    with pytest.raises(CorpusmillError, match=r"could not be compiled: KeyError: 'no such chain'"):
        ensure_compiled(said.append)
    assert said[0].startswith("compiling text kernels for this machine, once, some minutes")
    assert said[0].endswith("0 s so far")
    assert not (cache / "complete").exists()


def test_a_compiler_that_is_killed_is_named_with_the_signal(cache, monkeypatch):
    (cache / "python").write_text("#!/bin/sh\necho a warning >&2\nkill -9 $$\n")
    (cache / "python").chmod(0o755)
    monkeypatch.setattr(kernels.sys, "executable", str(cache / "python"))
    with pytest.raises(CorpusmillError, match="could not be compiled: signal 9 ended the compiler"):
        ensure_compiled(lambda text: None)


def test_every_verb_with_kernels_is_known():
    assert {
        *("extract", "filter", "redact", "dedup", "templates", "substring", "decontaminate")
    } == VERBS
    assert len(CHAINS) == 2
    assert kernels_to_compile() > 100
