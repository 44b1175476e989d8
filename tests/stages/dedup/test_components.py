"""Connected components in rounds over partitions: the same as those of the whole graph for any
partitions, and in few rounds.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.receipt import Receipt
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Pass, PassResult
from corpusmill.stages.dedup.components import EDGES, forest, write_edges
from corpusmill.stages.dedup.match import KEYS
from corpusmill.stages.dedup.stage import candidate_clusters
from corpusmill.stages.shuffle.row_groups import UNBOUNDED


def components(
    folder: Path, left: np.ndarray, right: np.ndarray, partitions: int
) -> tuple[dict[int, int], int]:
    """Run the passes on given links instead of keys. Returns node -> component, and the number of
    rounds.
    """
    folder.mkdir()
    keys = Shard("keys", (), str(folder))
    with keys.parquet("work/sign", KEYS) as output:
        output.write(KEYS.empty_table())
    passes, rounds = candidate_clusters(tuple(keys.outputs), partitions, 1), 0
    step: Pass = next(passes)
    while True:
        receipts = {}
        for number, (name, inputs) in enumerate(step.shards.items()):
            shard = Shard(name, inputs, str(folder))
            if step.name == "match":
                part = slice(number, None, partitions)
                with shard.parquet(
                    "work/match", EDGES, row_group_bytes=UNBOUNDED, temporary=True
                ) as output:
                    write_edges(
                        output,
                        np.maximum(left, right)[part],
                        np.minimum(left, right)[part],
                        partitions,
                    )
                counts = []
            else:
                counts = step.work(shard)
            receipts[name] = Receipt(
                "dedup", step.name, name, "", outputs=shard.outputs, counts=counts
            )
        rounds += step.name.startswith("components")
        try:
            step = passes.send(PassResult(receipts))
        except StopIteration as done:
            tables = [pq.read_table(artifact.path) for artifact in done.value(0)]
            found = [
                pair
                for table in tables
                for pair in zip(*(column.to_pylist() for column in table), strict=True)
            ]
            return dict(found), rounds


def expected(left: np.ndarray, right: np.ndarray) -> dict[int, int]:
    nodes, roots = forest(left, right)
    return dict(zip(nodes.tolist(), roots.tolist(), strict=True))


@pytest.mark.parametrize("partitions", [1, 2, 7])
def test_random_links_have_the_components_of_the_whole(tmp_path, partitions):
    source = np.random.default_rng(partitions)
    left, right = source.integers(0, 2000, (2, 900), dtype=np.uint64)
    left, right = left[left != right], right[left != right]
    found, rounds = components(tmp_path / "x", left, right, partitions)
    assert found == expected(left, right)
    assert rounds <= 6


def test_a_chain_of_thousands_takes_a_dozen_rounds(tmp_path):
    chain = np.random.default_rng(1).permutation(4000).astype(np.uint64)
    found, rounds = components(tmp_path / "x", chain[1:], chain[:-1], 5)
    assert set(found.values()) == {0}
    assert len(found) == 4000
    assert rounds <= 14


def test_a_star_of_thousands_is_settled_at_once(tmp_path):
    leaves = np.arange(1, 5000, dtype=np.uint64)
    found, rounds = components(tmp_path / "x", leaves, np.zeros_like(leaves), 4)
    assert set(found.values()) == {0}
    assert rounds == 1


def test_one_partition_needs_no_round(tmp_path):
    found, rounds = components(
        tmp_path / "x", np.array([5, 9], np.uint64), np.array([2, 5], np.uint64), 1
    )
    assert (found, rounds) == ({2: 2, 5: 2, 9: 2}, 0)


def test_a_component_is_named_by_its_least_node_whatever_the_order_of_links():
    left, right = np.array([9, 4, 7, 1], np.uint64), np.array([4, 7, 2, 8], np.uint64)
    nodes, roots = forest(left, right)
    assert dict(zip(nodes.tolist(), roots.tolist(), strict=True)) == {
        1: 1,
        2: 2,
        4: 2,
        7: 2,
        8: 1,
        9: 2,
    }
    assert [array.tolist() for array in forest(right[::-1], left[::-1])] == [
        nodes.tolist(),
        roots.tolist(),
    ]


def test_forests_of_parts_joined_give_the_components_of_the_whole():
    source = np.random.default_rng(2)
    left, right = (
        source.integers(0, 300, 200, dtype=np.uint64),
        source.integers(0, 300, 200, dtype=np.uint64),
    )
    parts = [forest(left[part::3], right[part::3]) for part in range(3)]
    joined = forest(
        np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    )
    assert [array.tolist() for array in joined] == [array.tolist() for array in forest(left, right)]


def test_no_links_have_no_components():
    nodes, roots = forest(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    assert len(nodes) == len(roots) == 0


def test_an_edge_that_comes_many_times_is_an_edge():
    left, right = np.full(512, 9, np.uint64), np.full(512, 4, np.uint64)
    assert forest(left, right)[1].tolist() == [4, 4]
