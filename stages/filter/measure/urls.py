"""The kernel that sifts URLs: it clears the URLs that no block list can block. Python judges the
others.

It does not decide on URLs with anything unusual before their path (a user name, brackets, a
backslash) or beyond ASCII.

Rules: `stages.filter.url_rules`.
"""

# numba needs 64-bit integers and Python's kept apart. For readers and mypy they are the same.
# mypy: disable-error-code="return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.url_hashes import (
    BASIS,
    HALF,
    PRIME,
    hash_between,
    holds,
    is_alphanumeric,
    lower,
)
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]

HASH, DOT, SLASH, COLON, QUESTION, AT, BACKSLASH, OPENING, PERCENT = (
    ord(sign) for sign in "#./:?@\\[%"
)
_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
# 36 stands for any other character.
NUMBERS = np.array(
    [_CHARACTERS.find(chr(byte).lower()) % 37 for byte in range(128)] + [36] * 128, np.uint8
)


@njit
def sift(
    data: Bytes,
    offsets: NDArray[np.int64],
    domains: Keys,
    domain_bits: Keys,
    urls: Keys,
    url_bits: Keys,
    words: Keys,
    word_bits: Keys,
    soft_words: Keys,
    soft_word_bits: Keys,
    soft_word_count: int,
    subword_data: Bytes,
    subword_begins: NDArray[np.int32],
    subword_pairs: NDArray[np.int32],
    suspects: NDArray[np.bool_],
) -> None:
    """Fill suspects: by URL, whether one of the lists may block it.

    domains, urls: sorted hashes, and their bit maps (empty if there is no such list). words,
    soft_words: sorted hashes. subword_*: the entries one after the other, in order, as numbers from
    0 to 35; their begins; and by pair of first characters (36 x 36) the first entry, or -1.
    """
    joined = np.empty(4096, np.uint8)
    for index in range(offsets.size - 1):
        begin, end = offsets[index], offsets[index + 1]
        suspects[index] = _is_suspect(
            data, begin, end, domains, domain_bits, urls, url_bits, words, word_bits, soft_words,
            soft_word_bits, soft_word_count, subword_data, subword_begins, subword_pairs, joined,
        )  # fmt: skip


@njit
def _is_suspect(
    data: Bytes, begin: int, end: int, domains: Keys, domain_bits: Keys, urls: Keys,
    url_bits: Keys, words: Keys, word_bits: Keys, soft_words: Keys, soft_word_bits: Keys,
    soft_word_count: int, subword_data: Bytes, subword_begins: NDArray[np.int32],
    subword_pairs: NDArray[np.int32], joined: Bytes,
) -> bool:  # fmt: skip
    if begin == end:
        return False
    if end - begin > joined.size:
        return True
    for at in range(begin, end):
        if data[at] >= 0x80 or data[at] <= 32:
            return True
    host, scheme = begin, -1
    for at in range(begin, end - 2):
        if data[at] == COLON and data[at + 1] == SLASH and data[at + 2] == SLASH:
            scheme = at
            break
    if scheme >= 0:
        host = scheme + 3
        if scheme == begin or not 97 <= lower(data[begin]) <= 122:
            return True
        for at in range(begin, scheme):
            if not is_alphanumeric(lower(data[at])):
                return True
    elif end - begin > 1 and data[begin] == SLASH:
        return True
    host_end = host
    while host_end < end and data[host_end] not in (SLASH, QUESTION, HASH, COLON):
        if data[host_end] in (AT, BACKSLASH, OPENING, PERCENT):
            return True
        host_end += 1
    if host_end < end and data[host_end] == COLON:  # a port; anything else is unusual
        at = host_end + 1
        while at < end and 48 <= data[at] <= 57:
            at += 1
        if at < end and data[at] not in (SLASH, QUESTION, HASH):
            return True
    if domains.size > 0 and _is_below(data, host, host_end, domains, domain_bits):
        return True
    if urls.size > 0 and _is_listed(data, host, end, urls, url_bits):
        return True
    if _has_words(data, begin, end, words, word_bits, soft_words, soft_word_bits, soft_word_count):
        return True
    return subword_begins.size > 1 and _has_subword(
        data, begin, end, subword_data, subword_begins, subword_pairs, joined
    )


@njit
def _is_below(data: Bytes, begin: int, end: int, domains: Keys, bits: Keys) -> bool:
    """Whether the host or a domain above it is listed. The top-level domain is not looked up."""
    while end > begin and data[end - 1] == DOT:
        end -= 1
    value, dots = BASIS, 0
    for at in range(end - 1, begin - 1, -1):
        byte = lower(data[at])
        if byte == DOT:
            dots += 1
            if dots > 1 and holds(domains, bits, value):
                return True
        value = (value ^ np.uint64(byte)) * PRIME
        value ^= value >> HALF
    return end > begin and holds(domains, bits, value)


@njit
def _is_listed(data: Bytes, begin: int, end: int, urls: Keys, bits: Keys) -> bool:
    """Whether the address without scheme, `www.`, fragment and closing slashes is listed."""
    if (
        end - begin > 4
        and (data[begin] | 32) == 119
        and (data[begin + 1] | 32) == 119
        and (data[begin + 2] | 32) == 119
    ):
        begin += 4 if data[begin + 3] == DOT else 0
    stop = begin
    while stop < end and data[stop] != HASH:
        stop += 1
    while stop > begin and data[stop - 1] == SLASH:
        stop -= 1
    return holds(urls, bits, hash_between(data, begin, stop, False))


@njit
def _has_words(
    data: Bytes,
    begin: int,
    end: int,
    words: Keys,
    word_bits: Keys,
    soft_words: Keys,
    soft_word_bits: Keys,
    soft_word_count: int,
) -> bool:
    """Whether a word is listed, or enough of the soft words are. A soft word that comes twice
    counts twice; the caller looks closer.
    """
    if words.size + soft_words.size == 0:
        return False
    soft, value, length = 0, BASIS, 0
    for at in range(begin, end + 1):
        byte = lower(data[at]) if at < end else 0
        if is_alphanumeric(byte):
            value = (value ^ np.uint64(byte)) * PRIME
            value ^= value >> HALF
            length += 1
        elif length > 0:
            if holds(words, word_bits, value):
                return True
            soft += holds(soft_words, soft_word_bits, value)
            value, length = BASIS, 0
    return soft > 0 and soft >= soft_word_count


@njit
def _has_subword(
    data: Bytes,
    begin: int,
    end: int,
    entries: Bytes,
    begins: NDArray[np.int32],
    pairs: NDArray[np.int32],
    joined: Bytes,
) -> bool:
    """Whether an entry stands in the joined letters and digits."""
    size = 0
    for at in range(begin, end):
        number = NUMBERS[np.uint64(data[at])]
        joined[np.uint64(size)] = number
        size += number < 36
    if size < 2:
        return True
    previous = np.int64(joined[0])
    for at in range(1, size):
        number = np.int64(joined[np.uint64(at)])
        entry = np.int64(pairs[np.uint64(previous * 36 + number)])
        previous = number
        while 0 <= entry < begins.size - 1:
            start, length = begins[entry], begins[entry + 1] - begins[entry]
            if entries[start] != joined[at - 1] or (length > 1 and entries[start + 1] != number):
                break
            same = 0
            while (
                same < length
                and at - 1 + same < size
                and entries[start + same] == joined[at - 1 + same]
            ):
                same += 1
            if same == length:
                return True
            entry += 1
    return False
