"""Many requests at a time: a coroutine answers each, beside the thread that makes them.

All engines of a process share one event loop in a thread of its own. So connections and engines
outlive a shard, and while the caller cuts, renders and writes documents, answers go on coming.
"""

import asyncio
import functools
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from corpusmill.stages.engines.contract import Request

Answer = TypeVar("Answer")
_LOOKED_AFTER_SECONDS = 0.1
_starting = threading.Lock()


def streamed(
    ask: Callable[[Request], Coroutine[Any, Any, Answer]],
    requests: Iterator[Request],
    room: Callable[[], int],
) -> Iterator[tuple[int, Answer]]:
    """`Engine.answers` for an engine that has a coroutine for one request.

    room: how many requests may be in flight now. It may change while they are. An exception of
    `ask` is raised here, and the requests that are in flight are cancelled.
    """
    landed: queue.SimpleQueue[tuple[int, Future[Answer]]] = queue.SimpleQueue()
    flying: dict[int, Future[Answer]] = {}
    numbered = enumerate(requests)
    exhausted = False
    try:
        while True:
            # Answers first: they are lost in a kill until the caller has them.
            if not exhausted and landed.empty() and len(flying) < max(1, room()):
                following = next(numbered, None)
                if following is None:
                    exhausted = True
                else:
                    index, request = following
                    flying[index] = future = asyncio.run_coroutine_threadsafe(ask(request), _loop())
                    future.add_done_callback(functools.partial(_land, landed, index))
                continue
            if not flying:
                return
            try:
                index, future = landed.get(timeout=_LOOKED_AFTER_SECONDS)
            except queue.Empty:  # there may be room now
                continue
            del flying[index]
            yield index, future.result()
    finally:
        for future in flying.values():
            future.cancel()


def in_loop(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """The result of a coroutine of an engine, run in the loop of all engines."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop()).result()


def _land(
    landed: "queue.SimpleQueue[tuple[int, Future[Answer]]]",
    index: int,
    future: "Future[Answer]",
) -> None:
    landed.put((index, future))


def _loop() -> asyncio.AbstractEventLoop:
    with _starting:
        return _started_loop()


@functools.cache
def _started_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="engine", daemon=True).start()
    return loop
