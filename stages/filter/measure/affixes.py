"""The tokenizer's rules for prefixes, suffixes, infixes and addresses: spaCy 3.8's for English.

Sources: `spacy.lang.punctuation`, `spacy.lang.en.punctuation`, `spacy.lang.tokenizer_exceptions`.
`cut` applies them.
"""

from typing import Any, TypeAlias

import numpy as np
from corpusmill.stages.columns.compiled import njit
from corpusmill.stages.filter.measure.characters import (
    CURRENCY,
    ICON,
    IDEOGRAPH,
    LOWER,
    PREFIX,
    QUOTE,
    SUFFIX,
    TABLE_SIZE,
    UPPER,
)
from corpusmill.stages.filter.measure.utf8 import decode
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Flags: TypeAlias = NDArray[np.uint16]

ALPHA = LOWER | UPPER
DOT, COMMA, HYPHEN, PLUS, PERCENT, AT, COLON, SLASH, STAR, CARET, DOLLAR = (
    ord(sign) for sign in ".,-+%@:/*^$"
)
QUESTION, HASH, UNDERSCORE, LESS, EQUALS, GREATER, TILDE, BAR, APOSTROPHE = (
    ord(sign) for sign in "?#_<=>~|'"
)
EN_DASH, EM_DASH, ELLIPSIS, RIGHT_QUOTE, SUPERSCRIPT_TWO = (ord(sign) for sign in "–—…’²")

UNITS = (  # they are tokens of their own behind a digit
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft "
    "kg g mg µg t lb oz m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % "
    "км км² км³ м м² м³ дм см мм нм кг г мг м/с км/ч кПа Па Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тб "
    "US$ C$ A$"
)


def unit_keys() -> Keys:
    """The units' bytes, each as one big-endian integer."""
    keys = np.array(
        sorted({int.from_bytes(unit.encode(), "big") for unit in UNITS.split()}), np.uint64
    )
    keys.flags.writeable = False
    return keys


@njit(inline="always")
def prefix_of(data: Bytes, begin: int, end: int, classes: Flags) -> int:
    """The number of bytes of the prefix of data[begin:end]; 0 if there is none."""
    first = data[begin]
    if first == DOT:
        dots = _dots(data, begin, end)
        return dots if dots > 1 else 0
    if first == PLUS:
        return 0 if begin + 1 < end and is_digit(data[begin + 1]) else 1
    about, width = class_at(data, begin, classes)
    if about & PREFIX:
        return width
    # The prefix US$.
    if first == 85 and end - begin > 2 and data[begin + 1] == 83 and data[begin + 2] == DOLLAR:
        return 3
    if (first == 65 or first == 67) and end - begin > 1 and data[begin + 1] == DOLLAR:  # A$, C$
        return 2
    return 0


@njit(inline="always")
def suffix_of(
    data: Bytes, begin: int, end: int, classes: Flags, units: Keys, has_digit: bool
) -> int:
    """The number of bytes of the suffix of data[begin:end]; 0 if there is none."""
    if begin >= end:
        return 0
    at = _before(data, end)
    last = data[at]
    about = class_at(data, at, classes)[0]
    previous = _before(data, at) if at > begin else -1
    if last == DOT and end - at == 1:
        if previous < 0:
            return 0
        if data[previous] == DOT:
            dots = 2
            while end - dots - 1 >= begin and data[end - dots - 1] == DOT:
                dots += 1
            return dots
        if _full_stop_splits(data, begin, previous, classes):
            return 1
        return 0
    if (last == 115 or last == 83) and previous >= 0:  # 's, 'S
        code = decode(data, previous)[0]
        if code in (APOSTROPHE, RIGHT_QUOTE):
            return end - previous
    if about & SUFFIX:
        return end - at
    if not has_digit:
        return 0
    if previous >= 0 and is_digit(data[previous]) and (last == PLUS or about & CURRENCY):
        return end - at
    # A unit stands behind the last digit and has at most seven bytes.
    key, shift = np.uint64(0), np.uint64(0)
    at = end - 1
    while at >= begin and end - at <= 8 and not is_digit(data[at]):
        key |= np.uint64(data[at]) << shift
        shift += np.uint64(8)
        at -= 1
    if at >= begin and at < end - 1 and is_digit(data[at]):
        for index in range(units.size):
            if units[index] == key:
                return end - at - 1
    return 0


@njit
def _full_stop_splits(data: Bytes, begin: int, previous: int, classes: Flags) -> bool:
    """Whether the full stop behind the character at `previous` is a suffix."""
    code = decode(data, previous)[0]
    about = class_at(data, previous, classes)[0]
    if about & (LOWER | QUOTE) or is_digit(code) or code == BAR:
        return True
    if code in (PERCENT, SUPERSCRIPT_TWO, HYPHEN, PLUS):
        return True
    if about & SUFFIX and about & ICON == 0 and code != EN_DASH and code != EM_DASH:
        return True
    if about & UPPER and previous > begin:
        return class_at(data, _before(data, previous), classes)[0] & UPPER != 0
    return False


