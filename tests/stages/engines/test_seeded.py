"""Both engines of this process: an answer depends on its request alone."""

import dataclasses

import pytest
from corpusmill.stages.engines.contract import in_order
from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.stages.engines.transformers import TransformersEngine

from tests.stages.engines.seeded import requests_of


@pytest.fixture(scope="module", params=[EmbeddedEngine, TransformersEngine])
def engine(request, model_folder):
    return request.param(model=str(model_folder), device="cpu", batch_size=3)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_batch_of_many_lengths_is_answered_as_each_alone(engine, temperature):
    requests = requests_of(engine, temperature=temperature)
    together = in_order(engine, requests)
    assert together == [in_order(engine, [request])[0] for request in requests]
    assert len({completion.text for completion in together}) > 1


def test_the_seed_decides_a_sampled_answer_and_the_order_of_requests_does_not(engine):
    requests = requests_of(engine)
    first = in_order(engine, requests)
    assert in_order(engine, requests[::-1])[::-1] == first
    reseeded = in_order(
        engine, [dataclasses.replace(request, seed=request.seed + 1000) for request in requests]
    )
    assert sum(a.text != b.text for a, b in zip(first, reseeded, strict=True)) >= 5
