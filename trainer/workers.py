"""A run of several processes on this machine: start them, pass their records on, and end all of
them if one ends badly.

`torchrun` does the same for several machines: `torchrun --nproc-per-node 8 -m corpusmill.trainer
...`. A process that it started trains as one of the ranks, and starts no others.
"""

import multiprocessing
import os
import queue
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.parts import TEXT, Parts
from corpusmill.trainer.ranks import refuse_machine, refuse_ranks, under_launcher
from corpusmill.trainer.records import OnStep
from corpusmill.trainer.train import TrainResult, train

LOOK = 0.2  # seconds between looks at the processes
GRACE = 5.0  # seconds in which the cause of an end may show, and in which a process may end itself


def run(
    config: TrainConfig,
    shards: Sequence[Path],
    output_folder: Path,
    on_step: OnStep | None = None,
    parts: Parts = TEXT,
) -> TrainResult:
    """`train` with `config.num_workers` processes. Raises CorpusmillError, also if one dies."""
    if config.num_workers == 1 or under_launcher():
        return train(config, shards, output_folder, on_step, parts)
    refuse_ranks(config, config.num_workers)
    refuse_machine(config)
    context = multiprocessing.get_context("spawn")
    messages: Any = context.Queue()
    port = _free_port()
    processes = [
        context.Process(
            target=_work,
            args=(config, list(shards), output_folder, rank, port, messages, parts),
            name=f"rank {rank}",
            daemon=False,  # a daemon may not start the processes of a loader; `_end` ends them
        )
        for rank in range(config.num_workers)
    ]
    for process in processes:
        process.start()
    try:
        return _follow(processes, messages, on_step)
    finally:
        _end(processes)


def _follow(processes: Sequence[BaseProcess], messages: Any, on_step: OnStep | None) -> TrainResult:
    """Hand out the records until the result is there. Raises what went wrong first."""
    errors: dict[int, CorpusmillError] = {}
    result: TrainResult | None = None
    until: float | None = None
    while True:
        with suppress(queue.Empty):
            kind, rank, content = messages.get(timeout=LOOK)
            if kind == "record" and on_step is not None:
                on_step(content)
            elif kind == "result":
                result = content
            elif kind == "error":
                errors[rank] = content
            continue
        codes = [process.exitcode for process in processes]
        if result is not None and all(code == 0 for code in codes):
            return result
        if errors or any(codes):
            # One death makes the others fail too. Wait until it is clear who was the first.
            until = until or time.monotonic() + GRACE
            if _killed(codes) or time.monotonic() > until or None not in codes:
                raise _cause(codes, errors)


def _killed(codes: Sequence[int | None]) -> list[int]:
    """The ranks that a signal ended."""
    return [rank for rank, code in enumerate(codes) if code is not None and code < 0]


def _cause(codes: Sequence[int | None], errors: dict[int, CorpusmillError]) -> CorpusmillError:
    """What ended the run: a kill, or else the first error that was told."""
    again = "run the same command again: it goes on from the last checkpoint"
    for rank in _killed(codes):
        name = signal.Signals(-(codes[rank] or 0)).name
        return CorpusmillError(f"rank {rank} was ended by {name}, so all ranks were", again)
    if errors:
        return next(iter(errors.values()))
    rank = next(rank for rank, code in enumerate(codes) if code)
    return CorpusmillError(
        f"rank {rank} ended with exit code {codes[rank]}, so all ranks were ended", again
    )


def _work(
    config: TrainConfig,
    shards: list[Path],
    output_folder: Path,
    rank: int,
    port: int,
    messages: Any,
    parts: Parts,
) -> None:
    """One process. Its messages: ("record" | "result" | "error", rank, content)."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(config.num_workers),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    try:
        result = train(
            config,
            shards,
            output_folder,
            lambda record: messages.put(("record", rank, record)),
            parts,
        )
    except CorpusmillError as error:
        messages.put(("error", rank, error))
        raise SystemExit(1) from error
    except Exception as error:
        told = CorpusmillError(
            f"rank {rank} failed ({type(error).__name__}: {error})",
            "run the same command again: it goes on from the last checkpoint",
        )
        messages.put(("error", rank, told))
        raise
    if rank == 0:
        messages.put(("result", rank, result))


def _end(processes: Sequence[BaseProcess]) -> None:
    """No process is left."""
    until = time.monotonic() + GRACE
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
