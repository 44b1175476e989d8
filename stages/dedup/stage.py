"""Remove exact and near duplicates over all shards. MinHash finds candidates, and true Jaccard
similarity decides.

Every pass reads and writes files, and holds one shard or one partition at a time:

    sign          each shard: the hash of the whole text and a key for each MinHash band; links
                  within the shard; of linked documents only the first sends keys
    match         each partition of keys: links between documents of different shards that share
                  a key (a spanning forest)
    components-N  each partition of linked documents, round by round: connected components
    clusters      each partition of linked documents: the candidate cluster of each
    gather        each shard: the texts of its documents in clusters, by partition of clusters
    resolve       each partition of clusters: members in the order of the survivor rule; each is
                  compared with the survivors so far, and falls to one or becomes one
    dedup         each shard: kept rows get their cluster, removed rows name their survivor

A chain (A like B, B like C, A unlike C) is one candidate cluster, but loses only B. A document is
removed only if its own similarity with the document that stays reaches `verify_threshold`. What is
removed depends on the documents alone, not on shards, partitions or workers.

Sources: Lee et al. 2022, "Deduplicating training data makes language models better" (MinHash over
web text, edges verified); Penedo et al. 2024, FineWeb (word 5-grams, 14 bands of 8 rows); the Dolma
3 corpus (verification at 0.8).
"""

import unicodedata
from collections.abc import Generator, Mapping
from functools import partial
from typing import ClassVar

import pyarrow as pa
from corpusmill.manifests import finding
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Receipt
from corpusmill.manifests.shard_names import shard_names
from corpusmill.manifests.stage_folder import StageFolder
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.columns.ranking import refuse_rule_without_column
from corpusmill.stages.contract import (
    DOCUMENTS,
    GlobalStage,
    Inputs,
    Pass,
    Passes,
    PassResult,
    Reads,
)
from corpusmill.stages.dedup.components import CLUSTERS, EDGES, UNSETTLED, clusters, unite
from corpusmill.stages.dedup.earlier import (
    EARLIER,
    check_kind,
    gather_earlier,
    sign_earlier,
    write_signatures,
)
from corpusmill.stages.dedup.gather import MEMBERS, gather
from corpusmill.stages.dedup.match import KEYS, match, sign
from corpusmill.stages.dedup.remove import remove
from corpusmill.stages.dedup.resolve import DECISIONS, resolve
from corpusmill.stages.dedup.settings import CLUSTER_COLUMNS, DedupSettings
from corpusmill.stages.shuffle.exchange import FilesFor, exchange, refuse_loss
from corpusmill.stages.shuffle.row_groups import MOST_PARTITIONS, ROW_BITS, Sorted, home_of

PARTITION_BYTES = 1 << 30
PARTITION_ROWS = 1 << 20
KEY_PARTITIONS = 4  # partitions of a small corpus, so that this many workers have work
KEY_PARTITION_BYTES = 48 << 20  # bytes of text for such a partition, at least


class Dedup(DedupSettings, GlobalStage):
    """Remove exact and near duplicates."""

    version: ClassVar[int] = 5
    reads: ClassVar[Reads] = Reads.DOCUMENTS

    def adds(self) -> tuple[pa.Field, ...]:
        return CLUSTER_COLUMNS

    def depends_on(self) -> str:
        return f"unicode {unicodedata.unidata_version}"  # decides white space, punctuation, case

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        """The signatures of earlier runs. Raises RecipeError for a finished stage without any."""
        for folder in self.against:
            if StageFolder(folder).has_manifest and not finding.files_below(f"{folder}/signatures"):
                raise RecipeError(
                    f"dedup.against: {folder} holds no signatures",
                    "run dedup with signatures=true on those documents, and name its folder",
                )
        folders = tuple(f"{folder.rstrip('/')}/signatures/*.parquet" for folder in self.against)
        return {"against": folders} if folders else {}

    def passes(self, inputs: Inputs) -> Passes:
        refuse_rule_without_column(inputs.documents, "survivor", self.survivor)
        link_partitions = self.partitions or default_partitions(inputs.documents)
        partitions = self.partitions or key_partitions(inputs.documents)
        cut = f"partitions={partitions}"
        documents = _placed(shard_names(inputs.documents), 0)
        earlier = _placed(shard_names(inputs.named.get("against", ())), len(documents))
        homes = len(documents) + len(earlier)
        check_kind(self, tuple(earlier.values()))

        signing = {name: (document,) for name, document in documents.items()}
        signed = yield Pass("sign", signing, partial(sign, self, partitions), depends_on=cut)
        keys = signed.outputs("work/sign")
        known = PassResult({})
        if earlier:
            knowing = {name: (signatures,) for name, signatures in earlier.items()}
            known = yield Pass(
                "sign-earlier", knowing, partial(sign_earlier, self, partitions), depends_on=cut
            )
            refuse_loss(known, knowing, "sign-earlier")
            keys += known.outputs("work/sign-earlier")
        found = yield from candidate_clusters(keys, partitions, homes, link_partitions)

        gathering = {  # a shard that could not be read is in quarantine
            name: (
                documents[name],
                *_outputs_of(signed, name, "work/local"),
                *_outputs_of(signed, name, "work/exact"),
                *found(home_of(name)),
            )
            for name in signed.receipts
        }
        gathered = yield Pass(
            "gather", gathering, partial(gather, self, partitions), depends_on=cut
        )
        by_cluster = Sorted(MEMBERS, "partition", partitions)
        members = yield from exchange("gather", gathered.outputs("work/gather"), by_cluster)
        recalled = PassResult({})
        if earlier:
            recalling = {
                name: (
                    earlier[name],
                    *_outputs_of(known, name, "work/local-earlier"),
                    *found(home_of(name)),
                )
                for name in earlier
            }
            recalled = yield Pass(
                "gather-earlier", recalling, partial(gather_earlier, partitions), depends_on=cut
            )
            refuse_loss(recalled, recalling, "gather-earlier")
        by_cluster = Sorted(EARLIER, "partition", partitions)
        others = yield from exchange("gather-earlier", recalled.outputs("work/earlier"), by_cluster)

        resolving = _each_partition(
            partitions, lambda partition: (*members(partition), *others(partition))
        )
        resolved = yield Pass(
            "resolve", resolving, partial(resolve, self, len(members(0))), depends_on=cut
        )
        refuse_loss(resolved, resolving, "resolve")
        decisions = yield from exchange(
            "resolve", resolved.outputs(), Sorted(DECISIONS, "node", homes, ROW_BITS)
        )

        removing = {
            name: (
                documents[name],
                *_outputs_of(gathered, name, "work/copies"),
                *decisions(home_of(name)),
            )
            for name in gathered.receipts
        }
        removed = yield Pass(self.name, removing, partial(remove, self), final=True)
        if self.signatures:
            kept = {
                name.split("-", 1)[1]: _outputs_of(removed, name, DOCUMENTS)
                for name in removed.receipts
            }
            yield Pass("signatures", kept, partial(write_signatures, self))


