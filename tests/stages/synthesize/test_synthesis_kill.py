"""kill -9 of the run, of a worker and of the server: no row is lost, and hardly one asked twice."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.stages.engines import answering_server, tiny_model
from tests.stages.synthesize.test_synthesize import WORDS, document, write_shards

DOCUMENTS = 400
IN_FLIGHT = 2  # a kill of the run costs at most so many answers
SECONDS = 0.015  # of an answer


class Server:
    """The answering server as a process. It can be killed and started again at its port."""

    def __init__(self, log: Path, seconds: float = SECONDS) -> None:
        self.log, self.seconds = log, seconds
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [sys.executable, answering_server.__file__, str(self.port), str(self.log)]
        self.process = subprocess.Popen([*command, str(self.seconds)], stderr=subprocess.DEVNULL)
        for _ in range(200):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def answers(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@contextmanager
def started(command):
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(server: Server, answers: int, process) -> None:
    """Wait until the server has given so many answers, all runs together."""
    ends = time.monotonic() + 120
    while len(server.answers()) < answers:
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < ends, f"only {len(server.answers())} answers"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """(folder of two shards, folder of a tokenizer)"""
    folder = tmp_path_factory.mktemp("corpus")
    dice = random.Random(5)
    rows = [
        document(f"d{number}", f"{number} " + " ".join(dice.choices(WORDS, k=60)) + ".")
        for number in range(DOCUMENTS)
    ]
    write_shards(folder, {"in/00.parquet": rows[:240], "in/01.parquet": rows[240:]})
    return folder / "in", tiny_model.save_tokenizer(folder / "tokenizer")


def command(corpus, output: Path, server: Server, runner="inline"):
    engine = {
        "kind": "openai",
        "url": f"http://127.0.0.1:{server.port}/v1",
        "model": "m",
        "tokenizer_name": corpus[1],
        "api": "chat",
        "in_flight": IN_FLIGHT,
        "backoff_seconds": 0.2,
    }
    settings = [f"synthesize.engine.{key}={value}" for key, value in engine.items()]
    return [
        *(sys.executable, "-m", "corpusmill.cli", "synthesize", "--runner", runner),
        *("--input", str(corpus[0]), "--output", str(output), "--quiet"),
        *(part for setting in settings for part in ("--set", setting)),
    ]


def files(output: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(output)): path.read_bytes()
        for below in ("documents", "excluded")
        for path in sorted((output / below).rglob("*.parquet"))
    }


@pytest.fixture(scope="module")
def uninterrupted(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    server = Server(folder / "log")
    try:
        subprocess.run(command(corpus, folder / "out", server), check=True, timeout=120)
    finally:
        server.kill()
    assert len(server.answers()) == DOCUMENTS
    return files(folder / "out")


def check(output: Path, server: Server, uninterrupted) -> None:
    """Every row is there once, in the same bytes, and at most 1 % of the answers were repeated."""
    assert files(output) == uninterrupted
    parents = Counter(
        row["parent"]
        for path in output.rglob("*.parquet")
        for row in pq.ParquetFile(path).read(["lineage"])["lineage"].to_pylist()
    )
    assert len(parents) == DOCUMENTS
    assert set(parents.values()) == {1}
    assert not list(output.rglob("answers.jsonl"))
    answers = server.answers()
    assert len(answers) - len(set(answers)) <= DOCUMENTS / 100


@pytest.mark.timeout(200)
def test_kills_of_the_run_and_of_the_server(corpus, uninterrupted, tmp_path):
    server = Server(tmp_path / "log")
    output = tmp_path / "out"
    try:
        for answers in (100, 300):  # within the first shard, within the second
            with started(command(corpus, output, server)) as process:
                wait_for(server, answers, process)
                process.kill()
        with started(command(corpus, output, server)) as process:
            wait_for(server, 350, process)
            server.kill()
            time.sleep(0.5)
            server.start()
            assert process.wait(60) == 0
    finally:
        server.kill()
    check(output, server, uninterrupted)


@pytest.mark.timeout(200)
def test_a_killed_worker_is_replaced_and_asks_only_what_is_missing(corpus, uninterrupted, tmp_path):
    server = Server(tmp_path / "log")
    output = tmp_path / "out"
    try:
        with started([*command(corpus, output, server, "ray"), "--workers", "1"]) as process:
            wait_for(server, 150, process)
            workers = [
                child
                for child in psutil.Process(process.pid).children(recursive=True)
                if re.search(r"ray::.*run", " ".join(child.cmdline()))
            ]
            assert workers
            for worker in workers:
                worker.kill()
            assert process.wait(90) == 0
    finally:
        server.kill()
    check(output, server, uninterrupted)
