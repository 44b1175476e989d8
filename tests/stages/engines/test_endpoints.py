"""Several servers of one model: requests go where there is room, and around one that is away."""

import itertools
import time
from collections import Counter
from contextlib import ExitStack

import pytest
from corpusmill.manifests.errors import EngineError, RecipeError
from corpusmill.stages.engines.contract import in_order
from corpusmill.stages.engines.endpoint import Endpoint
from corpusmill.stages.engines.openai import OpenAIEngine

from tests.stages.engines.scripted_server import serving
from tests.stages.engines.test_server_faults import GOOD, requests


@pytest.fixture
def servers():
    with ExitStack() as stack:
        yield lambda *behave: [stack.enter_context(serving(each)) for each in behave]


def engine_at(*found, **settings) -> OpenAIEngine:
    settings = {"backoff_seconds": 0.05, "attempts": 4, "in_flight": 8, **settings}
    urls = tuple(server.url for server in found)
    return OpenAIEngine(url=urls, model="tiny", api="chat", **settings)


def after(seconds, reply=GOOD):
    def behave(prompt, attempt):
        time.sleep(seconds)
        return reply

    return behave


def test_a_quick_server_gets_more_requests_than_a_slow_one(servers):
    quick, slow = servers(after(0.01), after(0.1))
    completions = in_order(engine_at(quick, slow), requests(200))
    assert {completion.finish_reason for completion in completions} == {"stop"}
    assert len(quick.seen) + len(slow.seen) == 200
    assert len(quick.seen) > len(slow.seen)


def test_a_server_that_is_away_costs_nothing_and_is_asked_when_it_is_back(servers):
    stays, leaves = servers(after(0.02), after(0.02))
    leaves.shutdown()
    leaves.server_close()
    engine = engine_at(stays, leaves)
    completions = in_order(engine, requests(120))
    assert {completion.finish_reason for completion in completions} == {"stop"}
    assert sum(stays.attempts.values()) == 120  # nothing was asked twice


def test_what_one_server_fails_at_another_one_answers(servers):
    sound, broken = servers(after(0.005), after(0, (500, {}, b"boom")))
    completions = in_order(engine_at(sound, broken), requests(60))
    assert {completion.finish_reason for completion in completions} == {"stop"}


def test_a_server_that_refuses_everything_is_named(servers):
    sound, other = servers(after(0.005), after(0, (404, {}, b"no such model")))
    with pytest.raises(EngineError, match=rf"{other.url} refuses every request.*no such model"):
        in_order(engine_at(sound, other), requests(60))


def test_a_server_that_is_slow_gets_fewer_requests(servers):
    """Beyond four at a time, this one takes longer than half of the longest wait."""
    busiest: Counter[int] = Counter()
    turn = itertools.count()

    def behave(prompt, attempt):
        busy = server.busy
        busiest[next(turn) // 100] += busy
        time.sleep(0.3 if busy > 4 else 0.01)
        return GOOD

    (server,) = servers(behave)
    in_order(engine_at(server, in_flight=32, timeout_seconds=0.5), requests(300))
    assert busiest[2] < busiest[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"])
def test_a_server_that_never_was_there_stops_the_stage_soon(url):
    engine = OpenAIEngine(url=url, model="tiny", api="chat")
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"takes no connection .*start it or mend engine\.url"):
        in_order(engine, requests(3))
    assert time.monotonic() - began < 12


def test_an_empty_list_and_a_key_in_one_address_are_refused():
    with pytest.raises(RecipeError, match="url is empty"):
        OpenAIEngine(url=(), model="m")
    with pytest.raises(RecipeError, match="put the key into the variable"):
        OpenAIEngine(url=("http://a/v1", "https://user:sk-1@host/v1"), model="m")


def test_after_an_absence_the_limit_starts_at_one_and_doubles_every_round():
    endpoint = Endpoint("http://a/v1", 64, 100.0)
    now = time.monotonic()
    endpoint.away(now)
    assert endpoint.rests
    limits = []
    for _ in range(6):
        limits.append(endpoint.limit)
        for _ in range(endpoint.limit):
            endpoint.answered(now)
    assert limits == [1, 2, 4, 8, 16, 32]
    endpoint.busy(time.monotonic())
    assert endpoint.limit == 32
    endpoint.answered(now)
    assert endpoint.limit == 32  # from here it grows by one a round
