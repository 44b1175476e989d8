"""Remove exact and near duplicates over all shards: MinHash finds candidates, true Jaccard similarity decides.

The algorithm, pass by pass; every pass reads and writes files and holds one shard or one partition at a time:

    sign          per document shard: the hash of the whole text and one key per MinHash band; links within the shard are drawn at
                  once, and of linked documents only the first sends keys
    match         per partition of keys: documents of different shards that share a key are linked (a spanning forest)
    components-N  per partition of linked documents, round by round until nothing changes: connected components
    clusters      per partition of linked documents: which component, that is candidate cluster, each belongs to
    gather        per document shard: the texts of its documents in clusters, each distinct one once, cut into partitions by cluster
    resolve       per partition of clusters: order members by the survivor rule; each is compared with the survivors so far and
                  either falls to one of them, its similarity verified, or becomes a survivor itself
    dedup         per document shard: kept rows get their cluster, removed rows go to `excluded/` with the survivor's id

A chain of look-alikes (A like B, B like C, A unlike C) is one candidate cluster but loses only B: nothing is removed unless its own
similarity with the document that stays reaches `verify_threshold`. What is removed depends on the documents alone, not on how they
are spread over shards, on partitions or on workers.

Sources: Lee et al. 2022, "Deduplicating training data makes language models better" (MinHash over web text, edges verified);
Penedo et al. 2024, FineWeb (word 5-grams, 14 bands of 8 rows); verification at 0.8 as in the Dolma 3 corpus.
"""

import unicodedata
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial
from typing import ClassVar

import pyarrow as pa

from manifests.config import config
from manifests.errors import CorpusmillError
from manifests.receipt import Counts
from manifests.shard import Shard, shard_names
from manifests.storage import Artifact
from stages.contract import DOCUMENTS, Inputs, Pass, Passes, PassResult
from stages.dedup.components import UNSETTLED, clusters, unite
from stages.dedup.earlier import check_kind, gather_earlier, sign_earlier, write_signatures
from stages.dedup.match import match, sign
from stages.dedup.remove import remove
from stages.dedup.resolve import gather, resolve
from stages.dedup.settings import CLUSTER_COLUMNS, DedupSettings

Work = Callable[[Shard], list[Counts]]
Written = Generator[Pass, PassResult, tuple[Artifact, ...]]  # passes that end in what the last of them wrote

PARTITION_BYTES = 1 << 30
PARTITION_ROWS = 1 << 20
MOST_PARTITIONS = 4096


@config
class Dedup(DedupSettings):
    """Remove exact and near duplicates."""

    version: ClassVar[int] = 2

    def adds(self) -> tuple[pa.Field, ...]:
        return CLUSTER_COLUMNS

    def depends_on(self) -> str:
        return f"unicode {unicodedata.unidata_version}"  # what is white space, punctuation and lower case

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        """The signatures of earlier runs."""
        folders = tuple(f"{folder.rstrip('/')}/signatures/*.parquet" for folder in self.against)
        return {"against": folders} if folders else {}

    def passes(self, inputs: Inputs) -> Passes:
        documents = shard_names(inputs.documents)
        partitions = self.partitions or default_partitions(inputs.documents)
        cut = f"partitions={partitions}"

        signing = {name: (document,) for name, document in documents.items()}
        signed = yield Pass("sign", signing, partial(sign, self, partitions), depends_on=cut)
        names = sorted(signed.receipts)  # a shard that cannot be read is in quarantine and goes no further
        local = {name: _outputs_of(signed, name, "work/local") for name in names}

        known = shard_names(inputs.named.get("against", ()))
        check_kind(self, tuple(known.values()))
        knowing = {name: (signatures,) for name, signatures in known.items()}
        signed_earlier = PassResult({})
        if known:
            signed_earlier = yield Pass(
                "sign-earlier", knowing, partial(sign_earlier, self, partitions), depends_on=cut
            )
            _refuse_loss(signed_earlier, known, "sign-earlier")
        keys = (*signed.outputs("work/sign"), *signed_earlier.outputs("work/sign-earlier"))
        found = yield from candidate_clusters(keys, partitions)

        gathering = {f"{home:06d}-{name}": (documents[name], *local[name], *found) for home, name in enumerate(names)}
        gathered = yield Pass("gather", gathering, partial(gather, self, partitions), depends_on=cut)
        members = gathered.outputs("work/gather")
        earlier: tuple[Artifact, ...] = ()
        if known:
            recalling = {
                f"{home:06d}-{name}": (known[name], *_outputs_of(signed_earlier, name, "work/local-earlier"), *found)
                for home, name in enumerate(known, len(names))
            }
            recalled = yield Pass("gather-earlier", recalling, partial(gather_earlier, partitions), depends_on=cut)
            _refuse_loss(recalled, recalling, "gather-earlier")
            earlier = recalled.outputs("work/earlier")
        work = partial(resolve, self, len(members))
        decisions = yield from _over_partitions("resolve", (*members, *earlier), work, partitions)

        removing = {
            name: (gathering[name][0], *_outputs_of(gathered, name, "work/copies"), *decisions)
            for name in gathered.receipts
        }
        removed = yield Pass(self.name, removing, partial(remove, self), final=True)
        if self.signatures:
            kept = {name.split("-", 1)[1]: _outputs_of(removed, name, DOCUMENTS) for name in sorted(removed.receipts)}
            yield Pass("signatures", kept, partial(write_signatures, self))


