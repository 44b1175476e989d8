"""Measure texts: the kernels of `stages.kernels`, one after the other, over blocks of texts that fit the processor's caches.

bytes -> bits, parts and lines -> hashes -> cut into tokens -> words and sentences -> repeated runs; lines edited, copied, measured
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.columns.strings import chunks_of, string_array
from corpusmill.stages.filter.languages import BY_CHARACTER
from corpusmill.stages.filter.line_edits import NO_EDITS, LineEdits, phrase_tables
from corpusmill.stages.filter.statistics import STATISTICS, Counts, Measured
from numpy.typing import NDArray

STOP_WORDS: Final = (
    "the",
    "be",
    "to",
    "of",
    "and",
    "that",
    "have",
    "with",
)  # Gopher (arXiv:2112.11446), appendix A.1.1
LONGEST_TEXT: Final = 256 << 20  # bytes
BLOCK_BYTES: Final = (
    512 << 10
)  # of text at a time, so that what passes between the kernels stays in the caches

_thread = threading.local()  # arrays that kernels write to, kept from call to call: to be given fresh pages costs a tenth of the time

StopWords = Mapping[str, Sequence[str]]
# Rows of counts, in the order of the kernels' own constants.
_MARKS = (
    *(
        "characters",
        "part_characters",
        "uppercase",
        "digits",
        "symbols",
        "alphabetic_parts",
        "parentheses",
        "hash_signs",
    ),
)
_LONGEST = ("longest_part",)
_CUTS = ("ellipses", "url_characters")
_TOKENS = ("tokens", "words", "word_characters", "alphabetic_tokens", "stop_words")
_NGRAMS = (*(f"top_{n}" for n in (2, 3, 4)), *(f"duplicate_{n}" for n in range(5, 11)))
_LINES = (
    *(
        "lines",
        "bullets",
        "ellipsis_ends",
        "filled_lines",
        "repeated_lines",
        "repeated_line_characters",
    ),
    *(
        "paragraphs",
        "repeated_paragraphs",
        "repeated_paragraph_characters",
        "newlines",
        "boilerplate_lines",
        "text_lines",
    ),
    *(
        "parts",
        "kept_lines",
        "kept_characters",
        "kept_tokens",
        "kept_sentences",
        "kept_ends",
        "kept_short",
    ),
    *("kept_repeated_characters", "lorem_ipsum", "curly_brackets", "removed_parts"),
    *(
        "removed_long_word",
        "removed_unpunctuated",
        "removed_few_words",
        "removed_javascript",
        "removed_policy",
    ),
    *(
        "removed_uppercase",
        "removed_numeric",
        "removed_counter",
        "removed_single_word",
        "removed_emptied",
    ),
)
_COUNTS = (*_MARKS, *_LONGEST, *_CUTS, *_TOKENS, *_NGRAMS, *_LINES)


@dataclass(frozen=True)
class Measurement:
    """measured: statistic -> an array of its column's type, one value a text. texts: as the edits left them."""

    measured: Measured
    texts: pa.ChunkedArray


def measure(
    texts: pa.ChunkedArray,
    edits: LineEdits | None = None,
    refinedweb: bool = False,
    stop_words: StopWords = {"": STOP_WORDS},  # noqa: B006 (never changed)
    languages: Sequence[str | None] | None = None,
    unedited: NDArray[np.bool_] | None = None,
) -> Measurement:
    """Every statistic of every text, and the texts after the edits. A null text is an empty one.

    edits: C4's, None for none. refinedweb: whether RefinedWeb's are made. stop_words: by language code; those under "" are for all
    other languages. languages: of the texts, None for unknown. unedited: texts that are to stay as they are.
    """
    names = [None] * len(texts) if languages is None else languages
    spared = np.zeros(len(texts), np.bool_) if unedited is None else unedited
    kernels = _Kernels(edits or NO_EDITS, edits is not None or refinedweb, refinedweb, stop_words)
    counted, chunks, start = [np.zeros((len(_COUNTS), 0), np.int64)], [], 0
    for data, offsets in chunks_of(texts):
        stop = start + offsets.size - 1
        counts = np.zeros((len(_COUNTS), stop - start), np.int64)
        edited = kernels.run(data, offsets, names[start:stop], spared[start:stop], counts)
        counted.append(counts)
        start = stop
        if kernels.copies:
            chunks.append(string_array(*edited, texts.type))
    values = _named(np.concatenate(counted, axis=1))
    measured = {
        each.name: each.compute(values).astype(each.type.to_pandas_dtype()) for each in STATISTICS
    }
    return Measurement(
        measured, pa.chunked_array(chunks, type=texts.type) if kernels.copies else texts
    )


