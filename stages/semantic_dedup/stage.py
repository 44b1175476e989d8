"""Remove documents that mean nearly the same as another: their vectors are nearly parallel.

MinHash (dedup) finds texts that share words. This stage finds those that say the same in other
words, such as the reports of one event, or pages made from one template with other numbers.

    vectors         each shard: a sentence encoder's vector for each document
    centres         one task: the centres of clusters, from a sample of the vectors
    assign          each shard: the cluster of each document
    match           each partition of the clusters: documents of a cluster are compared
    semantic_dedup  each shard: kept and excluded documents

Only documents of one cluster are compared. So both documents of a pair stay if they are in two
clusters. That is the price of comparing thousands at a time and not billions. What is removed
depends on the documents and the settings alone, not on shards, partitions or workers.

Source: SemDeDup (Abbas et al. 2023, arXiv 2303.09540). It keeps the document farthest from the
centre; here the survivor rule of dedup decides.
"""

import time
from functools import partial
from typing import ClassVar

import numpy as np
import pyarrow as pa
from corpusmill.classifiers.encoder_files import encoder_digest
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, excluded, extended
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.columns.ranking import refuse_rule_without_column
from corpusmill.stages.contract import (
    DOCUMENTS,
    EXCLUDED,
    GlobalStage,
    Inputs,
    Pass,
    Passes,
    Reads,
)
from corpusmill.stages.readers.documents import count_reasons, input_shards
from corpusmill.stages.semantic_dedup.clusters import assign, find_centres
from corpusmill.stages.semantic_dedup.match import DECISIONS, match
from corpusmill.stages.semantic_dedup.settings import SemanticDedupSettings
from corpusmill.stages.semantic_dedup.vectors import SAMPLE, VECTORS, make_vectors
from corpusmill.stages.shuffle.exchange import exchange, refuse_loss
from corpusmill.stages.shuffle.row_groups import ROW_BITS, Sorted, home_of, node_range, read_range

CLUSTER_DOCUMENTS = 1000  # on average
MOST_CLUSTERS = 50_000  # by default; SemDeDup took as many for 440 million images
PARTITION_BYTES = 256 << 20
SIMILAR = "semantic_dedup.similar"


class SemanticDedup(SemanticDedupSettings, GlobalStage):
    """Remove documents that mean nearly the same as another."""

    version: ClassVar[int] = 2
    reads: ClassVar[Reads] = Reads.DOCUMENTS
    free_settings: ClassVar[tuple[str, ...]] = ("embedding.device", "embedding.batch_tokens")

    def depends_on(self) -> str:
        """The digest of the encoder. Raises ModelError if it cannot be used."""
        return encoder_digest(self.embedding.encoder, self.embedding.revision)

    def passes(self, inputs: Inputs) -> Passes:
        refuse_rule_without_column(inputs.documents, "survivor", self.survivor)
        documents = {
            f"{home:06d}-{name}": artifact
            for home, (name, artifact) in enumerate(
                input_shards(inputs.documents, self.name).items()
            )
        }
        rows = max(1, sum(artifact.rows for artifact in inputs.documents))
        clusters = self.clusters or min(MOST_CLUSTERS, -(-rows // CLUSTER_DOCUMENTS))
        share = min(1.0, clusters * self.sample / rows)
        made = yield Pass(
            "vectors",
            {name: (document,) for name, document in documents.items()},
            partial(make_vectors, self, share),
            holds_engine=True,
            gpus=0 if self.embedding.device == "cpu" else 1,
            depends_on=f"share={share}",
        )
        known = {
            name: vectors
            for name, receipt in made.receipts.items()
            if (vectors := [item for item in receipt.outputs if f"/{VECTORS}/" in item.path])
        }
        if not known:  # no document at all
            yield self._removing(documents, dict.fromkeys(made.receipts, ()))
            return
        centred = yield Pass(
            "centres",
            {"centres": made.outputs(SAMPLE)},
            partial(find_centres, self, clusters),
            depends_on=f"clusters={clusters}",
        )
        size = sum(item.size for (item,) in known.values())
        partitions = self.partitions or max(1, min(clusters, -(-size // PARTITION_BYTES)))
        cut_by = f"partitions={partitions}"
        assigning = {name: (item, *centred.outputs()) for name, (item,) in known.items()}
        assigned = yield Pass("assign", assigning, partial(assign, partitions), depends_on=cut_by)
        refuse_loss(assigned, assigning, "assign")
        schema = schema_of(assigned.outputs()[0])
        of_clusters = yield from exchange(
            "assign", assigned.outputs(), Sorted(schema, "partition", partitions)
        )
        matching = {f"{number:06d}": of_clusters(number) for number in range(partitions)}
        matched = yield Pass("match", matching, partial(match, self, schema), depends_on=cut_by)
        refuse_loss(matched, matching, "match")
        of_shard = yield from exchange(
            "match", matched.outputs(), Sorted(DECISIONS, "node", len(documents), ROW_BITS)
        )
        yield self._removing(documents, {name: of_shard(home_of(name)) for name in made.receipts})

    def _removing(
        self, documents: dict[str, Artifact], decisions: dict[str, tuple[Artifact, ...]]
    ) -> Pass:
        """The last pass. decisions: of the shards that could be read."""
        shards = {name: (documents[name], *files) for name, files in decisions.items()}
        return Pass(self.name, shards, partial(_remove, self), final=True)


def _remove(settings: SemanticDedup, shard: Shard) -> list[Counts]:
    """Read one shard and the decisions on it. Write its kept and its excluded rows."""
    started = time.perf_counter()
    document, *decided = shard.inputs
    first, end = node_range(home_of(shard.name))
    name = shard.name.split("-", 1)[1]
    decisions = read_range(shard, decided, "node", first, end, DECISIONS).sort_by("node")
    row = decisions["node"].to_numpy() - np.uint64(first)
    schema = schema_of(document)
    counts = Counts(settings.name)
    with (
        shard.parquet(DOCUMENTS, schema, name=name) as kept_output,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema), name=name) as excluded_output,
    ):
        for table in shard.read(document):
            begin, counts.rows_in = counts.rows_in, shard.rows_read
            start, stop = np.searchsorted(row, np.array([begin, counts.rows_in], np.uint64))
            here = decisions.slice(start, stop - start)
            stays = np.ones(table.num_rows, bool)
            stays[(row[start:stop] - np.uint64(begin)).astype(np.int64)] = False
            kept_output.write(table.filter(pa.array(stays)))
            details = [
                f"like={survivor} cosine={similarity:.3f}"
                for survivor, similarity in zip(
                    here["survivor"].to_pylist(), here["similarity"].to_pylist(), strict=True
                )
            ]
            reasons = [SIMILAR] * len(details)
            gone = table.filter(pa.array(~stays))
            excluded_output.write(excluded(gone, settings.name, reasons, details))
            count_reasons(counts, reasons)
            shard.report(counts.rows_in)
    kept_output.count_kept(counts)
    counts.seconds = time.perf_counter() - started
    return [counts]
