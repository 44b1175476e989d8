"""From keys to links: how a partition prepares its keys before it sorts them."""

import numpy as np
import pytest
from corpusmill.stages.dedup.match import stretched


@pytest.mark.parametrize(
    "keys", [[], [7], [5, 5, 6, 9], [0, 1, 2**64 - 1], [2**63, 2**63 + 2**40, 2**63 + 2**41]]
)
def test_keys_are_stretched_in_their_order_and_no_two_become_one(keys):
    found = stretched(np.array(keys, np.uint64)).tolist()
    assert found == sorted(found)
    assert len(set(found)) == len(set(keys))


def test_a_narrow_range_of_keys_becomes_the_whole_range():
    narrow = np.arange(2**50, 2**50 + 2**20, dtype=np.uint64)
    assert int(stretched(narrow)[-1]) >= 2**64 - 2**45
