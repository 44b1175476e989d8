"""Find the pieces of evaluation items in documents.

1. Cut the document into words, and look up every n-gram in a bitmap of the seeds. Nearly all end
   here.
2. For each piece that has the n-gram, take the words of the document around it. Sum the bits of
   the piece's words that occur there at all. That bounds the match from above, and few pass.
3. Align: the heaviest common subsequence of piece and window, by bits. So a word that is changed,
   left out or put in costs its own bits, and words must stand in the piece's order.

Time is linear in the document, and in what it shares with the items.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.columns.strings import Strings
from corpusmill.stages.decontaminate.index import Index, looked_up, may_be, mixed
from corpusmill.stages.decontaminate.words import character_tables, find_words, words_of
from numpy.typing import NDArray

LEAST_SHARE = 0.5  # of a piece's bits; less is no match of the piece
FULL_SHARE = 0.9  # a match of so much is not compared again where it overlaps
_UNKNOWN = -2  # a word that was not looked up yet
_ROLL = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class Matches:
    """Pieces that stand in documents, in the order of their documents.

    document, piece: numbers. begin, end: bytes in the document. first, last: its words. bits: of
    the piece's words that match.
    """

    document: NDArray[np.int32]
    piece: NDArray[np.int32]
    begin: NDArray[np.int32]
    end: NDArray[np.int32]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    bits: NDArray[np.float32]


def find_matches(index: Index, texts: Strings) -> Matches:
    """The pieces that stand in the texts."""
    longest = int(np.diff(texts.offsets).max(initial=0)) // 2 + 2
    most = int(np.diff(index.piece_offsets).max(initial=0)) + 1
    document, room = 0, 1024
    buffers = (
        np.empty(longest, np.uint64),
        np.empty(longest, np.int32),
        np.empty(longest, np.int32),
        np.empty(longest + 1, np.uint64),
        np.empty(longest, np.int32),
    )
    stamps = np.zeros(len(index.bits) + 1, np.int64)
    seen = np.full((len(index.piece_item), 4), -1, np.int32)
    best, starts = np.empty(most, np.float32), np.empty(most, np.int32)
    parts: list[NDArray[np.int32]] = []
    weights: list[NDArray[np.float32]] = []
    while document < len(texts.offsets) - 1:
        rows, bits = np.empty((room, 6), np.int32), np.empty(room, np.float32)
        document, found = _scan(
            *texts,
            document,
            *character_tables(),
            index.bitmap,
            index.seeds.keys,
            index.seeds.values,
            index.starts,
            index.postings,
            index.lengths,
            index.factors,
            index.vocabulary.keys,
            index.vocabulary.values,
            index.bits,
            index.words,
            index.piece_offsets,
            index.piece_bits,
            *buffers,
            stamps,
            seen,
            best,
            starts,
            rows,
            bits,
        )
        parts.append(rows[:found])
        weights.append(bits[:found])
        room *= 2  # if one document has more matches than fit, there is more room now
    table = np.concatenate([np.empty((0, 6), np.int32), *parts])
    documents, pieces, begins, ends, first, last = table.T
    all_weights = np.concatenate([np.empty(0, np.float32), *weights])
    return Matches(documents, pieces, begins, ends, first, last, all_weights)


@dataclass(frozen=True)
class Found:
    """A piece in a document: its bytes and words there, and the bits that match."""

    begin: int
    end: int
    first: int
    last: int
    bits: float


class Document:
    """A document's words, to look for pieces near a place in it."""

    def __init__(self, index: Index, text: bytes) -> None:
        self._index = index
        hashes, self._begins, self._ends = words_of(text)
        self._ids = np.empty(len(hashes), np.int32)
        _look_up_all(hashes, index.vocabulary.keys, index.vocabulary.values, self._ids)

    def has_numbers(self, pieces: list[int], first: int, last: int) -> bool:
        """Whether the words first to last have at least half of the pieces' different numbers.

        A problem with other numbers is another problem.
        """
        index = self._index
        words = np.concatenate(
            [index.words[slice(*index.piece_offsets[piece : piece + 2])] for piece in pieces]
        )
        wanted = np.unique(words[index.numbers[words]])
        return 2 * np.isin(wanted, self._ids[first : last + 1]).sum() >= len(wanted)

    def find(self, piece: int, first: int, last: int) -> Found | None:
        """The best match of the piece among the words first to last, the latter excluded. None
        if no word matches.
        """
        begin, end = self._index.piece_offsets[piece : piece + 2]
        words = self._index.words[begin:end]
        best, starts = np.empty(len(words) + 1, np.float32), np.empty(len(words) + 1, np.int32)
        first, last = max(0, first), min(len(self._ids), last)
        bits, start, stop = _align(self._ids, first, last, words, self._index.bits, best, starts)
        if start < 0:
            return None
        return Found(
            int(self._begins[start]), int(self._ends[stop]), int(start), int(stop), float(bits)
        )


@njit(nogil=True)
def _look_up_all(hashes: Any, keys: Any, values: Any, ids: Any) -> None:
    for place in range(len(hashes)):
        ids[place] = looked_up(hashes[place], keys, values)


