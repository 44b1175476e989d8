"""From the texts of a part to their cuts: the kernels in their order, and the tables that they
need.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.stages.substring.settings import SubstringSettings
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pieces:
    """Pieces of cuts; those of document d are offsets[d]:offsets[d + 1]. begins, ends, sources:
    places in the part's text. A source of -1 means that the piece was bridged.
    """

    offsets: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    sources: NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """begins, ends: the cuts; those of document d are offsets[d]:offsets[d + 1]. verdicts: as in
    `stages.substring.suffixes.cuts`.
    """

    offsets: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    verdicts: NDArray[np.uint8]
    pieces: Pieces

    @property
    def was_cut(self) -> NDArray[np.bool_]:
        from corpusmill.stages.substring.suffixes.cuts import CUT

        return self.verdicts == CUT

    @property
    def removed(self) -> NDArray[np.int64]:
        """Bytes cut from each document. For a dropped document: bytes that would have been cut."""
        total = np.concatenate(([0], np.cumsum(self.ends - self.begins)))
        return total[self.offsets[1:]] - total[self.offsets[:-1]]


def find(settings: SubstringSettings, text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Found:
    """Find the cuts of the documents that lie in `text` (writable) at `offsets`, keepers first.

    It holds nine bytes of memory for each byte of `text`, itself included. Raises CorpusmillError
    if the text is too long for 32-bit positions.
    """
    from corpusmill.stages.substring.suffixes import cuts, repeats

    if len(text) > repeats.LONGEST_TEXT:
        raise CorpusmillError(
            f"a part of {len(text)} bytes is too long for substring",
            "set a smaller substring.part_bytes",
        )
    length, documents = settings.min_bytes, len(offsets) - 1
    classes, first = repeats.window_classes(text, offsets, repeats.suffix_array(text), length)
    first.fill(-1)

    room = len(text) // length + 1
    begins, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    cut_offsets = np.zeros(documents + 1, np.int64)
    verdicts = np.zeros(documents, np.uint8)
    cuts.read_in_order(
        text,
        offsets,
        classes,
        first,
        length,
        settings.own_repeats,
        settings.bridge_bytes,
        boundary_table(settings.boundary),
        2 if settings.boundary == "paragraph" else 1,
        boundary_table("word"),
        settings.min_words,
        settings.min_text_chars,
        settings.max_removed_share,
        begins,
        ends,
        cut_offsets,
        verdicts,
    )
    begins, ends = begins[: cut_offsets[-1]], ends[: cut_offsets[-1]]

    room = 6 * (len(text) // length + 1)
    piece_begins, piece_ends, sources = (
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    piece_offsets = np.zeros(documents + 1, np.int64)
    cuts.find_sources(
        text,
        offsets,
        classes,
        first,
        length,
        settings.own_repeats,
        begins,
        ends,
        cut_offsets,
        piece_offsets,
        piece_begins,
        piece_ends,
        sources,
    )
    count = piece_offsets[-1]
    pieces = Pieces(
        piece_offsets,
        piece_begins[:count].copy(),
        piece_ends[:count].copy(),
        sources[:count].copy(),
    )
    return Found(cut_offsets, begins.copy(), ends.copy(), verdicts, pieces)


@lru_cache(maxsize=4)
def boundary_table(boundary: str) -> NDArray[np.uint8]:
    """The kind of each character for the boundaries of cuts: JOINED, SEPARATOR or FREE
    (`stages.substring.suffixes.boundaries`).
    """
    from corpusmill.stages.columns.word_rule import SPACE as WORD_SPACE
    from corpusmill.stages.columns.word_rule import UNSPACED, word_tables
    from corpusmill.stages.substring.suffixes.boundaries import (
        BOUNDARY_TABLE_SIZE,
        FREE,
        JOINED,
        SEPARATOR,
    )

    table = np.full(BOUNDARY_TABLE_SIZE, FREE if boundary == "character" else JOINED, np.uint8)
    if boundary in ("line", "paragraph"):
        table[ord("\n")] = SEPARATOR
    if boundary == "word":
        for low, high in UNSPACED:
            table[low : high + 1] = FREE
        kinds, _ = word_tables()
        table[: len(kinds)][kinds == WORD_SPACE] = SEPARATOR
    table.flags.writeable = False
    return table
