"""Where each copy of a document goes: into which phase, and where in the order of its source.

A source's documents are taken in the order of their keys, epoch after epoch. Each phase takes where
the one before ended. Within a phase, each copy has a place in an order of its own, a hash.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from corpusmill.manifests.schema import seed_for
from corpusmill.stages.quota import KEY_BITS, Draw, Weights, draw_each
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


class Ends(NamedTuple):
    """Where each source ends in each phase: whole epochs (int64), and the first key that is left
    out (uint64). Both [phases, sources].
    """

    epochs: Numbers
    keys: NDArray[np.uint64]

    def copies(self, groups: Numbers, keys: Numbers) -> Numbers:
        """How often each document is taken, in all phases together. groups: their sources."""
        more: Numbers = keys.astype(np.uint64) < self.keys[-1][groups]
        return self.epochs[-1][groups] + more

    def phases(self, groups: Numbers, keys: Numbers, copy: Numbers) -> Numbers:
        """The phase of each copy. copy: its number among the document's copies, from 0."""
        unsigned = keys.astype(np.uint64)
        phase = np.zeros(len(keys), np.int64)
        for epochs, ends in zip(self.epochs, self.keys, strict=True):
            here = epochs[groups]
            phase += (copy > here) | ((copy == here) & (unsigned >= ends[groups]))
        return phase


def order_of(
    names: Sequence[str], seed: int, groups: Numbers, keys: Numbers, copy: Numbers
) -> Numbers:
    """The place of each copy in its source's order: a hash of document, source and copy number, in
    [0, 2**63). SplitMix64 (Steele, Lea and Flood 2014) mixes them.
    """
    salts = np.array([seed_for("order", seed, name) for name in names], np.uint64)
    values = keys.astype(np.uint64) ^ salts[groups]
    values = values + (copy.astype(np.uint64) + np.uint64(1)) * _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    values ^= values >> np.uint64(31)
    return (values >> np.uint64(64 - KEY_BITS)).astype(np.int64)


def cuts_of_shards(
    read: Callable[[], Iterator[Weights]],
    names: Sequence[str],
    seed: int,
    ends: Ends,
    tokens: Sequence[Sequence[int]],
    shards: Sequence[int],
) -> list[list[list[Draw]]]:
    """Where each source's order is cut for the shards of each phase: at equal shares of its tokens.
    So every shard has the phase's shares, to within one document.

    tokens: of each source in each phase. shards: of each phase.
    """

    def copies() -> Iterator[Weights]:
        for groups, keys, weights in read():
            claimed = groups >= 0
            groups, keys = groups[claimed].astype(np.int64), keys[claimed]
            number = ends.copies(groups, keys)
            rows = np.repeat(np.arange(len(number)), number)
            copy = np.arange(len(rows)) - rows.searchsorted(rows)
            groups, keys = groups[rows], keys[rows]
            bucket = ends.phases(groups, keys, copy) * len(names) + groups
            yield bucket, order_of(names, seed, groups, keys, copy), weights[claimed][rows]

    quotas = {
        phase * len(names) + group: [
            total * cut // shards[phase] for cut in range(1, shards[phase])
        ]
        for phase, totals in enumerate(tokens)
        for group, total in enumerate(totals)
    }
    drawn = draw_each(copies, quotas)
    return [
        [drawn[phase * len(names) + group] for group in range(len(names))]
        for phase in range(len(tokens))
    ]


class Placing:
    """The plan, read back: where each copy goes."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.names = sorted(plan["sources"])
        self._seed = plan["seed"]
        phases = [[phase["sources"][name] for name in self.names] for phase in plan["phases"]]
        self.ends = Ends(
            np.array([[one["whole_epochs"] for one in phase] for phase in phases], np.int64),
            np.array([[int(one["threshold"], 16) for one in phase] for phase in phases], np.uint64),
        )
        self._cuts = [
            [np.array([int(cut, 16) for cut in one["cuts"]], np.uint64) for one in phase]
            for phase in phases
        ]
        self.first_shards = np.cumsum([0, *(phase["shards"] for phase in plan["phases"])])

    def place(
        self, groups: Numbers, keys: Numbers, copy: Numbers
    ) -> tuple[Numbers, Numbers, Numbers]:
        """(phase, shard, place in the order of its source) of each copy."""
        phases = self.ends.phases(groups, keys, copy)
        order = order_of(self.names, self._seed, groups, keys, copy)
        inside = np.zeros(len(order), np.int64)
        for phase, cuts_of_phase in enumerate(self._cuts):
            for group, cuts in enumerate(cuts_of_phase):
                mine = (phases == phase) & (groups == group)
                inside[mine] = cuts.searchsorted(order[mine].astype(np.uint64), side="right")
        return phases, self.first_shards[phases] + inside, order