class _Kernels:
    """The tables that the kernels read, and the arrays that they hand to each other, which are used again for block after block."""

    def __init__(
        self, edits: LineEdits, copies: bool, refinedweb: bool, stop_words: StopWords
    ) -> None:
        from corpusmill.stages.filter.measure.affixes import unit_keys
        from corpusmill.stages.filter.measure.characters import character_table
        from corpusmill.stages.filter.measure.english import (
            exception_shapes,
            exception_sieve,
            exception_table,
            perfect_tables,
        )

        self.edits, self.copies, self.refinedweb = edits, copies, refinedweb
        # Copies, because numba takes ten times as long to see what a read-only array is.
        self.classes, self.sieve, self.units = (
            character_table().copy(),
            exception_sieve().copy(),
            unit_keys().copy(),
        )
        self.exceptions = tuple(table.copy() for table in exception_table())
        self.shapes, self.phrases = (
            exception_shapes().copy(),
            tuple(table.copy() for table in phrase_tables()),
        )
        self.groups = {language: index for index, language in enumerate(stop_words)}
        self.stops, self.stop_tables = (
            table.copy() for table in perfect_tables(list(stop_words.values()))
        )

    def run(
        self,
        data: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        languages: Sequence[str | None],
        spared: NDArray[np.bool_],
        counts: NDArray[np.int64],
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Measure the texts into `counts`; returns bytes and offsets of the edited ones (empty if nothing is edited).

        Raises ValueError for a text of more than LONGEST_TEXT bytes: the kernels' tables take some 90 times as much.
        """  # fmt: skip
        if np.diff(offsets).max(initial=0) > LONGEST_TEXT:
            raise ValueError(f"a text of more than {LONGEST_TEXT >> 20} MiB")
        edited = np.empty(offsets[-1] - offsets[0] if self.copies else 0, np.uint8)
        ends = np.zeros(offsets.size, np.int64)
        others = self.groups.get("", 0)
        groups = np.array(
            [self.groups.get(language or "", others) for language in languages], np.int32
        )
        by_character = np.array([language in BY_CHARACTER for language in languages], np.bool_)
        written = 0
        for first, last in _blocks(offsets):
            into = edited[written:] if self.copies else edited
            written += self._block(
                data, offsets[first : last + 1], by_character[first:last], groups[first:last], spared[first:last],
                counts[:, first:last], into, ends[first + 1 : last + 1], written,
            )  # fmt: skip
        return edited[:written], ends

    def _block(
        self, data: NDArray[np.uint8], offsets: NDArray[np.int64], by_character: NDArray[np.bool_], groups: NDArray[np.int32],
        spared: NDArray[np.bool_], counts: NDArray[np.int64], edited: NDArray[np.uint8], ends: NDArray[np.int64], written: int,
    ) -> int:  # fmt: skip
        """Measure the texts of one block; returns how many bytes of them the edits leave."""
        from corpusmill.stages.filter.measure.cut import cut_parts
        from corpusmill.stages.filter.measure.lines import edit_lines
        from corpusmill.stages.filter.measure.marks import lay_out, mark_bytes
        from corpusmill.stages.filter.measure.ngrams import measure_ngrams
        from corpusmill.stages.filter.measure.parts import hash_lines, hash_parts
        from corpusmill.stages.filter.measure.tokens import measure_tokens

        texts, sizes = offsets.size - 1, np.diff(offsets)
        begins = np.concatenate([[0], np.cumsum((sizes // 64 + 1) * 64)])
        size = int(begins[-1])
        block = self._array(
            "bytes", np.uint8, size
        )  # with room behind it: kernels load more than one byte at a time
        lay_out(data, offsets, begins, block)
        data, bits = block, self._array("bits", np.uint64, 5, size // 64)
        edges, hard = self._array("edges", np.int32, size), self._array("hard", np.int32, size)
        hashes, sums = self._array("hashes", np.uint64, size), self._array("sums", np.uint64, size)
        cuts, kinds = (
            self._array("cuts", np.int32, 2 * size),
            self._array("kinds", np.int32, 2 * size),
        )
        lines, line_hashes = (
            self._array("lines", np.int32, 4, size),
            self._array("keys", np.uint64, size),
        )
        line_counts = self._array("line_counts", np.int32, 2, size)
        tokens, reach = self._array("tokens", np.uint64, size), self._array("reach", np.int32, size)
        text_lines, text_tokens = (np.empty(texts + 1, np.int32) for _ in range(2))
        marks, longest, cut_counts, token_counts, ngrams, line_rows = (
            np.zeros((len(names), texts), np.int64)
            for names in (_MARKS, _LONGEST, _CUTS, _TOKENS, _NGRAMS, _LINES)
        )
        mark_bytes(data, begins, sizes, self.classes, bits, edges, lines, text_lines, marks)
        n_parts = int(lines[2, text_lines[-1]])
        n_hard = hash_parts(data, bits, edges, n_parts, self.sieve, hashes, sums, hard)
        hash_lines(bits, edges, sums, text_lines, lines, line_hashes, longest[0])
        cut_parts(
            data, bits, self.classes, edges, hashes, hard[:n_hard], lines, text_lines, by_character, *self.exceptions, self.shapes,
            self.units, self._known(), cuts, kinds, cut_counts,
        )  # fmt: skip
        measure_tokens(
            data, bits, edges, hashes, hard, lines, text_lines, cuts, kinds, self.stops, self.stop_tables, groups, tokens, reach,
            text_tokens, line_counts, token_counts,
        )  # fmt: skip
        measure_ngrams(tokens, reach, text_tokens, ngrams)
        edited_offsets = np.empty(texts + 1, np.int32)
        edits = self.edits
        edit_lines(
            data, self.classes, bits, edges, lines, line_hashes, text_lines, longest[0], line_counts, spared, *self.phrases,
            self._array("groups", np.uint8, size // 64 + 1),
            edits.minimum_words, edits.longest_word, edits.terminal_punctuation, edits.phrases, edits.citations, self.refinedweb,
            edited, edited_offsets, line_rows,
        )  # fmt: skip
        ends[:] = edited_offsets[1:] + np.int64(written)
        np.concatenate((marks, longest, cut_counts, token_counts, ngrams, line_rows), out=counts)
        return int(edited_offsets[-1])

    def _known(self) -> NDArray[np.uint64]:
        from corpusmill.stages.filter.measure.known_parts import nothing_known

        if not hasattr(_thread, "known"):
            _thread.known = nothing_known()
        return _thread.known

    def _array(self, name: str, dtype: Any, *shape: int) -> NDArray[Any]:
        """An array of that shape and some more; what stands in it is left from before. Room for what is larger than a block is not kept."""
        *rows, length = shape
        if length > 8 * BLOCK_BYTES:
            return np.empty((*rows, length + 128), dtype)
        room = _thread.__dict__.setdefault("room", {})
        if name not in room or room[name].shape[-1] < length + 128:
            room[name] = np.empty((*rows, max(length + 128, 2 * BLOCK_BYTES + 192)), dtype)
        return room[name]


def _blocks(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of texts of about BLOCK_BYTES, with what `lay_out` puts between them; a longer text is a run of its own."""
    first, texts = 0, offsets.size - 1
    places = offsets + 64 * np.arange(offsets.size)
    while first < texts:
        last = int(np.searchsorted(places, places[first] + BLOCK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), texts)
        yield first, last
        first = last


def _named(values: NDArray[np.int64]) -> Counts:
    counts = dict(zip(_COUNTS, values, strict=True))
    counts["whitespace"] = counts["characters"] - counts["part_characters"]
    counts["letters"] = counts["part_characters"] - counts["digits"] - counts["symbols"]
    counts["removed_lines"] = sum(
        counts[name] for name in _LINES if name.startswith("removed_") and name != "removed_parts"
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
