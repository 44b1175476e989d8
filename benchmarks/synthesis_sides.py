"""Engines that start together and are measured in turn, each in a process of its own.

On a GPU, vLLM needs a minute or two to start, most of it imports and compilation on one core. So
all engines of a comparison start at once, and share the GPU's memory: each takes as much for keys
and values as it is told. Measuring begins when all have started. While one is measured, the others
wait for work.
"""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import psutil
from corpusmill.stages.engines.vllm import VLLMEngine, sampling_of
from corpusmill.stages.synthesize.stage import Synthesize

from benchmarks.synthesis_vllm import Rows, Tally, pipeline, planned, started, warm_up

# What vLLM wants to be free at its start. The cache has a size of its own.
FREE_SHARE = 0.05


@dataclass(frozen=True)
class Side:
    """One engine. stage: `synthesize` asks it. offline: `vllm.LLM` gets all requests at once."""

    name: str
    asked_by: Literal["stage", "offline"]
    settings: Synthesize
    rows: Rows


def measured(
    sides: list[Side], repeats: int, seconds: float, work: Path
) -> Iterator[tuple[str, Tally]]:
    """The name of a side and what it did, `repeats` times in turn.

    A side that dies, or needs more than `seconds` for its start or a turn, is left out from then
    on, and its name is printed.
    """
    context = multiprocessing.get_context("spawn")
    began, running = time.monotonic(), []
    for number, side in enumerate(sides):
        pipe, theirs = context.Pipe()
        cache = str(work / f"compiled-{number}")
        process = context.Process(target=_serve, args=(side, theirs, cache))
        process.start()
        theirs.close()  # so that the death of the process ends the pipe
        running.append((side.name, pipe, process))
    for name, pipe, process in list(running):
        took = _reply(pipe, began + seconds)
        print(f"{name}: " + (f"started in {took:.0f} s" if took else "did not start"), flush=True)
        if took is None:
            running.remove((name, pipe, process))
            end(process.pid)
    for _ in range(repeats):
        for name, pipe, process in list(running):
            with suppress(BrokenPipeError):
                pipe.send("go")
            tally = _reply(pipe, time.monotonic() + seconds)
            if tally is not None:
                yield name, tally
            else:
                print(f"{name}: gave no figures", flush=True)
                running.remove((name, pipe, process))
                end(process.pid)
    end(os.getpid())


def _reply(pipe: Connection, until: float) -> Any:
    """What the process says. None: it died, or says nothing until then."""
    with suppress(EOFError, ConnectionResetError):
        if pipe.poll(max(0.0, until - time.monotonic())):
            return pipe.recv()
    return None


def end(pid: int | None) -> None:
    """Kill a process and those below it; of this one only those below. vLLM's own end may take
    minutes.
    """
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        below = process.children(recursive=True)
        for each in below if pid == os.getpid() else [*below, process]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def _serve(side: Side, pipe: Connection, cache: str) -> None:
    """The process of a side: it says how long its start took, and is measured when told to."""
    # Two engines with the same settings would write the same files of compiled code.
    os.environ["VLLM_CACHE_ROOT"] = cache
    began = time.perf_counter()
    measure = _STARTED[side.asked_by](side)
    pipe.send(time.perf_counter() - began)
    while True:  # until the benchmark kills it: vLLM's own end may take minutes
        pipe.recv()
        pipe.send(measure())


def _stage(side: Side) -> Callable[[], Tally]:
    model = started(side.settings)
    return lambda: pipeline(model, side.settings, side.rows)


def _offline(side: Side) -> Callable[[], Tally]:
    from vllm import LLM

    engine = side.settings.engine
    assert isinstance(engine, VLLMEngine)
    model = LLM(**json.loads(engine.arguments_of_vllm()))
    requests = planned(side.settings, side.rows)

    def generated(asked: list[Any]) -> Tally:
        prompts: list[Any] = [{"prompt_token_ids": list(each.token_ids)} for each in asked]
        model.reset_prefix_cache()
        began = time.perf_counter()
        sampling = [sampling_of(each) for each in asked]
        answers = model.generate(prompts, sampling, use_tqdm=False)
        return Tally(
            len(answers),
            sum(len(request.token_ids) for request in asked),
            sum(answer.num_cached_tokens or 0 for answer in answers),
            sum(len(answer.outputs[0].token_ids) for answer in answers),
            time.perf_counter() - began,
        )

    generated(warm_up())
    return lambda: generated(requests)


_STARTED = {"stage": _stage, "offline": _offline}
