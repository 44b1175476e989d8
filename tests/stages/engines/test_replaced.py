"""An engine that dies is replaced. The request that ends it is found, others are answered."""

import asyncio
import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.engines.replaced import Survivors


def requests(count):
    return [Request((number,), (), 9, 0.0, 1.0, number) for number in range(count)]


class Mortal:
    """Engines that take some time for an answer, and die of requests that `kills` names."""

    def __init__(self, kills, dies_after=()):
        self.kills, self.dies_after = kills, set(dies_after)
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.living = self.given = 0
        self.started = 1
        self.busy: Counter[int] = Counter()
        self.busiest_since_last_start = 0

    def engine(self, dead):
        with self.lock:
            if dead is not None and dead == self.living:
                self.living += 1
                self.busiest_since_last_start = 0
                self.started += 1
            return self.living

    async def ask(self, engine, request):
        if engine != self.living:
            return None
        mine = next(self.numbers)
        self.busy[engine] += 1
        self.busiest_since_last_start = max(self.busiest_since_last_start, self.busy[engine])
        await asyncio.sleep(0.0005 * (mine % 5))
        self.busy[engine] -= 1
        if mine in self.dies_after or self.kills(request):
            self.dead = engine
        if engine != self.living or engine == getattr(self, "dead", None):
            return None
        self.given += 1
        return Completion(str(request.seed), "stop")

    def answers(self, asked, in_flight=64):
        return Survivors(self.engine, self.ask, self.harmless).answers(iter(asked), in_flight)

    @staticmethod
    def harmless(request):
        return Request((1,), (), 1, 0.0, 1.0, -1)


def test_a_death_that_no_request_causes_costs_no_row():
    engines = Mortal(lambda request: False, dies_after=[30, 150])
    found = dict(engines.answers(requests(300)))
    assert {index: answer.text for index, answer in found.items()} == {
        number: str(number) for number in range(300)
    }
    assert engines.started == 3
    assert engines.given == 300  # no answer was given twice


def test_requests_that_end_an_engine_on_their_own_are_given_up_and_the_others_answered():
    engines = Mortal(lambda request: request.seed in (40, 41, 250))
    found = dict(engines.answers(requests(300)))
    assert sorted(found) == list(range(300))
    lost = [index for index, answer in found.items() if answer.finish_reason == "error"]
    assert sorted(lost) == [40, 41, 250]
    assert "died of this request" in found[40].error
    assert engines.given == 297 + 3  # and three probes
    assert engines.started <= 12


def test_what_a_deadly_request_stood_beside_is_not_asked_one_at_a_time():
    engines = Mortal(lambda request: request.seed == 10)
    list(engines.answers(requests(600), in_flight=512))
    assert engines.busiest_since_last_start >= 512 // 8


def test_an_engine_that_dies_of_anything_stops_the_stage():
    with pytest.raises(EngineError, match="dies of any request"):
        list(Mortal(lambda request: True).answers(requests(50)))


def test_two_streams_of_one_engine_do_not_blame_each_others_requests():
    engines = Mortal(lambda request: request.seed == 20)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(lambda: dict(engines.answers(requests(200))))
        others = [request for request in requests(400) if request.seed >= 200]
        second = threads.submit(lambda: dict(engines.answers(others)))
    assert [i for i, answer in first.result().items() if answer.finish_reason == "error"] == [20]
    assert {answer.finish_reason for answer in second.result().values()} == {"stop"}
