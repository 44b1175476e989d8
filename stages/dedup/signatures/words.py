"""From the bytes of a text to the hashes of its words, and of the whole text.

What a word is follows the normalization (`normalization.py`). The same pass hashes the whole text
to 128 bits, with its white space collapsed. In that hash case and punctuation count. It also hashes
the figures of the text in their order, under the rule `meaning` only: operators, words with a digit
(`5mg`, `H2O`, `v1.2`), the word behind such a word (`5 mg`), and single letters (`x`).

The loop over characters has one branch that a processor cannot guess, at the end of each word.
Indexes are unsigned, so numba does not test for negative ones. Both together doubled its speed.

Sources: FNV-1a (Fowler, Noll, Vo) for characters; MurmurHash3's finaliser as the mixer.
"""

from typing import Any

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.columns.word_rule import SPACE, UNSPACED_CHARACTER, WORD
from corpusmill.stages.dedup.signatures.normalization import DIGIT, SIGN
from corpusmill.stages.dedup.signatures.signs import COUNTS, DROP, is_figure, judge_sign

# FNV-1a's 64-bit prime and basis: one multiplication a character.
_PRIME = np.uint64(0x00000100000001B3)
_BASIS = np.uint64(0xCBF29CE484222325)
# For the second half of the 128-bit hash: another odd multiplier and another start.
_PRIME_LOW = np.uint64(0x9E3779B97F4A7C15)
_BASIS_LOW = np.uint64(0x2545F4914F6CDD1D)
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_BITS_33 = np.uint64(33)
_ONE = np.uint64(1)
_BLANK = np.uint64(0x20)
_NEWLINE = np.uint64(0x0A)


@njit(nogil=True, inline="always")
def mix(value: Any) -> Any:
    """A bijection on 64 bits after which every bit depends on every bit."""
    value = (value ^ (value >> _BITS_33)) * _MIX_1
    value = (value ^ (value >> _BITS_33)) * _MIX_2
    return value ^ (value >> _BITS_33)


