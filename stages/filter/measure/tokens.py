"""The kernel that counts tokens, words, stop words and sentences. It writes each token's hash and
length for `ngrams`.

Sentences are those of spaCy's sentencizer. A sentence begins with each line. Another begins behind
terminal punctuation, with the first token that is no punctuation.

Definitions: `stages.filter.statistics`.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="assignment,return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.marks import LINE_PART, MARKED
from corpusmill.stages.filter.measure.token_hash import BASIS, HALF, PRIME, hash_on
from corpusmill.stages.filter.measure.token_kinds import ALPHABETIC, ENDS, IS_MARK, IS_WORD
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]

ONE, SIX, LAST = np.uint64(1), np.uint64(6), np.uint64(63)
SENTENCE_ENDS = np.uint64(sum(1 << ord(mark) for mark in ".!?"))  # bits of bytes below 64

TOKENS, WORDS, WORD_CHARACTERS, ALPHABETIC_TOKENS, STOP_WORDS = range(5)  # rows: counts of a text


@njit
def measure_tokens(
    data: Bytes,
    bits: Keys,
    edges: Integers,
    hashes: Keys,
    hard: Integers,
    lines: Integers,
    text_lines: Integers,
    cuts: Integers,
    kinds: Integers,
    stops: Keys,
    stop_tables: Keys,
    groups: Integers,
    tokens: Keys,
    reach: Integers,
    text_tokens: Integers,
    line_counts: Integers,
    counts: NDArray[np.int64],
) -> None:
    """Measure the tokens of parts that `parts.hash_parts` hashed and `cut.cut_parts` cut.

    bits: of `marks.mark_bytes`. cuts, kinds: of the tokens of hard parts; all other parts are a
    word, or a word and a mark. stops, stop_tables: `english.perfect_tables` of the stop words of
    each group of texts. groups: the group of each text.

    These are filled. tokens: the hash of each token. text_tokens: the first token of each text.
    reach: the characters of a text's tokens up to each of them; those of text t begin with a 0 at
    text_tokens[t] + t. line_counts: tokens and sentences by line (2 x lines). counts: by text, the
    rows named above, zero at first.
    """
    nowhere = np.uint64(stops.size)
    # By slot: the last text that had the stop word. The last slot is for other tokens.
    seen = np.full(stops.size + 1, -1, np.int32)
    n = n_cuts = n_hard = 0
    for text in range(text_lines.size - 1):
        text_tokens[text] = n
        reach[n + text] = length = 0
        group = groups[text]
        first_slot, multiplier, shift = (
            stop_tables[0, group],
            stop_tables[1, group],
            stop_tables[2, group],
        )
        words = other_characters = alphabetic = 0
        for line in range(text_lines[text], text_lines[text + 1]):
            first, sentences, ended = n, 1, 0
            start, stop = lines[LINE_PART, line], lines[LINE_PART, line + 1]
            while start < stop:
                until, before = min(hard[np.uint64(n_hard)], stop), n
                for index in range(start, until):
                    part = np.uint64(index)
                    begin, end, value = (
                        np.int64(edges[part << ONE]),
                        np.int64(edges[part << ONE | ONE]),
                        hashes[part],
                    )
                    marked = np.int64(
                        bits[MARKED, np.uint64(end) >> SIX] >> (np.uint64(end) & LAST) & ONE
                    )
                    size, last = end - begin - marked, np.uint64(data[np.uint64(end - 1)])
                    mark = (BASIS ^ last) * PRIME
                    to, after = np.uint64(n), np.uint64(n + text + 1)
                    tokens[to], tokens[to + ONE] = value, mark ^ mark >> HALF
                    reach[after], reach[after + ONE] = length + size, length + size + 1
                    n += 1 + marked
                    length += size + marked
                    sentences += ended
                    ended = marked & np.int64(SENTENCE_ENDS >> (last & LAST))
                    slot = first_slot + (value * multiplier >> shift)
                    seen[slot if stops[slot] == value else nowhere] = text
                words += until - start
                alphabetic += until - start
                other_characters += n - before - (until - start)  # the marks
                start = until
                if until == stop:
                    break
                at, end = np.int64(edges[2 * start]), np.int64(edges[2 * start + 1])
                while at < end:
                    cut, kind = (
                        np.int64(cuts[np.uint64(n_cuts)]),
                        np.int64(kinds[np.uint64(n_cuts)]),
                    )
                    n_cuts += 1
                    value = hash_on(data, at, cut, BASIS)
                    at = cut
                    characters = kind >> 4
                    tokens[np.uint64(n)] = value
                    n += 1
                    length += characters
                    reach[np.uint64(n + text)] = length
                    is_word = np.int64(kind & IS_WORD != 0)
                    alphabetic += kind & ALPHABETIC != 0
                    words += is_word
                    other_characters += characters & (is_word - 1)
                    # After an end, a sentence begins with the first token that is neither a mark
                    # nor an end.
                    begins = np.int64(kind & (ENDS | IS_MARK) == 0)
                    sentences += ended & begins
                    ended = np.int64(kind & ENDS != 0) | ended & (1 - begins)
                    slot = first_slot + (value * multiplier >> shift)
                    seen[slot if stops[slot] == value else nowhere] = text
                start += 1
                n_hard += 1
            line_counts[0, line], line_counts[1, line] = n - first, sentences if n > first else 0
        counts[TOKENS, text], counts[WORDS, text] = n - text_tokens[text], words
        counts[WORD_CHARACTERS, text], counts[ALPHABETIC_TOKENS, text] = (
            length - other_characters,
            alphabetic,
        )
        for slot in range(first_slot, first_slot + (ONE << (np.uint64(64) - shift))):
            counts[STOP_WORDS, text] += seen[slot] == text
    text_tokens[text_lines.size - 1] = n
