"""Draws from logits."""

import pytest
import torch
from corpusmill.trainer.generation import sampling
from corpusmill.trainer.generation.sampling import Sampling, choose

LOGITS = torch.tensor([0.3, 0.05, 0.5, 0.15]).log()


def shares(count: int = 4000, **settings) -> torch.Tensor:
    """How often each token is drawn, over many seeds."""
    samplings = [Sampling(seed=seed, **settings) for seed in range(count)]
    numbers = [sampling.numbers(1)[0] for sampling in samplings]
    drawn = choose(LOGITS.expand(count, 4), samplings, numbers)
    return torch.bincount(drawn, minlength=4) / count


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 1.0}, [0.3, 0.05, 0.5, 0.15]),
        ({"temperature": 1.0, "top_p": 0.9}, [0.3 / 0.95, 0, 0.5 / 0.95, 0.15 / 0.95]),
        ({"temperature": 1.0, "top_p": 0.5}, [0, 0, 1, 0]),
        ({"temperature": 1.0, "top_p": 0.6}, [0.375, 0, 0.625, 0]),
        ({"temperature": 1.0, "top_k": 2}, [0.375, 0, 0.625, 0]),
        ({"temperature": 1.0, "top_k": 1}, [0, 0, 1, 0]),
        ({"temperature": 0.5}, [0.09 / 0.365, 0.0025 / 0.365, 0.25 / 0.365, 0.0225 / 0.365]),
        ({"temperature": 0.0}, [0, 0, 1, 0]),
    ],
)
@pytest.mark.parametrize("candidates", [64, 2])
def test_draws_follow_the_probabilities(settings, expected, candidates, monkeypatch):
    """With few candidates at first, too: then the whole vocabulary is sorted where needed."""
    monkeypatch.setattr(sampling, "FIRST_CANDIDATES", candidates)
    found = shares(**settings)
    torch.testing.assert_close(found, torch.tensor(expected).float(), rtol=0, atol=0.025)
    assert torch.equal(found == 0, torch.tensor(expected) == 0)


def test_rows_with_other_settings_stand_in_one_batch():
    samplings = [Sampling(), Sampling(1.0, 0.9), Sampling(1.0, 1.0, 2), Sampling(1.0)]
    together = choose(LOGITS.expand(4, 4), samplings, [0.0, 0.1, 0.99, 0.34])
    assert together.tolist() == [2, 0, 2, 1]


def test_the_numbers_of_a_seed_do_not_depend_on_how_many_are_asked():
    sampling = Sampling(1.0, seed=9)
    assert sampling.numbers(50)[:5] == sampling.numbers(5)