@njit
def infix_of(data: Bytes, begin: int, at: int, end: int, classes: Flags) -> int:
    """The number of bytes of the infix at a place; 0 if there is none."""
    byte = data[at]
    if 97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57:
        return 0
    if byte >= 0x80:
        code, width = decode(data, at)
        if code == ELLIPSIS or class_at(data, at, classes)[0] & ICON:
            return width
        if code != EN_DASH and code != EM_DASH:
            return 0
    elif byte == DOT and at + 1 < end and data[at + 1] == DOT:
        return _dots(data, at, end)
    if at == begin:
        return 0
    code, width = decode(data, at)
    previous = _before(data, at)
    before = class_at(data, previous, classes)[0]
    digit = is_digit(data[previous])
    if at + width >= end:
        return 0
    following = data[at + width]
    after = class_at(data, at + width, classes)[0]
    if (
        code in (PLUS, HYPHEN, STAR, CARET)
        and digit
        and (is_digit(following) or following == HYPHEN)
    ):
        return 1
    if code == DOT:
        return 1 if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    if code == COMMA:
        return 1 if before & ALPHA and after & ALPHA else 0
    if not (before & ALPHA or digit):
        return 0
    if code in (COLON, LESS, GREATER, EQUALS, SLASH):
        return 1 if after & ALPHA else 0
    if code in (HYPHEN, EM_DASH, EN_DASH, TILDE):
        most = 3 if code == HYPHEN else 2 if code == EM_DASH else 1
        for _ in range(most):
            if class_at(data, at + width, classes)[0] & ALPHA:
                return width
            next_code, next_width = decode(data, at + width)
            if next_code != code or at + width + next_width >= end:
                return 0
            width += next_width
    return 0


@njit
def is_url(data: Bytes, begin: int, end: int, classes: Flags) -> bool:
    """Whether the bytes are an address: a host, perhaps with a scheme, `name@`, a port and a
    path.
    """
    at = begin
    while at < end and (
        _is_word(data[at]) or data[at] == PLUS or data[at] == HYPHEN or data[at] == DOT
    ):
        at += 1
    dot = begin
    while dot < end and data[dot] != DOT:
        dot += 1
    if dot == end:
        return False
    start = begin
    if (
        at - begin > 1
        and at + 3 < end
        and data[at] == COLON
        and data[at + 1] == SLASH
        and data[at + 2] == SLASH
    ):
        start = at + 3
    if _is_host(data, start, end, classes):
        return True
    for at in range(start + 1, end - 3):
        if data[at] == AT and _is_host(data, at + 1, end, classes):
            return True
    return False


@njit
def _is_host(data: Bytes, begin: int, end: int, classes: Flags) -> bool:
    """Whether a host stands here: labels with a full stop behind each and a top level of small
    letters, or four numbers. A port and a path may follow.
    """
    at = label = begin
    labels = numbers = 0
    numeric = small = True
    letters = 0
    while at < end and data[at] not in (COLON, SLASH, QUESTION, HASH):
        byte = data[at]
        if byte == DOT:
            if at == label or not is_alnum(data[label]) or not is_alnum(data[at - 1]):
                return False
            labels += 1
            numbers += numeric
            numeric = small = True
            letters = 0
            label = at + 1
        elif not (is_alnum(byte) or byte in (HYPHEN, UNDERSCORE)):
            return False
        else:
            numeric = numeric and is_digit(byte)
            if byte < 0x80 or byte >= 0xC0:
                letters += 1
                small = small and class_at(data, at, classes)[0] & LOWER != 0
        at += 1
    if at == label or labels == 0:
        return False
    if not ((small and 2 <= letters <= 63) or (numeric and labels == 3 and numbers == 3)):
        return False
    if at < end and data[at] == COLON:
        port = at + 1
        at = port
        while at < end and is_digit(data[at]):
            at += 1
        if not 2 <= at - port <= 5:
            return False
        return at == end or data[at] in (SLASH, QUESTION, HASH)
    return True


@njit
def _dots(data: Bytes, at: int, end: int) -> int:
    count = 0
    while at + count < end and data[at + count] == DOT:
        count += 1
    return count


@njit
def is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@njit
def is_alnum(byte: int) -> bool:
    return byte >= 0x80 or 48 <= byte <= 57 or 97 <= byte <= 122 or 65 <= byte <= 90


@njit
def _is_word(byte: int) -> bool:
    return is_alnum(byte) or byte == UNDERSCORE


@njit
def _before(data: Bytes, at: int) -> int:
    """Where the character before a place begins."""
    at -= 1
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@njit
def class_at(data: Bytes, at: int, classes: Flags) -> tuple[Any, int]:
    """The flags of the character at a place, and its bytes."""
    byte = np.int64(data[at])
    if byte < 0x80:
        return np.int64(classes[byte]), 1
    code, width = decode(data, at)
    return (np.int64(classes[code]) if code < TABLE_SIZE else IDEOGRAPH), width
