"""A real vLLM engine is killed, or dies of a request: it is replaced, and nothing else is lost."""

import os
import re
import signal

import psutil
import pytest
from corpusmill.stages.engines import vllm as vllm_engine
from corpusmill.stages.engines.contract import in_order
from corpusmill.stages.engines.vllm import VLLMEngine

from tests.stages.engines import tiny_model
from tests.vllm.conftest import CONTEXT
from tests.vllm.test_vllm import requests_of

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]


@pytest.fixture
def starting():
    pytest.importorskip("vllm", reason="needs the environment that `make test-vllm` makes")
    yield lambda model, **settings: VLLMEngine(
        model=str(model), dtype="bfloat16", context=CONTEXT, enforce_eager=True, **settings
    )
    vllm_engine.stop()


def passages(count: int) -> list[str]:
    return [f"{number} {tiny_model.CORPUS[number % 4]}" for number in range(count)]


def kill_its_process() -> None:
    """As the kernel does when memory runs out."""
    children = psutil.Process().children(recursive=True)
    its = [one for one in children if re.search("EngineCore|Worker", " ".join(one.cmdline()))]
    assert its
    for child in its:
        os.kill(child.pid, signal.SIGKILL)


def test_an_engine_that_is_killed_is_replaced_and_asked_again(starting, exported):
    engine = starting(exported, in_flight=16)
    requests = requests_of(engine, passages(60), max_tokens=60)
    expected = in_order(engine, requests)
    first = engine.started()
    found = {}
    for index, completion in engine.answers(iter(requests)):
        found[index] = completion
        if len(found) == 5:  # of 60, so others are in flight
            kill_its_process()
    assert engine.started() is not first
    assert [found[index] for index in range(60)] == expected


def test_a_request_that_kills_engines_is_given_up_and_the_others_are_answered(starting, exported):
    """vLLM's CPU build dies of a seeded request whose prompt it reads in pieces."""
    in_pieces = {"enable_chunked_prefill": True, "max_num_batched_tokens": 128, "max_num_seqs": 16}
    engine = starting(exported, in_flight=16, arguments=in_pieces)
    deadly = " ".join(tiny_model.CORPUS)
    requests = requests_of(
        engine, ["sea", "bread", *["river"] * 3, deadly, *["hill"] * 6], temperature=0.5
    )
    lengths = [len(request.token_ids) for request in requests]
    assert max(lengths) > 128
    completions = in_order(engine, requests)
    lost = [index for index, found in enumerate(completions) if found.finish_reason == "error"]
    assert lost == [index for index, length in enumerate(lengths) if length > 128]
    assert "the engine died of this request" in completions[lost[0]].error
