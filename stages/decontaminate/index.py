"""The index of all evaluation items, as arrays that the kernels of `scan` search.

Each part of an item is cut into *pieces* of at most `PIECE_WORDS` words. A *seed* is an n-gram of
a piece's words, by its hash. A document that has a seed is compared with the piece. A piece of
fewer words than the n-gram is one seed.

Some pieces get no seeds. A question of `SHORT_QUESTION` words, or one that many items have, is
only looked for with its answer right behind it, as one more piece. Short answers are only looked
for near their questions. An item that has too few bits, even with its answer, is never found.

Seeds that many pieces have, and seeds of common words, only cost time. So they are left out where
the piece has better ones.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.decontaminate.items import Item
from corpusmill.stages.decontaminate.layouts import Role
from corpusmill.stages.decontaminate.rarity import bits_of
from corpusmill.stages.decontaminate.words import spelled, words_of
from numpy.typing import NDArray

PIECE_WORDS = 64
SHORT_QUESTION = 4  # words
COMMON_SEED = 64  # pieces; a seed of more is a template
SEED_BITS = 30.0  # a seed of fewer is a common phrase
_ROLL = 0xD6E8FEB86659FD93
_MIX = np.uint64(0xC4CEB9FE1A85EC53)
_BITS_32 = np.uint64(32)
_BITS_26 = np.uint64(26)
_BITS_6 = np.uint64(6)
_ONE = np.uint64(1)

Array = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """A hash table with open addressing. keys: uint64, 0 where free. values: int32."""

    keys: Array
    values: Array


@dataclass(frozen=True)
class Index:
    """items: their set and id.
    piece_item, piece_role, piece_part: of each piece, its item, its role and its part of the item.
    piece_offsets: where each piece's words begin in `words`. piece_bits: their sum of bits.
    words: of all pieces, as numbers in the vocabulary.
    bits, numbers: of each word of the vocabulary, its bits and whether it is a number.
    vocabulary: word hash -> its number.
    seeds: n-gram hash -> its number. bitmap: a bit for each seed.
    starts: where each seed's postings begin. postings: a piece, and the place of the n-gram's last
    word in it.
    lengths, factors: the lengths of seeds in words, and the factor of each in the rolling hash.
    """

    items: list[tuple[str, str]]
    piece_item: Array
    piece_role: Array
    piece_part: Array
    piece_offsets: Array
    piece_bits: Array
    words: Array
    bits: Array
    numbers: Array
    vocabulary: Table
    seeds: Table
    starts: Array
    postings: Array
    lengths: Array
    factors: Array
    bitmap: Array

    def pieces_of(self, item: int, role: Role) -> Array:
        """The numbers of the item's pieces in this role, in order."""
        first, end = np.searchsorted(self.piece_item, [item, item + 1])
        return first + np.flatnonzero(self.piece_role[first:end] == role)