@njit(nogil=True)
def _align(ids: Any, first: int, last: int, words: Any, bits: Any, best: Any, starts: Any) -> Any:
    """The heaviest common subsequence of `words` and ids[first:last]: its bits, and the places of
    its first and last word in `ids`. -1 if nothing matches.

    best, starts: room for len(words) + 1. Of subsequences with equal bits, the one that begins
    later is taken: it is shorter.
    """
    size = len(words)
    best[: size + 1] = 0.0
    starts[: size + 1] = -1
    stop = -1
    for place in range(first, last):
        word = ids[place]
        if word < 0:
            continue
        before, before_start = np.float32(0.0), np.int32(-1)  # of the word before, one place ago
        total = best[size]
        for j in range(1, size + 1):
            here, here_start = best[j], starts[j]
            if words[j - 1] == word:
                joined = before + bits[word]
                start = before_start if before_start >= 0 else np.int32(place)
                if joined > best[j] or (joined == best[j] and start > starts[j]):
                    best[j], starts[j] = joined, start
            if best[j - 1] > best[j] or (best[j - 1] == best[j] and starts[j - 1] > starts[j]):
                best[j], starts[j] = best[j - 1], starts[j - 1]
            before, before_start = here, here_start
        if best[size] > total or (best[size] == total and starts[size] > starts[0] and stop < 0):
            stop = place
    return best[size], starts[size], stop


@njit(nogil=True)
def _scan(
    data: Any,
    offsets: Any,
    document: int,
    kinds: Any,
    folded: Any,
    bitmap: Any,
    seed_keys: Any,
    seed_values: Any,
    seed_starts: Any,
    postings: Any,
    lengths: Any,
    factors: Any,
    word_keys: Any,
    word_values: Any,
    bits: Any,
    piece_words: Any,
    piece_offsets: Any,
    piece_bits: Any,
    hashes: Any,
    begins: Any,
    ends: Any,
    prefix: Any,
    ids: Any,
    stamps: Any,
    seen: Any,
    best: Any,
    starts: Any,
    rows: Any,
    weights: Any,
) -> Any:
    """Scan documents from `document` on. Return the next document and the matches written.

    It stops before a document whose matches do not fit. seen: of each piece, the document where
    it was last compared, the diagonal there, and the word up to which it matched.
    """
    found = 0
    stamp = stamps[len(stamps) - 1]  # counts comparisons
    prefix[0] = np.uint64(0)
    while document < len(offsets) - 1:
        written = found
        count = find_words(
            data, offsets[document], offsets[document + 1], kinds, folded, hashes, begins, ends
        )
        ids[:count] = _UNKNOWN
        for place in range(count):
            prefix[place + 1] = prefix[place] * _ROLL + hashes[place]
            for kind in range(len(lengths)):
                length = lengths[kind]
                if place + 1 < length:
                    continue
                seed = mixed(prefix[place + 1] - prefix[place + 1 - length] * factors[kind])
                if not may_be(seed, bitmap):
                    continue
                number = looked_up(seed, seed_keys, seed_values)
                if number < 0:
                    continue
                for posting in range(seed_starts[number], seed_starts[number + 1]):
                    piece, inside = postings[posting, 0], postings[posting, 1]
                    diagonal = place - inside
                    if seen[piece, 0] != document:
                        seen[piece, 2] = seen[piece, 3] = -1
                    elif seen[piece, 1] == diagonal:
                        continue
                    row = seen[piece, 3] if place <= seen[piece, 2] else np.int32(-1)
                    floor = LEAST_SHARE * piece_bits[piece]  # what this match must surpass
                    if row >= len(rows):
                        continue  # its weight was not written, and there will be another scan
                    if row >= 0:
                        floor = weights[row]
                        if floor >= FULL_SHARE * piece_bits[piece]:
                            continue
                    seen[piece, 0], seen[piece, 1] = document, diagonal
                    words = piece_words[piece_offsets[piece] : piece_offsets[piece + 1]]
                    size = len(words)
                    slack = 3 + size // 6
                    # unless this match may replace the earlier one, that one's words are taken
                    first = max(0, diagonal - slack, seen[piece, 2] + 1 if row < 0 else 0)
                    last = min(count, diagonal + size + slack)
                    stamp += 1
                    for other in range(first, last):
                        if ids[other] == _UNKNOWN:
                            ids[other] = looked_up(hashes[other], word_keys, word_values)
                        if ids[other] >= 0:
                            stamps[ids[other]] = stamp
                    bound = 0.0
                    for word in words:
                        if stamps[word] == stamp:
                            bound += bits[word]
                    if bound < floor or (row >= 0 and bound == floor):
                        continue
                    weight, start, stop = _align(ids, first, last, words, bits, best, starts)
                    if start < 0 or weight < floor or (row >= 0 and weight == floor):
                        continue
                    if row < 0:
                        row, found = found, found + 1
                    seen[piece, 2], seen[piece, 3] = stop, row
                    if row < len(rows):
                        rows[row, 0], rows[row, 1] = document, piece
                        rows[row, 2], rows[row, 3] = begins[start], ends[stop]
                        rows[row, 4], rows[row, 5] = start, stop
                        weights[row] = weight
        if found > len(rows):
            seen[:, 0] = -1
            stamps[len(stamps) - 1] = stamp
            return document, written
        document += 1
    stamps[len(stamps) - 1] = stamp
    return document, found
