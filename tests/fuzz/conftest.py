"""No fuzz target may take memory without a limit."""

import resource

import pytest

LIMIT_MB = 1500


@pytest.fixture(autouse=True)
def memory_stays_within_its_limit():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < LIMIT_MB