def build_index(items: Iterable[Item], ngram: int, rare_bits: float, sure_bits: float) -> Index:
    """The index. rare_bits, sure_bits: what an item, and an answer alone, must have to count."""
    names: list[tuple[str, str]] = []
    hashes: list[Array] = []
    spellings: dict[int, str] = {}
    rows: list[tuple[int, int, int]] = []  # item, role, part
    words_of_item = []
    for item in items:
        names.append((item.set, item.id))
        words_of_item.append([(part.role, _words(part.text, spellings)) for part in item.parts])
    askers = Counter(_question(parts).tobytes() for parts in words_of_item)
    for number, parts in enumerate(words_of_item):
        asked = _question(parts)
        if len(asked) <= SHORT_QUESTION or askers[asked.tobytes()] > COMMON_SEED:
            parts = [
                *((role, words) for role, words in parts if role != Role.QUESTION),
                *(
                    (Role.WHOLE, np.concatenate([asked, words]))
                    for role, words in parts
                    if role == Role.ANSWER and len(asked)
                ),
            ]
        for place, (role, words) in enumerate(parts):
            for piece in np.array_split(words, -(-len(words) // PIECE_WORDS) or 1):
                if len(piece):
                    hashes.append(piece)
                    rows.append((number, role, place))
    flat = np.concatenate([np.empty(0, np.uint64), *hashes])
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in hashes])]).astype(np.int64)
    item_of, role_of, part_of = np.array(rows, np.int32).reshape(-1, 3).T.copy()
    distinct, words = np.unique(flat, return_inverse=True)
    spelt = [spellings[int(word)] for word in distinct]
    owner = np.repeat(item_of, np.diff(offsets))
    pairs = np.unique(words.astype(np.int64) << 32 | owner)
    bits = bits_of(
        spelt,
        np.bincount(words, minlength=len(distinct)),
        np.bincount(pairs >> 32, minlength=len(distinct)),
    )
    sums = np.concatenate([[0], np.cumsum(bits[words], dtype=np.float64)])
    piece_bits = (sums[offsets[1:]] - sums[offsets[:-1]]).astype(np.float32)
    seeded = _seeded(item_of, role_of, part_of, piece_bits, rare_bits, sure_bits)
    seeds, starts, postings, lengths = _seeds(flat, offsets, sums, seeded, ngram)
    return Index(
        items=names,
        piece_item=item_of,
        piece_role=role_of.astype(np.uint8),
        piece_part=part_of,
        piece_offsets=offsets,
        piece_bits=piece_bits,
        words=words.astype(np.int32),
        bits=bits,
        numbers=np.array([word[0].isdigit() for word in spelt], np.bool_),
        vocabulary=_table(distinct),
        seeds=_table(seeds),
        starts=starts,
        postings=postings,
        lengths=lengths,
        factors=np.array([pow(_ROLL, int(size), 1 << 64) for size in lengths], np.uint64),
        bitmap=_bitmap(seeds),
    )


def _words(text: str, spellings: dict[int, str]) -> Array:
    """The hashes of a text's words. Their spellings are added to `spellings`."""
    data = text.encode()
    found, begins, ends = words_of(data)
    for word, begin, end in zip(found.tolist(), begins, ends, strict=True):
        if word not in spellings:
            spellings[word] = spelled(data[begin:end])
    return found


def _question(parts: list[tuple[Role, Array]]) -> Array:
    """The words of an item's question."""
    asked = [words for role, words in parts if role == Role.QUESTION]
    return np.concatenate([np.empty(0, np.uint64), *asked])


def _seeded(
    item_of: Array,
    role_of: Array,
    part_of: Array,
    bits: Array,
    rare_bits: float,
    sure_bits: float,
) -> Array:
    """Which pieces get seeds: those that can decide about their item."""
    _, part = np.unique(item_of.astype(np.int64) << 32 | part_of, return_inverse=True)
    of_part = np.bincount(part, weights=bits)[part]
    is_question, is_answer = role_of == Role.QUESTION, role_of == Role.ANSWER
    items = int(item_of.max(initial=-1)) + 1
    asked = np.bincount(item_of[is_question], weights=bits[is_question], minlength=items)
    longest_answer = np.zeros(items)
    np.maximum.at(longest_answer, item_of[is_answer], of_part[is_answer])
    with_answer = (asked + longest_answer)[item_of]
    return np.select(
        [is_question, is_answer],
        [
            with_answer >= rare_bits,
            of_part >= sure_bits,
        ],
        of_part >= rare_bits,
    ).astype(np.bool_)


