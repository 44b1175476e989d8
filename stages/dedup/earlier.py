"""Dedup against earlier runs, from their signatures alone: a new document falls to what they
kept.

A run with `signatures: true` leaves `signatures/`: for each kept document the exact hash, the
band keys and a sketch. The sketch is its `SKETCH` smallest shingle hashes, shortened to 32
bits. A later run `against` that folder sends these keys through matching like those of
documents, and compares its own documents with the sketches. Earlier documents always win. They
are not compared with one another.

For a document of at most `SKETCH` shingles (some 6 kB of English) the sketch is its whole set.
The similarity is then true Jaccard, but for collisions of 32-bit hashes. For a longer one the
`SKETCH` smallest hashes of the union give an estimate, with a standard error of sqrt(s (1 - s)
/ 1024), at most 0.0125 at the threshold of 0.8. So among removals of long documents close to
the threshold, some are below it by a point or two.

Source: Broder 1997, "On the resemblance and containment of documents" (bottom-k sketches of the
union).
"""

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.parquet_files import read_parquet, schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.columns.strings import joined
from corpusmill.stages.dedup.components import CLUSTERS, partition_of_node
from corpusmill.stages.dedup.match import clustered, write_keys
from corpusmill.stages.dedup.settings import DedupSettings
from corpusmill.stages.dedup.synthetic import columns_of, compared_texts, parent_hashes
from corpusmill.stages.shuffle.row_groups import (
    UNBOUNDED,
    home_of,
    node_range,
    read_range,
    write_by_partition,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    from corpusmill.stages.dedup.signatures.shingles import Shingles

SKETCH = 1024
SIGNATURES = pa.schema(  # one row per kept document
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("exact_high", pa.uint64(), nullable=False),
        pa.field("exact_low", pa.uint64(), nullable=False),
        # Of the bands. Empty if the document has no shingles.
        pa.field("keys", pa.large_list(pa.uint64()), nullable=False),
        pa.field("shingles", pa.int32(), nullable=False),  # distinct ones
        # Hashes of its numbers and operators, and of its letters. Zeros if the normalization
        # does not hash them apart.
        pa.field("figures", pa.uint64(), nullable=False),
        pa.field("letters", pa.uint64(), nullable=False),
        pa.field("sketch", pa.large_list(pa.uint32()), nullable=False),  # sorted
    ]
)
EARLIER = pa.schema(  # one row per earlier document of a candidate cluster, sorted by partition
    [
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("component", pa.uint64(), nullable=False),
        *SIGNATURES,
    ]
)
_KIND = b"corpusmill.dedup"
FIGURES = 2  # the version of the rule for figures and letters (`signatures.words`)


def kind_of(settings: DedupSettings) -> bytes:
    """What two runs must share so that their signatures can be compared."""
    kind = [
        settings.normalization,
        settings.ngram,
        *settings.banding,
        settings.seed,
        settings.scheme,
        SKETCH,
        FIGURES,
        unicodedata.unidata_version,
    ]
    return json.dumps(kind).encode()


def check_kind(settings: DedupSettings, signatures: tuple[Artifact, ...]) -> None:
    """Raises RecipeError if earlier signatures were made with other settings."""
    for artifact in signatures:
        if (schema_of(artifact).metadata or {}).get(_KIND) != kind_of(settings):
            raise RecipeError(
                f"dedup.against: {artifact.path} was signed with other settings than this run's",
                "give both runs the same normalization, ngram, bands, rows, seed and scheme, or "
                "run the earlier one again",
            )


def write_signatures(settings: DedupSettings, shard: Shard) -> list[Counts]:
    """Read one shard of kept documents. Write `signatures` (`SIGNATURES`) for later runs."""
    from corpusmill.stages.dedup.signatures.minhash import keys_of_signatures, signatures
    from corpusmill.stages.dedup.signatures.shingles import exact_hashes, shingle_sets

    scheme = settings.make_scheme()
    with shard.parquet(
        "signatures", SIGNATURES.with_metadata({_KIND: kind_of(settings)})
    ) as output:
        for table in shard.read(shard.inputs[0], columns_of(shard.inputs[0])):
            parents = parent_hashes(table)
            exact = exact_hashes(*joined(table["text"])) ^ parents[:, None]
            compared = joined(compared_texts(table, settings))
            sets = shingle_sets(*compared, settings.ngram, normalization=settings.normalization)
            keys = keys_of_signatures(signatures(sets, scheme), scheme) ^ parents[:, None]
            size = np.diff(sets.offsets)
            figures = np.zeros((len(size), 2), "u8") if sets.figures is None else sets.figures
            bands = np.concatenate([[0], np.cumsum(np.where(size > 0, scheme.bands, 0))])
            lengths = np.minimum(size, SKETCH)
            ends = np.concatenate([[0], np.cumsum(lengths)])
            taken = np.arange(ends[-1]) + np.repeat(sets.offsets[:-1] - ends[:-1], lengths)
            sketch = (sets.hashes[taken] >> np.uint64(32)).astype(np.uint32)
            columns = [
                table["id"].combine_chunks(),
                pa.array(exact[:, 0]),
                pa.array(exact[:, 1]),
                pa.LargeListArray.from_arrays(bands, pa.array(keys[size > 0].reshape(-1))),
                pa.array(size.astype(np.int32)),
                pa.array(figures[:, 0]),
                pa.array(figures[:, 1]),
                pa.LargeListArray.from_arrays(ends, pa.array(sketch)),
            ]
            output.write(pa.table(columns, schema=SIGNATURES))
    return []


