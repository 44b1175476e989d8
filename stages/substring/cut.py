"""One part: read its documents in order, cut what they repeat, and write kept and excluded rows."""

import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, excluded, extended
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.cuts import with_cuts
from corpusmill.stages.columns.ranking import RANKING
from corpusmill.stages.columns.strings import copied, string_array
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED, Outcome
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.shuffle.streams import read_streams
from corpusmill.stages.substring.find import Found, find
from corpusmill.stages.substring.record import record
from corpusmill.stages.substring.settings import (
    CUTS,
    REMOVED_BYTES,
    SUBSTRING_COLUMNS,
    SubstringSettings,
)
from numpy.typing import NDArray

WRITE_ROWS = 1024


def cut_part(settings: SubstringSettings, shard: Shard) -> list[Counts]:
    """Read the rows that were sent to one part. Write its kept rows, cut, and its excluded rows,
    whole.
    """
    started = time.perf_counter()
    schema = schema_of(shard.inputs[0])
    rows = read_part(shard, schema)
    schema = extended(*SUBSTRING_COLUMNS, of=schema)
    counts = Counts(settings.name, received=shard.rows_received)
    with (
        shard.parquet(DOCUMENTS, schema) as kept_output,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema)) as excluded_output,
    ):
        for outcome in cut_documents(settings, rows):
            kept_output.write(outcome.kept)
            counts.count_cuts(outcome.kept[REMOVED_BYTES.name].to_pylist())
            excluded_output.write(outcome.excluded)
            count_reasons(counts, outcome.excluded["reason"].to_pylist())
            shard.report(kept_output.rows + excluded_output.rows, rows.num_rows)
    kept_output.count_kept(counts)
    counts.seconds = time.perf_counter() - started
    return [counts]


def cut_documents(settings: SubstringSettings, rows: pa.Table) -> Iterator[Outcome]:
    """The documents of a part in batches, in the order in which they are read."""
    rows = in_order(settings, rows)
    text, offsets = copied(rows["text"])
    found = find(settings, text, offsets)
    rows = with_column(rows, REMOVED_BYTES, pa.array(found.removed.astype(np.int32)))
    rows = with_column(rows, CUTS, record(found, text, offsets, rows["id"]))
    reasons, details = _exclusions(found, offsets, rows["id"])
    edited = _edited(found, text, offsets)
    for start in range(0, rows.num_rows, WRITE_ROWS):
        some = slice(start, start + WRITE_ROWS)
        whole, reason = rows[some], reasons[some]
        gone = pc.is_valid(reason)
        kept = with_cuts(whole, SUBSTRING_COLUMNS, whole[CUTS.name], edited[some])
        kept = kept.filter(pc.invert(gone))
        codes, detail = reason.filter(gone).to_pylist(), details[some].filter(gone).to_pylist()
        yield Outcome(kept, excluded(whole.filter(gone), settings.name, codes, detail))


def read_part(shard: Shard, schema: pa.Schema) -> pa.Table:
    """The rows that were sent to this part. The first input has the columns, the others have the
    rows.
    """
    sent = read_streams(shard, int(shard.name), shard.inputs[1:])
    return pa.concat_tables(
        [schema.empty_table(), *sent],
        promote_options="default",
    )


def in_order(settings: SubstringSettings, rows: pa.Table) -> pa.Table:
    """The rows in the order in which they are read: keepers first. Rows with the same id are
    ordered by their content.
    """
    keyed = rows.append_column("text_bytes", pc.fill_null(pc.binary_length(rows["text"]), 0))
    keys = [*RANKING[settings.keeper], *((name, "ascending") for name in ("id", "text", "url"))]
    # Nulls come last in either direction. Without a column of addresses, the others decide.
    keys = [(name, order) for name, order in keys if name in keyed.column_names]
    return rows.take(pc.sort_indices(keyed, sort_keys=keys))


def _edited(found: Found, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> pa.Array:
    """The texts without their cuts, made in place in the memory of `text`."""
    from corpusmill.stages.substring.suffixes.cuts import close_gaps

    new_offsets = np.zeros_like(offsets)
    close_gaps(text, offsets, found.begins, found.ends, found.offsets, found.verdicts, new_offsets)
    return string_array(text, new_offsets, pa.large_string())


def _exclusions(
    found: Found, offsets: NDArray[np.int64], ids: pa.ChunkedArray
) -> tuple[pa.Array, pa.Array]:
    """For each document: the reason for its drop, null if it stays; and the document that has most
    of what it repeats.
    """
    from corpusmill.stages.substring.suffixes.cuts import MOSTLY_REPEATED, TOO_SHORT

    names = {TOO_SHORT: "substring.too_short", MOSTLY_REPEATED: "substring.mostly_repeated"}
    reasons: list[str | None] = [None] * len(found.verdicts)
    details: list[str | None] = [None] * len(found.verdicts)
    removed = found.removed
    for document in np.flatnonzero(np.isin(found.verdicts, list(names))).tolist():
        size = offsets[document + 1] - offsets[document]
        reasons[document] = names[int(found.verdicts[document])]
        details[document] = f"repeated={removed[document] / size:.3f}"
        keeper = _main_keeper(found, offsets, document)
        if keeper is not None:
            details[document] += f" most_in={ids[keeper].as_py()}"
    return pa.array(reasons, pa.string()), pa.array(details, pa.string())


def _main_keeper(found: Found, offsets: NDArray[np.int64], document: int) -> int | None:
    """The document that has most bytes of what this one repeats; of several the earliest. None if
    this one repeats only itself.
    """
    pieces = found.pieces
    some = slice(pieces.offsets[document], pieces.offsets[document + 1])
    sources = pieces.sources[some]
    known = sources >= 0
    if not known.any():
        return None
    keepers = np.searchsorted(offsets, sources[known], side="right") - 1
    distinct, place = np.unique(keepers, return_inverse=True)
    shared = np.bincount(place, weights=(pieces.ends[some] - pieces.begins[some])[known])
    return int(distinct[shared.argmax()])
