"""From candidate clusters to decisions (the pass resolve). `gather` has brought their texts.

Equal texts need no check: one of them stands for all. Any other document is removed only if its
true Jaccard similarity with the document that stays reaches the threshold. Similarity is that of
the shingle sets.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.dedup.earlier import EARLIER, fall_to_earlier
from corpusmill.stages.dedup.gather import MEMBERS, first_equal, ranking
from corpusmill.stages.dedup.settings import DedupSettings
from corpusmill.stages.shuffle.row_groups import UNBOUNDED, read_range, run_starts, write_by_node

if TYPE_CHECKING:
    import numpy.typing as npt
    from corpusmill.stages.dedup.signatures.shingles import Shingles

    Rows = npt.NDArray[np.int64]

DECISIONS = pa.schema(  # one row for each removed text and each survivor, sorted by node
    [
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("reason", pa.string()),  # null: stays
    ]
)
EXACT_REASON, FUZZY_REASON = "dedup.exact", "dedup.fuzzy"
SHARED_REASON = "dedup.shared_part"
BLOCK_BYTES = 64 << 20  # text of the clusters that are compared in one go; a cluster is never cut


@dataclass(frozen=True)
class Fates:
    """What happens to each of some distinct texts.

    survivor: the text that stands for it, itself if it stays. outside: the earlier document
    that it falls to instead, as a row of their table, or -1. similarity: with either. equal:
    whether its text is the earlier one's. shared_part: whether it fell mostly for a beginning or
    end that it shares with its survivor. survivor_id: the id of whoever stands for it.
    """

    survivor: "Rows"
    outside: "Rows"
    similarity: "npt.NDArray[np.float64]"
    equal: "npt.NDArray[np.bool_]"
    shared_part: "npt.NDArray[np.bool_]"
    survivor_id: "npt.NDArray[np.object_]"


def resolve(settings: DedupSettings, gathered: int, shard: Shard) -> list[Counts]:
    """Read one partition of clusters. Write `work/resolve` (`DECISIONS`): who is removed for
    whom.

    The inputs are `gathered` files of `MEMBERS`, then files of `earlier.EARLIER`.
    """
    from corpusmill.stages.dedup.signatures.shingles import shingle_sets

    partition = int(shard.name)
    members = read_range(
        shard, shard.inputs[:gathered], "partition", partition, partition + 1, MEMBERS
    )
    earlier = read_range(
        shard, shard.inputs[gathered:], "partition", partition, partition + 1, EARLIER
    ).sort_by("component")
    order = ranking(settings, members, [("component", "ascending")])
    texts, members = joined(members["text"]), members.drop_columns(["text"]).take(order)
    twin = first_equal(members) if settings.exact else np.arange(members.num_rows)
    decided = [DECISIONS.empty_table()]
    for start, stop in _blocks(members):
        block, equal = members.slice(start, stop - start), twin[start:stop] - start
        # One head for each text. The others go where it goes.
        heads = np.flatnonzero(equal == np.arange(stop - start))
        shingles = shingle_sets(
            *texts,
            settings.ngram,
            order.to_numpy()[start:stop][heads].astype(np.int64),
            settings.normalization,
            with_words=settings.fuzzy,
        )
        if settings.normalization != "meaning":
            shingles = replace(shingles, figures=None)
        fates = _fates(
            settings, block.take(pa.array(heads)), shingles, _of_clusters(earlier, block)
        )
        decided.append(_decisions(block, equal, np.searchsorted(heads, equal), heads, fates))
    with shard.parquet(
        "work/resolve", DECISIONS, row_group_bytes=UNBOUNDED, temporary=True
    ) as output:
        write_by_node(output, pa.concat_tables(decided).sort_by("node"))
    return []


def _blocks(members: pa.Table) -> "list[tuple[int, int]]":
    """Bounds [start, stop) of runs of whole clusters with about `BLOCK_BYTES` of text each."""
    if members.num_rows == 0:
        return []
    starts = run_starts(members["component"].to_numpy())
    size = np.cumsum(members["text_bytes"].to_numpy())
    before = np.concatenate([[0], size[starts[1:] - 1]])
    firsts = starts[run_starts(before // BLOCK_BYTES)]
    return [
        (int(start), int(stop))
        for start, stop in zip(firsts, [*firsts[1:], members.num_rows], strict=True)
    ]


def _of_clusters(earlier: pa.Table, block: pa.Table) -> pa.Table:
    """The earlier documents of the block's clusters. Both are sorted by component."""
    component = earlier["component"].to_numpy()
    start = np.searchsorted(component, block["component"][0].as_py())
    stop = np.searchsorted(component, block["component"][-1].as_py(), side="right")
    return earlier.slice(start, stop - start)