def candidate_clusters(keys: tuple[Artifact, ...], partitions: int) -> Written:
    """The passes from the shards' keys, in the order of their positions, to the clusters of linked documents."""
    edges = yield from _over_partitions("match", keys, partial(match, partitions), partitions)
    unsettled, number = partitions > 1, 0
    while unsettled:
        number += 1
        name = f"components-{number}"
        result = yield _each_partition(name, edges, partial(unite, partitions, f"work/{name}"), partitions)
        edges = _all_outputs(result, name, partitions)
        unsettled = any(count.excluded[UNSETTLED] for receipt in result.receipts.values() for count in receipt.counts)
    return (yield from _over_partitions("clusters", edges, partial(clusters, partitions), partitions))


def default_partitions(documents: tuple[Artifact, ...]) -> int:
    """One partition for each GiB of text or each 2**20 documents, whichever makes more; where nobody counted the text, a compressed
    byte is taken for four."""
    text_bytes = sum(document.text_bytes or 4 * document.size for document in documents)
    rows = sum(document.rows for document in documents)
    return min(MOST_PARTITIONS, max(1, -(-text_bytes // PARTITION_BYTES), -(-rows // PARTITION_ROWS)))


def _each_partition(name: str, inputs: tuple[Artifact, ...], work: Work, partitions: int) -> Pass:
    """Every partition is a task that reads its part of all inputs."""
    return Pass(name, dict.fromkeys(_names(partitions), inputs), work, depends_on=f"partitions={partitions}")


def _over_partitions(name: str, inputs: tuple[Artifact, ...], work: Work, partitions: int) -> Written:
    result = yield _each_partition(name, inputs, work, partitions)
    return _all_outputs(result, name, partitions)


def _outputs_of(result: PassResult, shard: str, where: str) -> tuple[Artifact, ...]:
    """What one shard of the pass wrote in the folder `where`."""
    outputs = result.receipts[shard].outputs
    return tuple(output for output in outputs if output.path.rsplit("/", 1)[0].endswith(f"/{where}"))


def _all_outputs(result: PassResult, name: str, partitions: int) -> tuple[Artifact, ...]:
    """The pass's outputs. A lost partition is not a lost shard: without it duplicates would stay unnoticed, so it ends the stage."""
    _refuse_loss(result, _names(partitions), name)
    return result.outputs()


def _refuse_loss(result: PassResult, over: Iterable[str], name: str) -> None:
    lost = sorted(set(over) - set(result.receipts))
    if lost:
        raise CorpusmillError(
            f"dedup could not finish {lost[0]} of its pass {name!r} ({len(lost)} of {len(lost) + len(result.receipts)} failed)",
            f"read receipts/{name}/{lost[0]}.json, mend the cause (often memory: raise dedup.partitions), run again",
        )


def _names(partitions: int) -> list[str]:
    return [f"{number:04d}" for number in range(partitions)]
