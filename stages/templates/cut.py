"""The last pass: the lines of its sites' templates are removed from one shard, and recorded."""

import time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.parquet_files import schema_of
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import EXCLUSION, excluded, extended
from corpusmill.manifests.shard import Shard
from corpusmill.stages.columns.cuts import cuts_column, pieces_of, with_cuts
from corpusmill.stages.columns.strings import joined, string_array
from corpusmill.stages.columns.table import with_column
from corpusmill.stages.contract import DOCUMENTS, EXCLUDED
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.shuffle.row_groups import home_of, read_range
from corpusmill.stages.templates.settings import (
    CUTS,
    REMOVED_BYTES,
    TEMPLATE_COLUMNS,
    TemplateSettings,
)
from corpusmill.stages.templates.sites import READ_ROWS, TEMPLATES, keys_of, owners

NOTHING_LEFT = "templates.nothing_left"
MANY = np.iinfo(np.int64).max


def cut(settings: TemplateSettings, shard: Shard) -> list[Counts]:
    """Read one shard and the templates of its hosts. Write its kept rows, cut, and its excluded
    rows, whole.
    """
    started = time.perf_counter()
    document, *judged = shard.inputs
    home, name = home_of(shard.name), shard.name.split("-", 1)[1]
    templates = read_range(shard, judged, "partition", home, home + 1, TEMPLATES).sort_by("key")
    schema = extended(*TEMPLATE_COLUMNS, of=schema_of(document))
    counts = Counts(settings.name)
    with (
        shard.parquet(DOCUMENTS, schema, name=name) as kept_output,
        shard.parquet(EXCLUDED, extended(*EXCLUSION, of=schema), name=name) as excluded_output,
    ):
        for group in shard.read(document):
            for start in range(0, group.num_rows, READ_ROWS):
                whole = group.slice(start, READ_ROWS)
                edited, gone = cut_rows(settings, whole, templates)
                kept = edited.filter(pc.invert(gone))
                kept_output.write(kept)
                counts.count_cuts(kept[REMOVED_BYTES.name].to_pylist())
                dropped = whole.filter(gone)
                for field in TEMPLATE_COLUMNS:
                    dropped = with_column(dropped, field, edited[field.name].filter(gone))
                reasons = [NOTHING_LEFT] * dropped.num_rows
                removed = dropped[REMOVED_BYTES.name].to_pylist()
                details = [f"template_bytes={size}" for size in removed]
                excluded_output.write(excluded(dropped, settings.name, reasons, details))
                count_reasons(counts, reasons)
            counts.rows_in = shard.rows_read
            shard.report(counts.rows_in)
    kept_output.count_kept(counts)
    counts.seconds = time.perf_counter() - started
    return [counts]


def cut_rows(
    settings: TemplateSettings, table: pa.Table, templates: pa.Table
) -> tuple[pa.Table, pa.Array]:
    """The rows without the lines of their sites' templates, and which of them have nothing left.

    templates: keys of host and line, sorted, and in how many documents each line stands.
    """
    from corpusmill.stages.templates.lines import BLANK, PROTECTED, cut_spans, lines_of

    texts, hosts = joined(table["text"]), owners(settings, table)
    data, places = texts
    lines = lines_of(texts)
    host = np.repeat(hosts, np.diff(lines.offsets))
    documents = _documents(keys_of(host, lines.hashes), templates)
    template = (documents > 0) & (host != 0) & ~np.isin(lines.kinds, (BLANK, PROTECTED))
    offsets, begins, ends = cut_spans(
        lines, places, template, settings.min_words, settings.headings
    )
    spans = np.diff(offsets)
    sums = np.concatenate([[0], np.cumsum(ends - begins)])
    removed = sums[offsets[1:]] - sums[offsets[:-1]]
    document = np.repeat(np.arange(len(spans)), spans)
    starts = pa.array((begins - places[document]).astype(np.int32))
    # The rarest line of each span. Spans are runs of whole lines.
    edges = np.searchsorted(lines.begins, np.stack([begins, ends], 1).reshape(-1))
    counted = np.append(np.where(template, documents, MANY), MANY)
    rarest = np.minimum.reduceat(counted, edges)[::2] if len(edges) else edges
    cuts = cuts_column(CUTS, spans, [starts, pieces_of(data, begins, ends), pa.array(rarest)])
    bounds = np.concatenate([[places[0]], np.stack([begins, ends], 1).reshape(-1), [places[-1]]])
    stays = [
        data[begin:end].tobytes()
        for begin, end in zip(bounds[0::2].tolist(), bounds[1::2].tolist(), strict=True)
    ]
    new_places = places - places[0] - np.concatenate([[0], np.cumsum(removed)])
    edited = string_array(b"".join(stays), new_places, pa.large_string())
    table = with_cuts(table, TEMPLATE_COLUMNS, cuts, edited)
    short = pc.less(pc.utf8_length(pc.utf8_trim_whitespace(edited)), settings.min_text_chars)
    return table, pc.and_(pa.array(spans > 0), short)


def _documents(keys: npt.NDArray[np.uint64], templates: pa.Table) -> npt.NDArray[np.int64]:
    """In how many documents the line of each key stands; 0 if it is of no template."""
    known = templates["key"].to_numpy()
    if not len(known):
        return np.zeros(len(keys), np.int64)
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    counts = templates["documents"].to_numpy()
    return np.where(known[places] == keys, counts[places], 0)