def _fates(
    settings: DedupSettings, heads: pa.Table, shingles: "Shingles", earlier: pa.Table
) -> Fates:
    """The fates of the distinct texts of some whole clusters, which come in the order of the
    survivor rule.
    """
    from corpusmill.stages.dedup.clusters import choose_survivors, fell_for_shared_part
    from corpusmill.stages.dedup.signatures.minhash import keys_of_signatures, signatures

    number = np.arange(heads.num_rows)
    survivor, similarity = number, np.ones(len(number))
    outside, equal = np.full(len(number), -1), np.zeros(len(number), bool)
    shared = np.zeros(len(number), bool)
    scheme = settings.make_scheme()
    component = heads["component"].to_numpy()
    if earlier.num_rows:
        exact = np.stack([heads["exact_high"].to_numpy(), heads["exact_low"].to_numpy()], axis=1)
        keys = (
            keys_of_signatures(signatures(shingles, scheme), scheme)
            ^ heads["parent"].to_numpy()[:, None]
        )
        outside, similarity, equal = fall_to_earlier(settings, exact, keys, shingles, earlier)
    if settings.fuzzy:
        starts = np.append(run_starts(component), len(number))
        limits = settings.verify_threshold, settings.max_comparisons
        unshared = settings.ngram if settings.shared_parts == "ignore" else 0
        choice = choose_survivors(starts, shingles, scheme, *limits, outside >= 0, unshared)
        shared = fell_for_shared_part(choice, shingles, settings.ngram)
        survivor, similarity = (
            choice.survivor,
            np.where(outside >= 0, similarity, choice.similarity),
        )
    names = heads["id"].to_numpy()[survivor]
    names[outside >= 0] = earlier["id"].to_numpy()[outside[outside >= 0]]
    return Fates(survivor, outside, similarity, equal, shared, names)


def _decisions(
    members: pa.Table, twin: "Rows", head_of: "Rows", heads: "Rows", fates: Fates
) -> pa.Table:
    """The decisions on the members of some whole clusters.

    twin: for each member, the first with the same text. head_of: that text's place among the
    heads.
    """
    documents = members["documents"].to_numpy()
    inside = fates.outside[head_of] < 0
    # A cluster is counted by its survivor: a member of this run, or an earlier document.
    stands = np.where(
        inside, heads[fates.survivor[head_of]], members.num_rows + fates.outside[head_of]
    )
    size = np.bincount(stands, weights=documents)[stands].astype(np.int32) + ~inside
    stays = inside & (stands == np.arange(members.num_rows))
    equal = np.where(inside, stands == twin, fates.equal[head_of])
    chosen = pa.array(np.flatnonzero(size > 1))
    similar = pc.if_else(pa.array(fates.shared_part[head_of]), SHARED_REASON, FUZZY_REASON)
    why = pc.if_else(pa.array(equal), EXACT_REASON, similar)
    columns = [
        members["node"],
        pa.array(fates.survivor_id[head_of], pa.string()),
        pa.array(size),
        pa.array(np.where(equal, 1.0, fates.similarity[head_of]).astype(np.float32)),
        pc.if_else(pa.array(stays), pa.scalar(None, pa.string()), why),
    ]
    return pa.table(columns, schema=DECISIONS).take(chosen)