def _seeds(
    flat: Array, offsets: Array, sums: Array, seeded: Array, ngram: int
) -> tuple[Array, Array, Array, Array]:
    """(distinct seed hashes, starts of their postings, postings, lengths of seeds in words)."""
    sizes = np.diff(offsets)
    lengths = np.unique(np.minimum(sizes[seeded], ngram)).astype(np.int64)[::-1].copy()
    prefix = np.zeros(len(flat) + 1, np.uint64)
    _prefixes(flat, np.uint64(_ROLL), prefix)
    hashes, pieces, places, bits = [], [], [], []
    for length in lengths.tolist():
        chosen = np.flatnonzero(seeded & (np.minimum(sizes, ngram) == length))
        counts = sizes[chosen] - length + 1
        piece = np.repeat(chosen, counts)
        inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        end = offsets[piece] + inside + length
        factor = np.uint64(pow(_ROLL, length, 1 << 64))
        with np.errstate(over="ignore"):
            hashes.append(_mixed(prefix[end] - prefix[end - length] * factor))
        pieces.append(piece)
        places.append(inside + length - 1)
        bits.append(sums[end] - sums[end - length])
    empty = np.empty(0, np.int64)
    all_hashes = np.concatenate([np.empty(0, np.uint64), *hashes])
    piece, place = np.concatenate([empty, *pieces]), np.concatenate([empty, *places])
    strength = np.concatenate([np.empty(0), *bits])
    _, seed, counts = np.unique(all_hashes, return_inverse=True, return_counts=True)
    good = (counts[seed] <= COMMON_SEED) & (strength >= SEED_BITS)
    has_good = np.zeros(len(sizes), np.bool_)
    has_good[piece[good]] = True
    kept = good | (~has_good[piece] & (counts[seed] <= COMMON_SEED))
    distinct, seed = np.unique(all_hashes[kept], return_inverse=True)
    order = np.argsort(seed, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(seed, minlength=len(distinct)))])
    postings = np.stack([piece[kept][order], place[kept][order]], axis=1).astype(np.int32)
    return distinct, starts.astype(np.int32), postings, lengths


def _mixed(hashes: Array) -> Array:
    mixed = (hashes ^ (hashes >> _BITS_32)) * _MIX
    mixed ^= mixed >> _BITS_32
    mixed[mixed == 0] = 1  # 0 marks a free place
    return mixed


@njit(nogil=True, inline="always")
def mixed(value: Any) -> Any:
    """As `_mixed`, for one hash."""
    value = (value ^ (value >> _BITS_32)) * _MIX
    value ^= value >> _BITS_32
    return value if value else _ONE


@njit(nogil=True)
def _prefixes(words: Any, roll: Any, prefix: Any) -> None:
    """The rolling hash of all words up to each place."""
    for i in range(len(words)):
        prefix[i + 1] = prefix[i] * roll + words[i]


def _table(distinct: Array) -> Table:
    size = 1 << max(4, int(len(distinct) * 2).bit_length())
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    _fill(distinct, keys, values)
    return Table(keys, values)


@njit(nogil=True)
def _fill(distinct: Any, keys: Any, values: Any) -> None:
    mask = np.uint64(len(keys) - 1)
    for number in range(len(distinct)):
        place = distinct[number] & mask
        while keys[place]:
            place = (place + _ONE) & mask
        keys[place], values[place] = distinct[number], number


@njit(nogil=True, inline="always")
def looked_up(key: Any, keys: Any, values: Any) -> int:
    """The value of a key, or -1."""
    mask = np.uint64(len(keys) - 1)
    place = key & mask
    while keys[place]:
        if keys[place] == key:
            return values[place]
        place = (place + _ONE) & mask
    return -1


def _bitmap(hashes: Array) -> Array:
    """A bit for each hash, in eight times as many bits as there are hashes or more."""
    words = 1 << max(4, (len(hashes) * 8 // 64).bit_length())
    bits = np.zeros(words, np.uint64)
    place = hashes >> _BITS_26
    word = ((place >> _BITS_6) & np.uint64(words - 1)).astype(np.int64)
    np.bitwise_or.at(bits, word, _ONE << (place & np.uint64(63)))
    return bits


@njit(nogil=True, inline="always")
def may_be(key: Any, bitmap: Any) -> bool:
    """Whether a hash's bit is set."""
    place = key >> _BITS_26
    word = bitmap[(place >> _BITS_6) & np.uint64(len(bitmap) - 1)]
    return (word >> (place & np.uint64(63))) & _ONE != 0