def sign_earlier(settings: DedupSettings, partitions: int, shard: Shard) -> list[Counts]:
    """Read one shard of earlier signatures. Write its keys as `sign` does."""
    keys, rows, seen = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], 0
    for table in shard.read(shard.inputs[0], ["exact_high", "keys"]):
        row = np.arange(seen, seen + table.num_rows, dtype=np.uint64)
        if settings.exact:
            keys.append(table["exact_high"].to_numpy())
            rows.append(row)
        if settings.fuzzy:
            bands = table["keys"].combine_chunks()
            keys.append(bands.flatten().to_numpy())
            rows.append(np.repeat(row, np.diff(bands.offsets.to_numpy())))
        seen += table.num_rows
    key, row = np.concatenate(keys), np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    write_keys(shard, key[order], row[order], partitions, "-earlier")
    return []


def gather_earlier(partitions: int, shard: Shard) -> list[Counts]:
    """Read one shard of earlier signatures. Write `work/earlier` (`EARLIER`): its rows that are
    in clusters.
    """
    signatures, local, *clusters = shard.inputs
    first, end = node_range(home_of(shard.name))
    linked = read_range(shard, clusters, "node", first, end, CLUSTERS).sort_by("node")
    node, component = clustered(shard, local, linked, first)
    row, found, begin = node - np.uint64(first), [EARLIER.empty_table()], 0
    for table in read_parquet(signatures) if len(row) else ():
        start, stop = np.searchsorted(row, np.array([begin, begin + table.num_rows], np.uint64))
        rows = table.take(pa.array(row[start:stop] - np.uint64(begin)))
        places = [partition_of_node(component[start:stop], partitions), component[start:stop]]
        found.append(pa.table([*places, *rows.columns], schema=EARLIER))
        begin += table.num_rows
    with shard.parquet(
        "work/earlier", EARLIER, row_group_bytes=UNBOUNDED, temporary=True
    ) as output:
        write_by_partition(output, pa.concat_tables(found).sort_by("partition"), partitions)
    return []


def fall_to_earlier(
    settings: DedupSettings,
    exact: "npt.NDArray[np.uint64]",
    keys: "npt.NDArray[np.uint64]",
    sets: "Shingles",
    earlier: pa.Table,
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]":
    """For each document: the row of `earlier` that it falls to (-1: none), their similarity,
    and whether they are equal.

    earlier: of the same clusters. A document is compared with those that share a band with it,
    at most `max_comparisons`, those that share most first.
    """
    from corpusmill.stages.dedup.signatures.sketches import match_sketches

    documents = len(exact)
    chosen, similarity = np.full(documents, -1), np.ones(documents)
    ids = earlier["id"].to_numpy()
    high, low = earlier["exact_high"].to_numpy(), earlier["exact_low"].to_numpy()
    if settings.exact:
        first = {}
        for place in np.lexsort((ids, low, high))[::-1].tolist():
            first[int(high[place]), int(low[place])] = place
        chosen = np.array(
            [first.get((one, other), -1) for one, other in exact.tolist()], np.int64
        ).reshape(-1)
    equal = chosen >= 0
    if settings.fuzzy:
        own = np.repeat(np.arange(documents), keys.shape[1])
        bands = earlier["keys"].combine_chunks()
        theirs = np.repeat(np.arange(earlier.num_rows), np.diff(bands.offsets.to_numpy()))
        left, right = _pairs(keys.reshape(-1), own, bands.flatten().to_numpy(), theirs)
        sketch = earlier["sketch"].combine_chunks()
        arrays = sketch.offsets.to_numpy() - sketch.offsets[0].as_py(), sketch.flatten().to_numpy()
        shingles = earlier["shingles"].to_numpy()
        rank = np.argsort(np.argsort(ids, kind="stable"))
        pair, times = np.unique(np.stack([left, right]), axis=1, return_counts=True)
        order = np.lexsort((rank[pair[1]], -times, pair[0]))
        left, right = pair[0][order], pair[1][order]
        limits = settings.verify_threshold, settings.max_comparisons
        theirs = np.stack([earlier[name].to_numpy() for name in ("figures", "letters")], axis=1)
        ours = np.zeros((documents, 2), np.uint64) if sets.figures is None else sets.figures
        sides = sets.offsets, sets.hashes, ours, *arrays, shingles, theirs
        match_sketches(left, right, *sides, *limits, chosen, similarity)
    return chosen, similarity, equal


def _pairs(
    left: "npt.NDArray[np.uint64]", left_row: Any, right: "npt.NDArray[np.uint64]", right_row: Any
) -> "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]":
    """All pairs of rows whose keys are equal."""
    order = np.argsort(right, kind="stable")
    right, right_row = right[order], right_row[order]
    start, stop = np.searchsorted(right, left), np.searchsorted(right, left, side="right")
    counts = stop - start
    inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(left_row, counts), right_row[np.repeat(start, counts) + inside]
