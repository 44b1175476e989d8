"""Running the kernels over blocks of texts that fit into the processor's caches."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from corpusmill.stages.filter.blocks import Block, Written, blocks, kept_array, known_parts
from corpusmill.stages.filter.languages import BY_CHARACTER
from corpusmill.stages.filter.line_edits import NO_EDITS, LineEdits, phrase_tables
from corpusmill.stages.filter.measure import line_counts
from numpy.typing import NDArray

LONGEST_TEXT: Final = 256 << 20  # bytes

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
_APART: Final = (
    *("apart_words", "apart_lines", "code_lines"),
    *("code_parts", "code_characters", "code_digits", "timed_code_lines"),
)
COUNTS: Final = (*_MARKS, *_LONGEST, *_CUTS, *_TOKENS, *_NGRAMS, *line_counts.ROWS, *_APART)


class Kernels:
    """The kernels with the tables that they read. Every block uses the same arrays again.

    copies: whether edited texts are written. apart: whether code, tables and formulas are set
    apart.
    """

    def __init__(
        self,
        edits: LineEdits,
        copies: bool,
        refinedweb: bool,
        stop_words: StopWords,
        apart: bool = False,
    ) -> None:
        from corpusmill.stages.filter.measure.affixes import unit_keys
        from corpusmill.stages.filter.measure.characters import character_table
        from corpusmill.stages.filter.measure.english import (
            exception_shapes,
            exception_sieve,
            exception_table,
            perfect_tables,
        )
        from corpusmill.stages.filter.measure.line_fates import EditNumbers
        from corpusmill.stages.filter.measure.lines import LineTables

        self.copies, self.apart = copies, apart
        # Copies, because numba needs ten times as long to recognise the type of a read-only array.
        self.classes, self.sieve = character_table().copy(), exception_sieve().copy()
        self.units = unit_keys().copy()
        self.exceptions = tuple(table.copy() for table in (*exception_table(), exception_shapes()))
        phrases, phrase_table = phrase_tables()
        self.line_tables = LineTables(self.classes, phrases.copy(), phrase_table.copy())
        self.edits, self.no_edits = (
            EditNumbers(
                each.minimum_words,
                each.short_sentences,
                each.longest_word,
                each.terminal_punctuation,
                each.phrases,
                each.longest_notice,
                each.citations,
                each.brackets_in_code,
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
    ) -> Written:
        """Measure the texts into `counts` (COUNTS x texts).

        Returns the edited texts, empty if none are written. Raises ValueError
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
        written, all_cuts = 0, [np.zeros((3, 0), np.int64)]
        for first, last in blocks(offsets):
            some = slice(first, last)
            block = self._lay_out(data, offsets[first : last + 1])
            rows = [
                *self._measure_parts(block, by_character[some]),
                *self._measure_tokens(block, groups[some]),
            ]
            line_rows, edits = self._edit_lines(block, rows[1][0], unedited[some])
            np.concatenate((*rows, line_rows, block.apart), out=counts[:, some])
            if self.copies:
                edited_offsets, cuts = self._write(
                    data, offsets[first : last + 1], block, edits, edited[written:]
                )
                ends[first + 1 : last + 1] = edited_offsets[1:] + np.int64(written)
                written += int(edited_offsets[-1])
                all_cuts.append(cuts + np.array([[first], [0], [0]]))
        return Written(edited[:written], ends, np.concatenate(all_cuts, axis=1))

    def _lay_out(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Block:
        """A block with its texts in it. Each text begins at a multiple of 64, with white space
        behind it.
        """
        from corpusmill.stages.filter.measure.marks import lay_out
        from corpusmill.stages.filter.measure.structure import find_structure
        from corpusmill.stages.filter.measure.view import Structure

        sizes = np.diff(offsets)
        begins = np.concatenate([[0], np.cumsum((sizes // 64 + 1) * 64)])
        size, texts = int(begins[-1]), sizes.size
        block = Block(
            texts,
            begins,
            source=Structure(
                ends=kept_array("ends", np.int32, size),
                kinds=kept_array("line_kinds", np.uint8, size),
                text_lines=np.empty(texts + 1, np.int32),
                flags=kept_array("flags", np.uint8, size),
                sizes=np.empty(texts, np.int64),
            ),
            apart=np.zeros((len(_APART), texts), np.int64),
            data=kept_array("data", np.uint8, size),
            bits=kept_array("bits", np.uint64, 5, size // 64),
            edges=kept_array("edges", np.int32, size),
            lines=kept_array("lines", np.int32, 4, size),
            text_lines=np.empty(texts + 1, np.int32),
            hashes=kept_array("hashes", np.uint64, size),
            sums=kept_array("sums", np.uint64, size),
            hard=kept_array("hard", np.int32, size),
            line_hashes=kept_array("line_hashes", np.uint64, size),
            cuts=kept_array("cuts", np.int32, 2 * size),
            kinds=kept_array("kinds", np.int32, 2 * size),
            tokens=kept_array("tokens", np.uint64, size),
            reach=kept_array("reach", np.int32, size),
            text_tokens=np.empty(texts + 1, np.int32),
            line_counts=kept_array("line_counts", np.int32, 2, size),
        )
        lay_out(data, offsets, begins, block.data)
        find_structure(block.data, begins, sizes, self.apart, block.source, block.apart)
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
            data,
            block.begins,
            block.source.sizes,
            self.classes,
            bits,
            edges,
            lines,
            text_lines,
            marks,
        )
        n_parts = int(lines[LINE_PART, text_lines[-1]])
        n_hard = hash_parts(data, bits, edges, n_parts, self.sieve, hashes, block.sums, block.hard)
        hash_lines(bits, edges, block.sums, text_lines, lines, block.line_hashes, longest[0])
        cut_parts(
            data, bits, self.classes, edges, hashes, block.hard[:n_hard], lines, text_lines,
            by_character, *self.exceptions, self.units, known_parts(), block.cuts, block.kinds,
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
    ) -> tuple[NDArray[np.int64], Any]:
        """Measure the lines. Returns their counts, and what the edits take out
        (`cutting.Edits`).
        """
        from corpusmill.stages.filter.measure.cutting import Edits
        from corpusmill.stages.filter.measure.lines import Lines, edit_lines
        from corpusmill.stages.filter.measure.verse import spare_verse

        counts = np.zeros((len(line_counts.ROWS), block.texts), np.int64)
        size = int(block.begins[-1])
        spare_verse(block.data, block.lines, block.text_lines, block.source.flags)
        lines = Lines(
            block.data, block.bits, block.edges, block.lines, block.text_lines, block.line_hashes,
            longest, block.line_counts, block.source.flags,
            kept_array("noticed", np.uint8, size // 64 + 1),
            kept_array("scratch", np.uint8, size),
        )  # fmt: skip
        edits = Edits(
            kept_array("fates", np.uint8, size),
            kept_array("spans", np.int32, 3, size // 2),
            np.zeros(1, np.int32),
        )
        edit_lines(
            lines, self.line_tables, self.edits, self.no_edits, unedited, self.copies, edits, counts
        )
        return counts, edits

    def _write(
        self,
        data: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        block: Block,
        edits: Any,
        edited: NDArray[np.uint8],
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Write the edited texts into `edited`. Returns where each begins, and the cuts."""
        from corpusmill.stages.filter.measure.cutting import cut_texts

        edited_offsets = np.empty(block.texts + 1, np.int32)
        room = int(block.text_lines[-1]) + int(edits.n_spans[0]) + block.texts
        cuts = np.empty((3, room), np.int32)
        n_cuts = cut_texts(
            data, offsets, block.begins, block.lines, block.text_lines, block.source, edits, edited,
            edited_offsets, cuts,
        )  # fmt: skip
        return edited_offsets, cuts[:, :n_cuts]
