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
from typing import ClassVar, Literal

import pyarrow as pa

from manifests.config import config
from manifests.errors import CorpusmillError, RecipeError
from manifests.storage import Artifact
from stages.contract import Inputs, Pass, Passes, PassResult
from stages.dedup_match import components, match, sign
from stages.dedup_resolve import gather, remove, resolve

BANDINGS = {"fineweb": (14, 8), "nemotron_cc": (20, 13), "dolma": (26, 11)}
CLUSTER_COLUMNS = (
    pa.field("cluster_id", pa.string()),  # id of the document that stands for the cluster; a kept row's own id
    pa.field(
        "cluster_size", pa.int32()
    ),  # the survivor and what was removed for it; 1 for a document without duplicates
)
PARTITION_BYTES = 1 << 30
MOST_PARTITIONS = 1024


@config
class Dedup:
    """Settings of the dedup stage.

    exact: find documents that are equal but for white space. fuzzy: find near duplicates.
    ngram: words in a shingle (FineWeb: 5).
    preset: the banding: fineweb (14 x 8, candidates from about 0.72 similarity), nemotron_cc (20 x 13, about 0.79) or dolma (26 x 11,
    about 0.74). bands, rows: instead of the preset's. seed: of the permutations.
    verify_threshold: least Jaccard similarity of the shingle sets of a removed document and its survivor (Dolma 3: 0.8).
    survivor: which document of a cluster stays: the longest, the first (smallest id), the newest (largest `date`, compared as text;
    undated ones last) or the one of best `quality` (unscored ones last). Ties go to the smallest id.
    partitions: of keys and of clusters; by default one for each GiB of text. More partitions need less memory each.
    max_comparisons: most similarity checks spent on one document, so that the work on a cluster of any size grows with its size and
    not with its square. A document that finds no survivor within them is kept.
    """

    name: ClassVar[str] = "dedup"
    version: ClassVar[int] = 1

    exact: bool = True
    fuzzy: bool = True
    ngram: int = 5
    preset: Literal["fineweb", "nemotron_cc", "dolma"] = "fineweb"
    bands: int | None = None
    rows: int | None = None
    seed: int = 1
    verify_threshold: float = 0.8
    survivor: Literal["longest", "first", "newest", "best_quality"] = "longest"
    partitions: int | None = None
    max_comparisons: int = 64

    def __post_init__(self) -> None:
        for key in ("ngram", "bands", "rows", "partitions", "max_comparisons"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise RecipeError(f"dedup.{key} is {value}", "give a whole number of at least 1")
        if not 0 < self.verify_threshold <= 1:
            raise RecipeError(f"dedup.verify_threshold is {self.verify_threshold}", "give a number above 0, at most 1")
        if not 0 <= self.seed < 2**64:
            raise RecipeError(f"dedup.seed is {self.seed}", "give a whole number from 0 to 2**64 - 1")
        if not (self.exact or self.fuzzy):
            raise RecipeError("dedup has neither exact nor fuzzy", "switch one of them on, or leave the stage out")

    @property
    def banding(self) -> tuple[int, int]:
        """(bands, rows a band)."""
        bands, rows = BANDINGS[self.preset]
        return self.bands or bands, self.rows or rows

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


def shard_names(documents: tuple[Artifact, ...]) -> dict[str, Artifact]:
    """A name for each document shard: its file name without suffixes; files that share it get a piece of their digest as well.

    The same files get the same names in whichever order and folder they come.
    """
    named: dict[str, Artifact] = {}
    stems = [document.name.split(".", 1)[0] or "shard" for document in documents]
    for stem, document in sorted(zip(stems, documents, strict=True), key=lambda item: (item[0], item[1].digest)):
        name = stem if stems.count(stem) == 1 else f"{stem}-{document.digest[:8]}"
        copies = sum(1 for other in named if other == name or other.startswith(f"{name}-copy"))
        named[f"{name}-copy{copies}" if copies else name] = document
    return named


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