def candidate_clusters(
    keys: tuple[Artifact, ...], partitions: int, homes: int, link_partitions: int | None = None
) -> Generator[Pass, PassResult, FilesFor]:
    """The passes from keys to clusters. Returns a function: a shard's position -> the files in
    which it finds its clusters.

    partitions: of the keys. link_partitions: of the links, which are much smaller; by default as
    many.
    """
    links = link_partitions or partitions
    by_key = Sorted(KEYS, "partition", partitions)
    reads = yield from exchange("sign", keys, by_key)
    shards = _each_partition(partitions, reads)
    name, work = "match", partial(match, links)
    number, unsettled = 0, True
    while unsettled:
        result = yield Pass(name, shards, work, depends_on=f"partitions={partitions} links={links}")
        refuse_loss(result, shards, name)
        reads = yield from exchange(name, result.outputs(), Sorted(EDGES, "partition", links))
        # A single partition sees every edge, so `clusters` does all. Otherwise rounds go on as long
        # as one of them changes anything.
        unsettled = links > 1 and (number == 0 or any(map(_changed, result.receipts.values())))
        number += 1
        name = f"components-{number}"
        work = partial(unite, links, f"work/{name}")
        shards = _each_partition(links, reads)
    result = yield Pass(
        "clusters",
        shards,
        partial(clusters, links),
        depends_on=f"partitions={partitions} links={links}",
    )
    refuse_loss(result, shards, "clusters")
    return (
        yield from exchange("clusters", result.outputs(), Sorted(CLUSTERS, "node", homes, ROW_BITS))
    )


def default_partitions(documents: tuple[Artifact, ...]) -> int:
    """One partition for each GiB of text or each 2**20 documents, whichever makes more.

    If nobody counted the text, a compressed byte counts as four.
    """
    text_bytes, rows = _text_bytes(documents), sum(document.rows for document in documents)
    return min(
        MOST_PARTITIONS, max(1, -(-text_bytes // PARTITION_BYTES), -(-rows // PARTITION_ROWS))
    )


def key_partitions(documents: tuple[Artifact, ...]) -> int:
    """The default number, or more for a small corpus, so that match and resolve have work for
    several workers.
    """
    return max(
        default_partitions(documents),
        min(KEY_PARTITIONS, _text_bytes(documents) // KEY_PARTITION_BYTES),
    )


def _text_bytes(documents: tuple[Artifact, ...]) -> int:
    return sum(document.text_bytes or 4 * document.size for document in documents)


def _placed(shards: Mapping[str, Artifact], first: int) -> dict[str, Artifact]:
    """The shards, with names that begin with their positions. Positions are part of the documents'
    nodes.
    """
    return {
        f"{home:06d}-{name}": artifact
        for home, (name, artifact) in enumerate(shards.items(), first)
    }


def _each_partition(partitions: int, reads: FilesFor) -> dict[str, tuple[Artifact, ...]]:
    return {f"{number:06d}": reads(number) for number in range(partitions)}


def _changed(receipt: Receipt) -> bool:
    return any(account.excluded[UNSETTLED] for account in receipt.counts)


def _outputs_of(result: PassResult, shard: str, where: str) -> tuple[Artifact, ...]:
    """The files that one shard of the pass wrote in the folder `where`."""
    outputs = result.receipts[shard].outputs
    return tuple(
        output for output in outputs if output.path.rsplit("/", 1)[0].endswith(f"/{where}")
    )
