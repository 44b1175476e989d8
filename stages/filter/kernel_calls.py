"""Running the kernels over blocks of texts that fit into the processor's caches."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from corpusmill.stages.filter.languages import BY_CHARACTER
from corpusmill.stages.filter.line_edits import NO_EDITS, LineEdits, phrase_tables
from corpusmill.stages.filter.measure import line_counts
from numpy.typing import NDArray

LONGEST_TEXT: Final = 256 << 20  # bytes
# Bytes of text at a time, so that the kernels' arrays stay in the caches.
BLOCK_BYTES: Final = 512 << 10

StopWords = Mapping[str, Sequence[str]]

# Rows of counts, in the order of the kernels' own constants.
_MARKS: Final = (
    "characters",
    "part_characters",
    "uppercase",
    "digits",
    "symbols",
    "alphabetic_parts",
    "parentheses",
    "hash_signs",
)
_LONGEST: Final = ("longest_part",)
_CUTS: Final = ("ellipses", "url_characters")
_TOKENS: Final = ("tokens", "words", "word_characters", "alphabetic_tokens", "stop_words")
_NGRAMS: Final = (
    *(f"top_{n}" for n in (2, 3, 4)),
    *(f"duplicate_{n}" for n in range(5, 11)),
)
COUNTS: Final = (*_MARKS, *_LONGEST, *_CUTS, *_TOKENS, *_NGRAMS, *line_counts.ROWS)

# Arrays that kernels write to, kept from call to call. Fresh pages from the system would take a
# tenth of the time.
_kept = threading.local()


class Block(NamedTuple):
    """Some texts, and what the kernels find in them. The kernel that fills an array stands in
    brackets.

    texts: how many. sizes: of each, in bytes. begins: where each begins in `data`, and where the
    last one's room ends. data: the bytes (lay_out). bits, edges, lines, text_lines (mark_bytes).
    hashes, sums, hard (hash_parts). line_hashes (hash_lines). cuts, kinds (cut_parts). tokens,
    reach, text_tokens, line_counts (measure_tokens).
    """

    texts: int
    sizes: NDArray[np.int64]
    begins: NDArray[np.int64]
    data: NDArray[np.uint8]
    bits: NDArray[np.uint64]
    edges: NDArray[np.int32]
    lines: NDArray[np.int32]
    text_lines: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    sums: NDArray[np.uint64]
    hard: NDArray[np.int32]
    line_hashes: NDArray[np.uint64]
    cuts: NDArray[np.int32]
    kinds: NDArray[np.int32]
    tokens: NDArray[np.uint64]
    reach: NDArray[np.int32]
    text_tokens: NDArray[np.int32]
    line_counts: NDArray[np.int32]


class Kernels:
    """The kernels with the tables that they read. Every block uses the same arrays again."""

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
        from corpusmill.stages.filter.measure.lines import EditNumbers, LineTables

        self.copies = copies
        # Copies, because numba needs ten times as long to recognise the type of a read-only array.
        self.classes, self.sieve = character_table().copy(), exception_sieve().copy()
        self.units = unit_keys().copy()
        self.exceptions = tuple(table.copy() for table in (*exception_table(), exception_shapes()))
        phrases, phrase_table = phrase_tables()
        self.line_tables = LineTables(self.classes, phrases.copy(), phrase_table.copy())
        self.edits, self.no_edits = (
            EditNumbers(
                each.minimum_words,
                each.longest_word,
                each.terminal_punctuation,
                each.phrases,
                each.citations,
                is_refinedweb,
            )
            for each, is_refinedweb in ((edits, refinedweb), (NO_EDITS, False))
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
        unedited: NDArray[np.bool_],
        counts: NDArray[np.int64],
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Measure the texts into `counts` (COUNTS x texts).

        Returns bytes and offsets of the edited texts, empty if nothing is edited. Raises ValueError
        for a text of more than LONGEST_TEXT bytes, since the kernels' arrays take some 90 times as
        much memory.
        """
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
            some = slice(first, last)
            block = self._lay_out(data, offsets[first : last + 1])
            into = edited[written:] if self.copies else edited
            rows = [
                *self._measure_parts(block, by_character[some]),
                *self._measure_tokens(block, groups[some]),
            ]
            line_rows, edited_offsets = self._edit_lines(block, rows[1][0], unedited[some], into)
            np.concatenate((*rows, line_rows), out=counts[:, some])
            ends[first + 1 : last + 1] = edited_offsets[1:] + np.int64(written)
            written += int(edited_offsets[-1])
        return edited[:written], ends

    def _lay_out(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Block:
        """A block with its texts in it. Each text begins at a multiple of 64, with white space
        behind it.
        """
        from corpusmill.stages.filter.measure.marks import lay_out

        sizes = np.diff(offsets)
        begins = np.concatenate([[0], np.cumsum((sizes // 64 + 1) * 64)])
        size, texts = int(begins[-1]), sizes.size
        block = Block(
            texts,
            sizes,
            begins,
            data=self._array("data", np.uint8, size),
            bits=self._array("bits", np.uint64, 5, size // 64),
            edges=self._array("edges", np.int32, size),
            lines=self._array("lines", np.int32, 4, size),
            text_lines=np.empty(texts + 1, np.int32),
            hashes=self._array("hashes", np.uint64, size),
            sums=self._array("sums", np.uint64, size),
            hard=self._array("hard", np.int32, size),
            line_hashes=self._array("line_hashes", np.uint64, size),
            cuts=self._array("cuts", np.int32, 2 * size),
            kinds=self._array("kinds", np.int32, 2 * size),
            tokens=self._array("tokens", np.uint64, size),
            reach=self._array("reach", np.int32, size),
            text_tokens=np.empty(texts + 1, np.int32),
            line_counts=self._array("line_counts", np.int32, 2, size),
        )
        lay_out(data, offsets, begins, block.data)
        return block

    def _measure_parts(
        self, block: Block, by_character: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], ...]:
        """Find parts and lines, hash them, and cut the hard parts into tokens. Returns three sets
        of counts.
        """
        from corpusmill.stages.filter.measure.cut import cut_parts
        from corpusmill.stages.filter.measure.marks import LINE_PART, mark_bytes
        from corpusmill.stages.filter.measure.parts import hash_lines, hash_parts

        marks, longest, cut_counts = (
            np.zeros((len(names), block.texts), np.int64) for names in (_MARKS, _LONGEST, _CUTS)
        )
        data, bits, edges, hashes = block.data, block.bits, block.edges, block.hashes
        lines, text_lines = block.lines, block.text_lines
        mark_bytes(
            data, block.begins, block.sizes, self.classes, bits, edges, lines, text_lines, marks
        )
        n_parts = int(lines[LINE_PART, text_lines[-1]])
        n_hard = hash_parts(data, bits, edges, n_parts, self.sieve, hashes, block.sums, block.hard)
        hash_lines(bits, edges, block.sums, text_lines, lines, block.line_hashes, longest[0])
        cut_parts(
            data, bits, self.classes, edges, hashes, block.hard[:n_hard], lines, text_lines,
            by_character, *self.exceptions, self.units, self._known(), block.cuts, block.kinds,
            cut_counts,
        )  # fmt: skip
        return marks, longest, cut_counts

    def _measure_tokens(
        self, block: Block, groups: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], ...]:
        """Count tokens, sentences and repeated runs of tokens. Returns two sets of counts."""
        from corpusmill.stages.filter.measure.ngrams import measure_ngrams
        from corpusmill.stages.filter.measure.tokens import measure_tokens

        counts, ngrams = (
            np.zeros((len(names), block.texts), np.int64) for names in (_TOKENS, _NGRAMS)
        )
        measure_tokens(
            block.data, block.bits, block.edges, block.hashes, block.hard, block.lines,
            block.text_lines, block.cuts, block.kinds, self.stops, self.stop_tables, groups,
            block.tokens, block.reach, block.text_tokens, block.line_counts, counts,
        )  # fmt: skip
        measure_ngrams(block.tokens, block.reach, block.text_tokens, ngrams)
        return counts, ngrams

    def _edit_lines(
        self,
        block: Block,
        longest: NDArray[np.int64],
        unedited: NDArray[np.bool_],
        edited: NDArray[np.uint8],
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Write the edited texts into `edited`. Returns the counts of lines, and where each edited
        text begins.
        """
        from corpusmill.stages.filter.measure.lines import Lines, edit_lines

        counts = np.zeros((len(line_counts.ROWS), block.texts), np.int64)
        edited_offsets = np.empty(block.texts + 1, np.int32)
        noticed = self._array("noticed", np.uint8, int(block.begins[-1]) // 64 + 1)
        lines = Lines(
            block.data, block.bits, block.edges, block.lines, block.text_lines, block.line_hashes,
            longest, block.line_counts, noticed,
        )  # fmt: skip
        edit_lines(
            lines, self.line_tables, self.edits, self.no_edits, unedited, edited, edited_offsets,
            counts,
        )  # fmt: skip
        return counts, edited_offsets

    def _known(self) -> NDArray[np.uint64]:
        from corpusmill.stages.filter.measure.known_parts import nothing_known

        if not hasattr(_kept, "known"):
            _kept.known = nothing_known()
        return _kept.known

    def _array(self, name: str, dtype: Any, *shape: int) -> NDArray[Any]:
        """An array of this shape and some more, since kernels load several bytes at a time.

        It holds values left from before. An array that is larger than a block needs is not kept.
        """
        *rows, length = shape
        if length > 8 * BLOCK_BYTES:
            return np.empty((*rows, length + 128), dtype)
        room = _kept.__dict__.setdefault("room", {})
        if name not in room or room[name].shape[-1] < length + 128:
            room[name] = np.empty((*rows, max(length + 128, 2 * BLOCK_BYTES + 192)), dtype)
        return room[name]


def _blocks(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Runs of texts of about BLOCK_BYTES, with the space that `lay_out` puts between them. A longer
    text is a run of its own.
    """
    first, texts = 0, offsets.size - 1
    places = offsets + 64 * np.arange(offsets.size)
    while first < texts:
        last = int(np.searchsorted(places, places[first] + BLOCK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), texts)
        yield first, last
        first = last
