"""An engine that dies in the middle of its work is replaced, and what it was asked is asked again.

Which request ended it, nobody says. So all that were in flight are suspects. The new engine is
asked an eighth of them at a time, with nothing else beside them. If it dies too, those that were in
flight then are asked an eighth at a time, before the others go on. A request that ends an engine on
its own is given up: it has ended two or more. If a harmless request ends the next one, the engine
is at fault.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Completion, Request, failed
from corpusmill.stages.engines.stream import streamed

_NARROWER = 8
_examining = threading.RLock()  # two shards of a worker share an engine
Model = TypeVar("Model")
Numbered = tuple[int, Request]


class Survivors(Generic[Model]):
    """One stream of requests to an engine that may die.

    engine: gives the process's engine; one that it gave before and that died is replaced by a new
    one. ask: the answer, or None if the engine died meanwhile. harmless: a short request made of
    another one.
    """

    def __init__(
        self,
        engine: Callable[[Model | None], Model],
        ask: Callable[[Model, Request], Coroutine[Any, Any, Completion | None]],
        harmless: Callable[[Request], Request],
    ) -> None:
        self._engine, self._ask, self._harmless = engine, ask, harmless
        self._model = engine(None)

    def answers(
        self, requests: Iterator[Request], in_flight: int
    ) -> Iterator[tuple[int, Completion]]:
        """`Engine.answers`. Raises EngineError if new engines die of harmless requests."""
        numbered = enumerate(requests)
        while True:
            dead: list[Numbered] = []
            yield from self._round(numbered, in_flight, dead, _wait_for_examiners)
            if not dead:
                return
            with _examining:
                self._model = self._engine(self._model)
                yield from self._examined(dead)

    def _examined(self, suspects: list[Numbered]) -> Iterator[tuple[int, Completion]]:
        """Answers to suspects, or why they are given up."""
        waiting = deque(suspects)
        while waiting:
            dead: list[Numbered] = []
            width = max(1, len(suspects) // _NARROWER)
            yield from self._round(_drained(waiting), width, dead)
            if not dead:
                return
            self._model = self._engine(self._model)
            if len(dead) > 1:
                yield from self._examined(dead)
                continue
            ((index, request),) = dead
            probe = iter([(index, self._harmless(request))])
            if next(self._round(probe, 1, []), None) is None:
                raise EngineError(
                    "the engine dies of any request",
                    "its own log above says why; then run the same command again, answers so far "
                    "are kept",
                )
            yield index, failed("the engine died of this request, twice or more")

    def _round(
        self,
        numbered: Iterator[Numbered],
        in_flight: int,
        dead: list[Numbered],
        before_each: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[int, Completion]]:
        """Answers until there are no more requests, or until the engine dies. Then `dead` gets what
        was in flight.
        """
        asked: dict[int, Numbered] = {}

        def pulled() -> Iterator[Request]:
            for number in itertools.count():
                before_each()
                following = None if dead else next(numbered, None)
                if following is None:
                    return
                asked[number] = following
                yield following[1]

        ask = partial(self._ask, self._model)
        for number, completion in streamed(ask, pulled(), lambda: in_flight):
            index, request = asked.pop(number)
            if completion is None:
                dead.append((index, request))
            else:
                yield index, completion
        dead.sort(key=lambda item: item[0])


def _drained(requests: "deque[Numbered]") -> Iterator[Numbered]:
    while requests:
        yield requests.popleft()


def _wait_for_examiners() -> None:
    with _examining:
        pass
