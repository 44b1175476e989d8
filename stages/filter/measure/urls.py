"""The kernel that sifts URLs: which of them a block list may block. What it lets pass, no list blocks; the others are looked at
once more.

A domain is hashed from its end, so that one walk over a host gives the hashes of the host and of all domains above it. Hashes are
looked up
in a bit map that stays in the caches, and only then in the sorted list. URLs with anything unusual before their path (a user name,
brackets, a backslash) or beyond ASCII are not decided here.

Rules: `stages.filter.url_rules`.
"""

# numba tells 64-bit integers from Python's and needs to; to a reader they are the same.
# mypy: disable-error-code="return-value"

from typing import TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]

BASIS, PRIME, HALF = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
MAP_BITS = 26  # of the bit map of domains or addresses: 8 MB
NEWLINE, HASH, STAR, DOT, SLASH, COLON, QUESTION, AT, BACKSLASH, OPENING, PERCENT = (
    ord(sign) for sign in "\n#*./:?@\\[%"
)
_CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
NUMBERS = np.array(
    [_CHARACTERS.find(chr(byte).lower()) % 37 for byte in range(128)] + [36] * 128, np.uint8
)  # 36: none of them


@njit
def hash_lines(data: Bytes, backwards: bool, hashes: Keys) -> int:
    """Hash each line of a list into `hashes` (one place a line is enough); returns how many. Lower case; comments and empty lines
    are left out.

    backwards: the lines are domains: hashed from the end, without `*.` before and full stops behind them."""
    n = begin = 0
    while begin < data.size:
        end = begin
        while end < data.size and data[end] != NEWLINE:
            end += 1
        following = end + 1
        while begin < end and data[begin] <= 32:
            begin += 1
        while end > begin and data[end - 1] <= 32:
            end -= 1
        if begin < end and data[begin] != HASH:
            if backwards:
                while end > begin and data[end - 1] == DOT:
                    end -= 1
                if end - begin > 2 and data[begin] == STAR and data[begin + 1] == DOT:
                    begin += 2
            hashes[n] = _hash(data, begin, end, backwards)
            n += end > begin
        begin = following
    return n


@njit
def hash_of(data: Bytes, backwards: bool) -> int:
    """The hash of one entry."""
    return _hash(data, 0, data.size, backwards)


@njit
def fill_map(hashes: Keys, bits: Keys) -> None:
    """Set the bit of every hash."""
    for index in range(hashes.size):
        place = _place(hashes[index], bits)
        bits[place >> np.uint64(6)] |= np.uint64(1) << (place & np.uint64(63))


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
    """suspects: by URL, whether one of the lists may block it.

    domains, urls: sorted hashes, and their bit maps (empty if there is no such list). words, soft_words: sorted hashes.
    subword_*: the entries one after the other, in order, as numbers from 0 to 35; their begins; by pair of first characters (36 x 36)
    the first entry, or -1.
    """
    joined = np.empty(4096, np.uint8)
    for index in range(offsets.size - 1):
        begin, end = offsets[index], offsets[index + 1]
        suspects[index] = _is_suspect(
            data, begin, end, domains, domain_bits, urls, url_bits, words, word_bits, soft_words, soft_word_bits,
            soft_word_count, subword_data, subword_begins, subword_pairs, joined,
        )  # fmt: skip


@njit
def _is_suspect(
    data: Bytes, begin: int, end: int, domains: Keys, domain_bits: Keys, urls: Keys, url_bits: Keys, words: Keys, word_bits: Keys,
    soft_words: Keys, soft_word_bits: Keys, soft_word_count: int, subword_data: Bytes, subword_begins: NDArray[np.int32],
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
        if scheme == begin or not 97 <= _lower(data[begin]) <= 122:
            return True
        for at in range(begin, scheme):
            if not _is_alphanumeric(_lower(data[at])):
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
    """Whether the host or a domain above it, but for the top one, is listed."""
    while end > begin and data[end - 1] == DOT:
        end -= 1
    value, dots = BASIS, 0
    for at in range(end - 1, begin - 1, -1):
        byte = _lower(data[at])
        if byte == DOT:
            dots += 1
            if dots > 1 and _holds(domains, bits, value):
                return True
        value = (value ^ np.uint64(byte)) * PRIME
        value ^= value >> HALF
    return end > begin and _holds(domains, bits, value)


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
    return _holds(urls, bits, _hash(data, begin, stop, False))


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
    """Whether a word is listed, or enough of the soft ones are (counted again where one comes twice: the caller looks closer)."""
    if words.size + soft_words.size == 0:
        return False
    soft, value, length = 0, BASIS, 0
    for at in range(begin, end + 1):
        byte = _lower(data[at]) if at < end else 0
        if _is_alphanumeric(byte):
            value = (value ^ np.uint64(byte)) * PRIME
            value ^= value >> HALF
            length += 1
        elif length > 0:
            if _holds(words, word_bits, value):
                return True
            soft += _holds(soft_words, soft_word_bits, value)
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
    """Whether an entry stands in the letters and digits, joined."""
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


@njit
def _hash(data: Bytes, begin: int, end: int, backwards: bool) -> np.uint64:
    value = BASIS
    for index in range(end - begin):
        byte = _lower(data[end - 1 - index] if backwards else data[begin + index])
        value = (value ^ np.uint64(byte)) * PRIME
        value ^= value >> HALF
    return value


@njit
def _holds(hashes: Keys, bits: Keys, value: np.uint64) -> bool:
    if bits.size == 0:
        return False
    place = _place(value, bits)
    if bits[place >> np.uint64(6)] >> (place & np.uint64(63)) & np.uint64(1) == 0:
        return False
    return _among(hashes, value)


@njit
def _place(value: np.uint64, bits: Keys) -> np.uint64:
    """Which bit of a map is the value's; a map has a power of two of them, as many as fit into 32 bits."""
    return (value >> HALF) & np.uint64(64 * bits.size - 1)


@njit
def _among(hashes: Keys, value: int) -> bool:
    low, high = 0, hashes.size
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < hashes.size and hashes[low] == value


@njit
def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


@njit
def _is_alphanumeric(byte: int) -> bool:
    return 48 <= byte <= 57 or 97 <= byte <= 122
