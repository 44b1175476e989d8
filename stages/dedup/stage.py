"""Remove exact and near duplicates over all shards: MinHash finds candidates, true Jaccard similarity decides.

The algorithm, pass by pass; every pass reads and writes files and holds one shard or one partition at a time:

    sign        per document shard: the hash of the whole text and one key per MinHash band, cut into partitions by key
    match       per partition of keys: documents that share a key are linked (a spanning forest, so n of a kind give n - 1 links)
    components  all links: connected components, the candidate clusters
    gather      per document shard: the documents of the clusters, cut into partitions by cluster
    resolve     per partition of clusters: order members by the survivor rule; each is compared with the survivors so far and
                either falls to one of them, its similarity verified, or becomes a survivor itself
    dedup       per document shard: kept rows get their cluster, removed rows go to `excluded/` with the survivor's id

A chain of look-alikes (A like B, B like C, A unlike C) is one candidate cluster but loses only B: nothing is removed unless its own
similarity with the document that stays reaches `verify_threshold`. What is removed depends on the documents alone, not on how they
are spread over shards, on partitions or on workers.

Sources: Lee et al. 2022, "Deduplicating training data makes language models better" (MinHash over web text, edges verified);
Penedo et al. 2024, FineWeb (word 5-grams, 14 bands of 8 rows); verification at 0.8 as in the Dolma 3 corpus.
"""

import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import pyarrow as pa

from manifests.config import config
from manifests.errors import CorpusmillError
from manifests.shard import shard_names
from manifests.storage import Artifact
from stages.contract import Inputs, Pass, Passes, PassResult
from stages.dedup.match import components, match, sign
from stages.dedup.resolve import gather, remove, resolve
from stages.dedup.settings import CLUSTER_COLUMNS, DedupSettings

PARTITION_BYTES = 1 << 30
MOST_PARTITIONS = 1024


@config
class Dedup(DedupSettings):
    """Remove exact and near duplicates."""

    version: ClassVar[int] = 1

    def adds(self) -> tuple[pa.Field, ...]:
        return CLUSTER_COLUMNS

    def depends_on(self) -> str:
        return f"unicode {unicodedata.unidata_version}"  # what is white space, punctuation and lower case

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {}

    def passes(self, inputs: Inputs) -> Passes:
        documents = shard_names(inputs.documents)
        partitions = self.partitions or default_partitions(inputs.documents)
        cut = f"partitions={partitions}"

        signing = {name: (document,) for name, document in documents.items()}
        signed = yield Pass("sign", signing, partial(sign, self, partitions), depends_on=cut)
        names = sorted(signed.receipts)  # a shard that cannot be read is in quarantine and goes no further
        keys = tuple(output for name in names for output in signed.receipts[name].outputs)

        matching = {f"{number:04d}": keys for number in range(partitions)}
        matched = yield Pass("match", matching, match)
        links = _all_outputs(matched, matching, "match")

        linked = yield Pass("components", {"all": links}, components)
        (clusters,) = _all_outputs(linked, {"all": links}, "components")

        gathering = {f"{home:06d}-{name}": (documents[name], clusters) for home, name in enumerate(names)}
        gathered = yield Pass("gather", gathering, partial(gather, self, partitions), depends_on=cut)
        members = gathered.outputs()

        resolving = {f"{number:04d}": members for number in range(partitions)}
        resolved = yield Pass("resolve", resolving, partial(resolve, self))
        decisions = _all_outputs(resolved, resolving, "resolve")

        removing = {name: (gathering[name][0], *decisions) for name in gathered.receipts}
        yield Pass(self.name, removing, partial(remove, self), final=True)


def default_partitions(documents: tuple[Artifact, ...]) -> int:
    """One partition for each GiB of text; where nobody counted the text, a compressed byte is taken for four."""
    text_bytes = sum(document.text_bytes or 4 * document.size for document in documents)
    return min(MOST_PARTITIONS, max(1, -(-text_bytes // PARTITION_BYTES)))


def _all_outputs(result: PassResult, shards: Mapping[str, tuple[Artifact, ...]], name: str) -> tuple[Artifact, ...]:
    """The pass's outputs. A lost partition is not a lost shard: without it duplicates would stay unnoticed, so it ends the stage."""
    lost = sorted(set(shards) - set(result.receipts))
    if lost:
        raise CorpusmillError(
            f"dedup could not finish partition {lost[0]} of its pass {name!r} ({len(lost)} of {len(shards)} failed)",
            f"read receipts/{name}/{lost[0]}.json, mend the cause (often memory: raise dedup.partitions), run again",
        )
    return result.outputs()
