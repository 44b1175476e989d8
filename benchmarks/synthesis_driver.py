"""The process that plans, asks and writes: what kills cost it, and the memory that it takes.

It is the command line against a server of its own that repeats each passage and logs what it has
answered (`tests/stages/engines/answering_server.py`).
"""

import random
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests.schema import DOCUMENT, conform

from tests.stages.engines import tiny_model
from tests.stages.synthesize import test_synthesis_kill as runs

ANSWERS_BETWEEN_KILLS = (300, 700)
MOST_RUNS = 200
IN_FLIGHT = 32
_LINE = 65  # bytes of the server's log for an answer


def kills(requests: int, work: Path) -> dict[str, Any]:
    """Kill the run and the server in turn until the run is through. Raises AssertionError if its
    files differ from those of a run that nobody disturbed.
    """
    corpus = _corpus(requests, 60, work)
    undisturbed = runs.Server(work / "undisturbed.log")
    subprocess.run(_command(corpus, work / "undisturbed", undisturbed), check=True)
    undisturbed.kill()

    server, dice, killed = runs.Server(work / "log"), random.Random(1), 0
    for _ in range(MOST_RUNS):
        with runs.started(_command(corpus, work / "out", server)) as process:
            if _reached(server, dice.randint(*ANSWERS_BETWEEN_KILLS), process):
                break
            server.kill()
            time.sleep(0.3)
            server.start()
            if _reached(server, dice.randint(*ANSWERS_BETWEEN_KILLS), process):
                break
            process.kill()
            killed += 2
    assert process.returncode == 0
    assert runs.files(work / "out") == runs.files(work / "undisturbed")
    answers = server.answers()
    server.kill()
    twice = len(answers) - len(set(answers))
    print(f"{requests:,} requests, {killed} kills: {twice} answered twice", flush=True)
    return {"duplicated_requests": round(twice / requests, 5)}


def _reached(server: runs.Server, more: int, process: "subprocess.Popen[bytes]") -> bool:
    """Wait for so many more answers. True: the run has ended before."""
    wanted = len(server.answers()) + more
    while len(server.answers()) < wanted:
        if process.poll() is not None:
            return True
        time.sleep(0.1)
    return False


def queue(documents: int, answers: int, work: Path) -> dict[str, Any]:
    """The memory of a run over one shard of so many documents, until it has so many answers."""
    corpus = _corpus(documents, 25, work)
    server = runs.Server(work / "log", seconds=0.0)
    seen: list[tuple[int, float]] = []  # answers, MB of the run
    with runs.started(_command(corpus, work / "out", server)) as process:
        while process.poll() is None and (not seen or seen[-1][0] < answers):
            size = server.log.stat().st_size if server.log.exists() else 0
            seen.append((size // _LINE, _now_mb(process)))
            time.sleep(0.5)
        assert process.poll() in (None, 0)
    server.kill()
    quarter = next(mb for answered, mb in seen if answered > seen[-1][0] / 4)
    peak, growth = max(mb for _, mb in seen), max(mb for _, mb in seen[-10:]) - quarter
    print(
        f"{documents:,} documents in one shard, {seen[-1][0]:,} answers: {peak:,.0f} MB at most, "
        f"{growth:+,.0f} MB over the last three quarters",
        flush=True,
    )
    return {"driver_peak_mb.queue": round(peak), "driver_growth_mb.queue": round(growth)}


def _command(corpus: tuple[Path, Path], output: Path, server: runs.Server) -> list[str]:
    in_flight = f"synthesize.engine.in_flight={IN_FLIGHT}"
    return [*runs.command(corpus, output, server), "--set", in_flight]


def _now_mb(process: "subprocess.Popen[bytes]") -> float:
    try:
        return psutil.Process(process.pid).memory_info().rss / (1 << 20)
    except psutil.NoSuchProcess:
        return 0.0


def _corpus(documents: int, words: int, work: Path) -> tuple[Path, Path]:
    """(folder with one shard, folder of a tokenizer)"""
    dice = random.Random(5)
    (work / "in").mkdir(parents=True)
    with pq.ParquetWriter(work / "in" / "00.parquet", DOCUMENT) as writer:
        for start in range(0, documents, 10_000):
            rows = [
                runs.document(
                    f"d{number}", f"{number} {' '.join(dice.choices(runs.WORDS, k=words))}."
                )
                for number in range(start, min(start + 10_000, documents))
            ]
            writer.write_table(conform(pa.Table.from_pylist(rows), DOCUMENT))
    return work / "in", tiny_model.save_tokenizer(work / "tokenizer")
