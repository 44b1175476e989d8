"""Measure texts: all statistics of every text, and the edited texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.columns.strings import chunks_of, string_array
from corpusmill.stages.filter.kernel_calls import COUNTS, Kernels
from corpusmill.stages.filter.line_edits import NO_EDITS, LineEdits
from corpusmill.stages.filter.measure import line_counts
from corpusmill.stages.filter.record import CUTS, record
from corpusmill.stages.filter.statistics import STATISTICS, Counts, Measured
from numpy.typing import NDArray

# Gopher (arXiv:2112.11446), appendix A.1.1.
STOP_WORDS: Final = (
    "the",
    "be",
    "to",
    "of",
    "and",
    "that",
    "have",
    "with",
)

StopWords = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Measurement:
    """measured: statistic -> an array of its column's type, one value per text. texts: the texts
    after the edits. cuts: what the edits cut (`record.CUTS`).
    """

    measured: Measured
    texts: pa.ChunkedArray
    cuts: pa.ChunkedArray


def measure(
    texts: pa.ChunkedArray,
    edits: LineEdits | None = None,
    refinedweb: bool = False,
    stop_words: StopWords = {"": STOP_WORDS},  # noqa: B006 (never changed)
    languages: Sequence[str | None] | None = None,
    unedited: NDArray[np.bool_] | None = None,
    apart: bool = False,
) -> Measurement:
    """Every statistic of every text, and the texts after the edits. A null text is an empty one.

    edits: C4's, None for none. refinedweb: whether RefinedWeb's edits are made. stop_words: by
    language code; those under "" are for all other languages. languages: of the texts, None for
    unknown. unedited: texts that stay as they are. apart: whether code, tables and formulas are set
    apart.
    """
    names = [None] * len(texts) if languages is None else languages
    stays = np.zeros(len(texts), np.bool_) if unedited is None else unedited
    kernels = Kernels(
        edits or NO_EDITS, edits is not None or refinedweb, refinedweb, stop_words, apart
    )
    counted, chunks, cuts, start = [np.zeros((len(COUNTS), 0), np.int64)], [], [], 0
    for data, offsets in chunks_of(texts):
        stop = start + offsets.size - 1
        counts = np.zeros((len(COUNTS), stop - start), np.int64)
        written = kernels.run(data, offsets, names[start:stop], stays[start:stop], counts)
        counted.append(counts)
        start = stop
        if kernels.copies:
            chunks.append(string_array(written.data, written.offsets, texts.type))
            cuts.append(record(data, offsets, written.cuts))
    values = _named(np.concatenate(counted, axis=1))
    measured = {
        each.name: each.compute(values).astype(each.type.to_pandas_dtype()) for each in STATISTICS
    }
    if not kernels.copies:
        return Measurement(measured, texts, pa.chunked_array([pa.nulls(len(texts), CUTS.type)]))
    return Measurement(
        measured,
        pa.chunked_array(chunks, type=texts.type),
        pa.chunked_array(cuts, type=CUTS.type),
    )


def _named(values: NDArray[np.int64]) -> Counts:
    counts = dict(zip(COUNTS, values, strict=True))
    counts["whitespace"] = counts["characters"] - counts["part_characters"]
    counts["letters"] = counts["part_characters"] - counts["digits"] - counts["symbols"]
    for name in ("words", "parts"):
        counts[f"judged_{name}"] = counts[name]
        counts[name] = counts[name] + counts["apart_words"]
    counts["prose_parts"] = counts["prose_parts"] + counts["apart_words"]
    counts["removed_lines"] = sum(
        counts[name]
        for name in line_counts.ROWS
        if name.startswith("removed_") and name != "removed_parts"
    )
    return counts


def check_stop_words(stop_words: StopWords) -> None:
    """Raises RecipeError for a stop word that no token can be."""
    for language, words in stop_words.items():
        for word in words:
            if not word or len(word.split()) != 1:
                raise RecipeError(
                    f"stop word {word!r} of {language or 'all languages'} is no single word",
                    "take out its spaces",
                )