@njit(nogil=True)
def hash_words(
    data: Any, start: int, stop: int, kinds: Any, lower: Any, words: Any, exact: Any
) -> Any:
    """Hash the words of data[start:stop] into `words` and the whole text into `exact`. Return the
    number of words, a hash of the figures and one of the letters besides.

    A sign that counts is part of its word's hash, or of the next one's if it stands alone or before
    a word. So a text has the same number of words and shingles as without signs.

    words: room for (stop - start) // 2 + 2. Bytes that are no UTF-8 count as characters of their
    own, so nothing is read beyond `stop`.
    """
    count = np.uint64(0)
    word, high, low = _BASIS, _BASIS, _BASIS_LOW
    # The hash up to the last character that is no white space.
    whole_high, whole_low, after_space = _BASIS, _BASIS_LOW, True
    signs = np.uint64(0)  # those that stand before the next word
    # `plain` before this word, and the word's characters and operators: if the word turns out to be
    # a figure, it counts among these and not among the letters.
    figures, plain, plain_before, figure = _BASIS, _BASIS, _BASIS, _BASIS
    has_digit, letters, follows_number = False, 0, False
    segment, operand = 0, False  # characters since the last sign or blank
    last, last_code, fresh = np.uint8(SPACE), np.uint64(0), True
    i, end, judged = np.uint64(start), np.uint64(stop), np.uint64(0)
    while i < end:
        lead = data[i]
        i += _ONE
        if lead < 0x80:
            raw, kind, folded = np.uint64(lead), kinds[lead], np.uint64(lower[lead])
        else:
            code, size = _decode(data, i - _ONE, end)
            i += size
            raw = np.uint64(code)
            if code < 0x10000:
                kind, folded = kinds[code], np.uint64(lower[code])
            else:
                kind, folded = (
                    np.uint8(UNSPACED_CHARACTER if 0x20000 <= code <= 0x3FFFF else WORD),
                    raw,
                )
        verdict = DROP
        if kind == SIGN and i > judged:
            verdict, judged = judge_sign(
                data, i, end, folded, last, last_code, segment, operand, fresh, kinds, lower
            )
        if kind in (SPACE, UNSPACED_CHARACTER):
            if word != _BASIS:  # a word's hash equals the basis once in 2**64
                words[count] = mix(word ^ signs)
                count += _ONE
                word, signs = _BASIS, np.uint64(0)
                if has_digit or follows_number or letters == 1:
                    figures = ((figures ^ figure) * _PRIME ^ _BLANK) * _PRIME
                    plain = plain_before
                follows_number, has_digit, letters, figure = has_digit, False, 0, _BASIS
                plain_before = plain
            if last != SPACE:
                operand = last in (DIGIT, SIGN) or (last == WORD and segment == 1)
            last, segment = kind, 0
            if kind == SPACE:
                fresh = fresh or raw == _NEWLINE
                if not after_space:
                    whole_high, whole_low, after_space = high, low, True
                    high, low = (high ^ _BLANK) * _PRIME, (low ^ _BLANK) * _PRIME_LOW
                continue
            fresh = False
            words[count] = mix(((_BASIS ^ folded) * _PRIME) ^ signs)
            count += _ONE
            plain, signs = (plain ^ folded) * _PRIME, np.uint64(0)
            plain_before, follows_number = plain, False
        elif verdict == COUNTS:
            if word == _BASIS:
                signs = mix((signs ^ folded) * _PRIME)
            else:
                word = (word ^ folded) * _PRIME
            if is_figure(folded):
                figures = (figures ^ folded) * _PRIME
            last, last_code, segment, fresh = kind, folded, 0, False
        elif kind in (WORD, DIGIT) or verdict != DROP:
            word = (word ^ folded) * _PRIME
            figure = (figure ^ folded) * _PRIME
            plain = (plain ^ folded) * _PRIME
            has_digit = has_digit or kind == DIGIT
            letters += kind == WORD
            last, last_code, fresh = kind, folded, False
            segment += 1
        after_space = False
        high, low = (high ^ raw) * _PRIME, (low ^ raw) * _PRIME_LOW
    if word != _BASIS and (has_digit or follows_number or letters == 1):
        figures = ((figures ^ figure) * _PRIME ^ _BLANK) * _PRIME
        plain = plain_before
    if not after_space:
        whole_high, whole_low = high, low
    if word != _BASIS:
        words[count] = mix(word ^ signs)
        count += _ONE
    elif signs and count:
        words[count - _ONE] = mix(words[count - _ONE] ^ signs)
    exact[0], exact[1] = mix(whole_high), mix(whole_low)
    return np.int64(count), figures, plain


@njit(nogil=True, inline="always")
def _decode(data: Any, i: Any, end: Any) -> Any:
    """The character that begins at data[i], whose lead byte is not ASCII; and the number of bytes
    after its first.
    """
    lead = np.uint32(data[i])
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    low = np.uint32(0x3F)
    if lead >= 0xF0 and i + three < end:
        code = (lead & np.uint32(0x07)) << np.uint32(18) | (data[i + one] & low) << np.uint32(12)
        return code | (data[i + two] & low) << np.uint32(6) | (data[i + three] & low), three
    if 0xE0 <= lead < 0xF0 and i + two < end:
        return (lead & np.uint32(0x0F)) << np.uint32(12) | (data[i + one] & low) << np.uint32(6) | (
            data[i + two] & low
        ), two
    if 0xC0 <= lead < 0xE0 and i + one < end:
        return (lead & np.uint32(0x1F)) << np.uint32(6) | (data[i + one] & low), one
    return np.uint32(0xDC00) + lead, np.uint64(0)


@njit(nogil=True)
def most_words(starts: Any, stops: Any) -> int:
    """The number of words that the longest text can have."""
    longest = 0
    for i in range(len(starts)):
        longest = max(longest, stops[i] - starts[i])
    return longest // 2 + 2
