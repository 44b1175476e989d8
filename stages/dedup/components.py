"""Connected components of the links, in passes (components-N, clusters). No process sees all
links.

Every round is a pass over partitions of the nodes. A partition reads all edges that touch one
of its nodes, and finds the components of what it sees. It writes an edge from each node to the
smallest node of its component. An edge goes to the partitions of both its ends. What was
connected stays connected, and every node's edges lead to ever smaller nodes. In the last round
all edges form stars around the smallest node of each component, and nobody changes anything. A
partition unites whole neighbourhoods, which shortens chains as pointer jumping does. So rounds
are few: three or four for what MinHash finds.

Source: Kiveris et al. 2014, "Connected components in MapReduce and beyond" (SoCC). A partition
does its star operations for all its nodes at once.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from corpusmill.manifests.parquet_output import ParquetOutput
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    read_range,
    write_by_node,
    write_by_partition,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Nodes = npt.NDArray[np.uint64]

EDGES = pa.schema(  # one row for each edge and partition of its ends, sorted by partition
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("root", pa.uint64(), nullable=False),  # less than node
    ]
)
CLUSTERS = pa.schema(  # every node of a component; sorted by node
    [
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("component", pa.uint64(), nullable=False),
    ]
)
UNSETTLED = "unsettled"
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)


def unite(partitions: int, where: str, shard: Shard) -> list[Counts]:
    """One round over one partition of the nodes: read its edges, write the edges of its
    components below `where`.

    The account counts the edges, and those that did not lead to the smallest node in sight
    (`UNSETTLED`).
    """
    node, root = _edges(shard)
    nodes, roots = forest(node, root)
    unsettled = int(np.count_nonzero(roots[np.searchsorted(nodes, node)] != root))
    with shard.parquet(where, EDGES, row_group_bytes=UNBOUNDED, temporary=True) as output:
        write_edges(output, nodes, roots, partitions)
    return [Counts("components", len(node), len(node) - unsettled, {UNSETTLED: unsettled})]


def clusters(partitions: int, shard: Shard) -> list[Counts]:
    """Read one partition's settled edges. Write `work/clusters`: its nodes and their components
    (`CLUSTERS`).
    """
    nodes, roots = forest(*_edges(shard))
    own = partition_of_node(nodes, partitions) == np.uint32(int(shard.name))
    with shard.parquet(
        "work/clusters", CLUSTERS, row_group_bytes=UNBOUNDED, temporary=True
    ) as output:
        write_by_node(output, pa.table([nodes[own], roots[own]], schema=CLUSTERS))
    return []


def forest(left: "Nodes", right: "Nodes") -> "tuple[Nodes, Nodes]":
    """The connected components of the edges left[i] - right[i]: every node once, sorted, and the
    least node of its component.

    At most 2**31 nodes, the limit of scipy's graphs; a partition has far fewer.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, found = np.unique(np.concatenate([left, right]), return_inverse=True)
    places = found.astype(np.int32)
    edges = (places[: len(left)], places[len(left) :])
    # Of type bool, so that an edge that comes many times stays one edge. Numbers would be added up
    # and overflow.
    graph = coo_array((np.ones(len(left), np.bool_), edges), shape=(len(nodes), len(nodes)))
    count, component = connected_components(graph.tocsr(), directed=False)
    least = np.empty(count, np.int64)
    least[component[::-1]] = np.arange(len(nodes))[::-1]  # the last that is written is the least
    return nodes, nodes[least[component]]


def write_edges(output: ParquetOutput, node: "Nodes", root: "Nodes", partitions: int) -> None:
    """Write each edge for the partitions of its two ends. A pair of a node with itself is no
    edge.
    """
    node, root = node[node != root], root[node != root]
    at_node, at_root = partition_of_node(node, partitions), partition_of_node(root, partitions)
    twice = at_node != at_root
    partition = np.concatenate([at_node, at_root[twice]])
    order = np.argsort(partition, kind="stable")
    columns = [
        partition[order],
        np.concatenate([node, node[twice]])[order],
        np.concatenate([root, root[twice]])[order],
    ]
    write_by_partition(output, pa.table(columns, schema=EDGES), partitions)


def partition_of_node(node: "Nodes", partitions: int) -> "npt.NDArray[np.uint32]":
    """The partition of each node, by a hash of the node. Without the hash, small nodes, which have
    most edges, would crowd the first partitions.
    """
    mixed = (node ^ (node >> np.uint64(33))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(33))) * _MIX_2
    return ((mixed >> np.uint64(32)) % np.uint64(partitions)).astype(np.uint32)


def _edges(shard: Shard) -> "tuple[Nodes, Nodes]":
    """The distinct edges of the partition."""
    partition = int(shard.name)
    found = read_range(shard, shard.inputs, "partition", partition, partition + 1, EDGES)
    node, root = found["node"].to_numpy(), found["root"].to_numpy()
    order = np.lexsort((root, node))
    node, root = node[order], root[order]
    new = np.ones(len(node), bool)
    new[1:] = (node[1:] != node[:-1]) | (root[1:] != root[:-1])
    return node[new], root[new]
