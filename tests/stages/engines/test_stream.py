"""Requests go to the coroutine as there is room, and answers come as they are ready."""

import asyncio
import threading
import time

import pytest
from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.engines.stream import streamed


def requests(count, pulled=None):
    for number in range(count):
        if pulled is not None:
            pulled.append((number, threading.current_thread()))
        yield Request((number,), (), 1, 0.0, 1.0, number)


async def echo(request):
    await asyncio.sleep(0.001 * (request.seed % 3))
    return Completion(str(request.seed), "stop")


def test_every_request_is_answered_once_under_its_index():
    answers = list(streamed(echo, requests(300), lambda: 20))
    assert len(answers) == 300
    assert all(completion.text == str(index) for index, completion in answers)


def test_a_long_answer_holds_up_no_other():
    async def one_is_slow(request):
        await asyncio.sleep(0.3 if request.seed == 0 else 0)
        return Completion(str(request.seed), "stop")

    answers = [index for index, _ in streamed(one_is_slow, requests(200), lambda: 4)]
    assert answers[-1] == 0


def test_requests_are_pulled_in_the_callers_thread_and_only_into_free_room():
    pulled: list = []
    flying = most = 0

    async def counted(request):
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.002)
        flying -= 1
        return Completion("", "stop")

    stream = streamed(counted, requests(100, pulled), lambda: 8)
    next(stream)
    assert len(pulled) <= 9
    assert len(list(stream)) == 99
    assert most <= 8
    assert {thread for _, thread in pulled} == {threading.current_thread()}


def test_a_fatal_error_is_raised_and_the_others_are_cancelled():
    ended = threading.Event()

    async def fails(request):
        if request.seed == 3:
            raise EngineError("gone")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.set()
            raise
        return Completion("", "stop")

    started = time.monotonic()
    with pytest.raises(EngineError, match="gone"):
        list(streamed(fails, requests(10), lambda: 10))
    assert ended.wait(5)
    assert time.monotonic() - started < 5


def test_two_streams_run_beside_each_other():
    first, second = (streamed(echo, requests(50), lambda: 5) for _ in range(2))
    assert len(list(zip(first, second, strict=True))) == 50
