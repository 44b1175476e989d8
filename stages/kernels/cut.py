"""The kernel that cuts parts into tokens as spaCy's English tokenizer does (3.8, `spacy.tokenizer`, `spacy.lang.punctuation`).

While anything is left of a part: it is kept if it is an exception, else a prefix and a suffix are taken off. What remains is an exception, a
URL, or is cut at infixes. A text of a script without spaces may be read by character instead: then each such character is a token.
datatrove's filters count these tokens, so that theirs and ours agree. Plain words pass through, unless they are exceptions.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels.characters import FLAGS
from stages.kernels.characters import IDEOGRAPH as HAN
from stages.kernels.english import LONGEST_EXCEPTION
from stages.kernels import parts as part_kinds
from stages.kernels.words import load_word

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int32]
Flags: TypeAlias = NDArray[np.uint16]
Maybe: TypeAlias = NDArray[np.bool_]

# numba keeps compiled code until this file changes, so every value that is compiled in stands in this file.
LETTER, LOWER, UPPER, PREFIX, SUFFIX, QUOTE, ICON, CURRENCY = 2, 8, 16, 32, 64, 128, 256, 512
UNSPACED, COMBINING, TABLE_SIZE, LONGEST, WIDE, WIDE_WORD = 16384, 32768, 0x20000, 16, 3, 4
IDEOGRAPH, ALPHA = LETTER | LOWER | UPPER | UNSPACED, LOWER | UPPER
_NAMES = "LETTER LOWER UPPER PREFIX SUFFIX QUOTE ICON CURRENCY UNSPACED COMBINING TABLE_SIZE"
_VALUES = (*(LETTER, LOWER, UPPER, PREFIX, SUFFIX, QUOTE, ICON, CURRENCY), *(UNSPACED, COMBINING, TABLE_SIZE))
assert tuple(FLAGS[name] for name in _NAMES.split()) == _VALUES, "the table of characters has changed"
assert (HAN, LONGEST_EXCEPTION, part_kinds.WIDE, part_kinds.WIDE_WORD) == (IDEOGRAPH, LONGEST, WIDE, WIDE_WORD)
BASIS, PRIME, HALF = np.uint64(0xCBF29CE484222325), np.uint64(0xD6E8FEB86659FD93), np.uint64(32)  # as english.hash_of
KNOWN_BITS, ONE = 15, np.uint64(1)
DOT, COMMA, HYPHEN, PLUS, PERCENT, AT, COLON, SLASH, STAR, CARET, DOLLAR = (ord(sign) for sign in ".,-+%@:/*^$")
QUESTION, HASH, UNDERSCORE, LESS, EQUALS, GREATER, TILDE, BAR, APOSTROPHE = (ord(sign) for sign in "?#_<=>~|'")
EN_DASH, EM_DASH, ELLIPSIS, RIGHT_QUOTE, SUPERSCRIPT_TWO = (ord(sign) for sign in "–—…’²")

UNITS = (  # a token of their own behind a digit
    "km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB "
    "tb TB T G M K % км км² км³ м м² м³ дм см мм нм кг г мг м/с км/ч кПа Па Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тб US$ C$ A$"
)


def nothing_known() -> Keys:
    """Room for the parts that were cut before, empty."""
    return np.zeros(2 << KNOWN_BITS, np.uint64)


def unit_keys() -> Keys:
    """The units' bytes, each as one big-endian integer."""
    keys = np.array(sorted({int.from_bytes(unit.encode(), "big") for unit in UNITS.split()}), np.uint64)
    keys.flags.writeable = False
    return keys


@njit(cache=True)
def cut_parts(
    data: Bytes,
    classes: Flags,
    parts: Integers,
    kinds: Bytes,
    hashes: Keys,
    hard: Integers,
    text_hard: Integers,
    by_character: NDArray[np.bool_],
    keys: Keys,
    values: Integers,
    maybe: Maybe,
    units: Keys,
    known: Keys,
    cuts: Integers,
) -> None:
    """Cut the parts that `parts.find_parts` listed as hard.

    by_character: by text: whether scripts without spaces are read by character. known: parts that were cut before a hash and the lengths of the tokens, a byte
    each, one after the other; language repeats itself, so this saves more than half of the work. cuts: the bytes behind each token of the hard parts, one
    after the other; a part's last is its own end.
    """
    n = 0
    for text in range(text_hard.size - 1):
        for index in range(text_hard[text], text_hard[text + 1]):
            part = np.uint64(hard[np.uint64(index)])
            begin, end = np.int64(parts[0, part]), np.int64(parts[1, part])
            if kinds[part] >= WIDE and by_character[text]:
                n = _cut_by_character(data, begin, end, classes, keys, values, maybe, units, cuts, n)
                continue
            if kinds[part] == WIDE_WORD:
                cuts[n] = end
                n += 1
                continue
            # The hash of a word with a mark leaves the mark out.
            key = (hashes[part] ^ np.uint64((end - begin) << 8) ^ np.uint64(data[np.uint64(end - 1)])) * PRIME
            slot = key >> np.uint64(64 - KNOWN_BITS) << ONE
            lengths = known[slot + ONE]
            if known[slot] == key and lengths != 0:
                while lengths != 0:
                    begin += np.int64(lengths & np.uint64(255))
                    cuts[np.uint64(n)] = begin
                    n += 1
                    lengths >>= np.uint64(8)
                continue
            first = n
            n = _cut(data, begin, end, classes, keys, values, maybe, units, cuts, n)
            if n - first <= 8 and end - begin < 256:
                lengths, at = np.uint64(0), end
                for cut in range(n - 1, first - 1, -1):
                    before = np.int64(cuts[cut - 1]) if cut > first else begin
                    lengths = lengths << np.uint64(8) | np.uint64(at - before)
                    at = before
                known[slot], known[slot + ONE] = key, lengths


@njit(cache=True)
def _cut(
    data: Bytes, begin: int, end: int, classes: Flags, keys: Keys, values: Integers, maybe: Maybe, units: Keys, cuts: Integers, n: int
) -> int:
    """Cut a part, or a piece of one; returns how many cuts there are then."""
    # Suffixes are found from the end: their cuts wait at the far end of the room that the part has at most, and are moved at last.
    room = n + end - begin + 1
    wait = room
    has_digit = has_sign = False
    for index in range(begin, end):
        has_digit |= _is_digit(data[index])
        has_sign |= not _is_alnum(data[index])
    if not has_sign and data[begin] < 0x80 and _is_digit(data[end - 1]):  # a number
        cuts[n] = end
        return n + 1
    while begin < end and _exception(data, begin, end, keys, values, maybe) < 0:
        prefix = _prefix(data, begin, end, classes)
        if 0 < prefix < end - begin and _exception(data, begin + prefix, end, keys, values, maybe) >= 0:
            begin += prefix
            cuts[n] = begin
            n += 1
            break
        suffix = _suffix(data, begin + prefix, end, classes, units, has_digit)
        if suffix > 0:
            wait -= 1
            cuts[wait] = end
            if _exception(data, begin, end - suffix, keys, values, maybe) >= 0:
                end -= suffix
                break
        elif prefix == 0:
            break
        if prefix > 0:
            begin += prefix
            cuts[n] = begin
            n += 1
        end -= suffix
    if begin < end:
        cut = _exception(data, begin, end, keys, values, maybe)
        if cut >= 0:
            n = _exception_cuts(cuts, n, begin, end, cut)
        else:
            first = begin
            while first < end and data[first] < 0x80 and _is_alnum(data[first]):
                first += 1
            if first < end and not _is_url(data, begin, end, classes):
                at = first
                while at < end:
                    if data[at] < 0x80 and _is_alnum(data[at]):
                        at += 1
                        continue
                    infix = _infix(data, begin, at, end, classes)
                    if infix == 0:
                        at += _class_at(data, at, classes)[1]
                        continue
                    if at > begin:
                        if cuts[n - 1] != at or n == 0:
                            cuts[n] = at
                            n += 1
                        cuts[n] = at + infix
                        n += 1
                    at += infix
            cuts[n] = end
            n += 1
    for index in range(wait, room):
        cuts[n] = cuts[index]
        n += 1
    return n


@njit(cache=True)
def _cut_by_character(
    data: Bytes, begin: int, end: int, classes: Flags, keys: Keys, values: Integers, maybe: Maybe, units: Keys, cuts: Integers, n: int
) -> int:
    """Every character of a script without spaces is a token, with the marks on it; what stands between them is cut as always."""
    at = begin
    while at < end:
        about, width = _class_at(data, at, classes)
        if about & UNSPACED == 0:
            at += width
            continue
        if at > begin:
            n = _cut(data, begin, at, classes, keys, values, maybe, units, cuts, n)
        at += width
        while at < end and _class_at(data, at, classes)[0] & COMBINING:
            at += _class_at(data, at, classes)[1]
        cuts[n] = begin = at
        n += 1
    return _cut(data, begin, end, classes, keys, values, maybe, units, cuts, n) if end > begin else n


@njit(cache=True)
def _exception_cuts(cuts: Integers, n: int, begin: int, end: int, cut: int) -> int:
    """The cuts of an exception. cut: as in `english.exception_table`."""
    if cut & 0xFF:
        cuts[n] = begin + (cut & 0xFF)
        n += 1
    if cut >> 8:
        cuts[n] = begin + (cut & 0xFF) + (cut >> 8)
        n += 1
    cuts[n] = end
    return n + 1


@njit(cache=True, inline="always")
def _exception(data: Bytes, begin: int, end: int, keys: Keys, values: Integers, maybe: Maybe) -> int:
    """How these bytes are cut if they are an exception, else -1."""
    if end - begin > LONGEST or begin >= end or not maybe[data[begin], end - begin]:
        return -1
    value = BASIS
    while begin < end:
        count = min(end - begin, 8)
        value = (value ^ (load_word(data, begin) & (~np.uint64(0) >> np.uint64(64 - 8 * count)))) * PRIME
        value ^= value >> HALF
        begin += count
    return _find(keys, values, value)


@njit(cache=True, inline="always")
def _find(keys: Keys, values: Integers, key: int) -> int:
    """The value of a key, or -1."""
    mask = np.uint64(keys.size - 1)
    slot = key & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(values[slot])
        slot = (slot + np.uint64(1)) & mask
    return -1


@njit(cache=True, inline="always")
def _prefix(data: Bytes, begin: int, end: int, classes: Flags) -> int:
    """The bytes of the prefix of these bytes, 0 if they have none."""
    first = data[begin]
    if first == DOT:
        dots = _dots(data, begin, end)
        return dots if dots > 1 else 0
    if first == PLUS:
        return 0 if begin + 1 < end and _is_digit(data[begin + 1]) else 1
    about, width = _class_at(data, begin, classes)
    if about & PREFIX:
        return width
    if first == 85 and end - begin > 2 and data[begin + 1] == 83 and data[begin + 2] == DOLLAR:  # US$
        return 3
    if (first == 65 or first == 67) and end - begin > 1 and data[begin + 1] == DOLLAR:  # A$, C$
        return 2
    return 0


@njit(cache=True, inline="always")
def _suffix(data: Bytes, begin: int, end: int, classes: Flags, units: Keys, has_digit: bool) -> int:
    """The bytes of the suffix of these bytes, 0 if they have none."""
    if begin >= end:
        return 0
    at = _before(data, end)
    last = data[at]
    about = _class_at(data, at, classes)[0]
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
        code = _decode(data, previous)[0]
        if code == APOSTROPHE or code == RIGHT_QUOTE:
            return end - previous
    if about & SUFFIX:
        return end - at
    if not has_digit:
        return 0
    if previous >= 0 and _is_digit(data[previous]) and (last == PLUS or about & CURRENCY):
        return end - at
    # A unit: what stands behind the last digit, at most seven bytes.
    key, shift = np.uint64(0), np.uint64(0)
    at = end - 1
    while at >= begin and end - at <= 8 and not _is_digit(data[at]):
        key |= np.uint64(data[at]) << shift
        shift += np.uint64(8)
        at -= 1
    if at >= begin and at < end - 1 and _is_digit(data[at]):
        for index in range(units.size):
            if units[index] == key:
                return end - at - 1
    return 0


@njit(cache=True)
def _full_stop_splits(data: Bytes, begin: int, previous: int, classes: Flags) -> bool:
    """Whether the full stop behind the character at `previous` is a suffix."""
    code = _decode(data, previous)[0]
    about = _class_at(data, previous, classes)[0]
    if about & (LOWER | QUOTE) or _is_digit(code) or code == BAR:
        return True
    if code == PERCENT or code == SUPERSCRIPT_TWO or code == HYPHEN or code == PLUS:
        return True
    if about & SUFFIX and about & ICON == 0 and code != EN_DASH and code != EM_DASH:
        return True
    if about & UPPER and previous > begin:
        return _class_at(data, _before(data, previous), classes)[0] & UPPER != 0
    return False


@njit(cache=True)
def _infix(data: Bytes, begin: int, at: int, end: int, classes: Flags) -> int:
    """The bytes of the infix at a place, 0 if there is none."""
    byte = data[at]
    if 97 <= byte <= 122 or 65 <= byte <= 90 or 48 <= byte <= 57:
        return 0
    if byte >= 0x80:
        code, width = _decode(data, at)
        if code == ELLIPSIS or _class_at(data, at, classes)[0] & ICON:
            return width
        if code != EN_DASH and code != EM_DASH:
            return 0
    elif byte == DOT and at + 1 < end and data[at + 1] == DOT:
        return _dots(data, at, end)
    if at == begin:
        return 0
    code, width = _decode(data, at)
    previous = _before(data, at)
    before = _class_at(data, previous, classes)[0]
    digit = _is_digit(data[previous])
    if at + width >= end:
        return 0
    following = data[at + width]
    after = _class_at(data, at + width, classes)[0]
    if (code == PLUS or code == HYPHEN or code == STAR or code == CARET) and digit:
        if _is_digit(following) or following == HYPHEN:
            return 1
    if code == DOT:
        return 1 if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    if code == COMMA:
        return 1 if before & ALPHA and after & ALPHA else 0
    if not (before & ALPHA or digit):
        return 0
    if code == COLON or code == LESS or code == GREATER or code == EQUALS or code == SLASH:
        return 1 if after & ALPHA else 0
    if code == HYPHEN or code == EM_DASH or code == EN_DASH or code == TILDE:
        most = 3 if code == HYPHEN else 2 if code == EM_DASH else 1
        for _ in range(most):
            if _class_at(data, at + width, classes)[0] & ALPHA:
                return width
            next_code, next_width = _decode(data, at + width)
            if next_code != code or at + width + next_width >= end:
                return 0
            width += next_width
    return 0


@njit(cache=True)
def _is_url(data: Bytes, begin: int, end: int, classes: Flags) -> bool:
    """Whether the bytes are an address: perhaps a scheme, perhaps `name@`, a host, perhaps a port, perhaps a path."""
    at = begin
    while at < end and (_is_word(data[at]) or data[at] == PLUS or data[at] == HYPHEN or data[at] == DOT):
        at += 1
    dot = begin
    while dot < end and data[dot] != DOT:
        dot += 1
    if dot == end:
        return False
    start = begin
    if at - begin > 1 and at + 3 < end and data[at] == COLON and data[at + 1] == SLASH and data[at + 2] == SLASH:
        start = at + 3
    if _is_host(data, start, end, classes):
        return True
    for at in range(start + 1, end - 3):  # noqa: SIM110 (numba knows no any() over a generator)
        if data[at] == AT and _is_host(data, at + 1, end, classes):
            return True
    return False


@njit(cache=True)
def _is_host(data: Bytes, begin: int, end: int, classes: Flags) -> bool:
    """Labels with a full stop behind each, a top level of small letters; or four numbers; then port and path."""
    at = label = begin
    labels = numbers = 0
    numeric = small = True
    letters = 0
    while at < end and data[at] not in (COLON, SLASH, QUESTION, HASH):
        byte = data[at]
        if byte == DOT:
            if at == label or not _is_alnum(data[label]) or not _is_alnum(data[at - 1]):
                return False
            labels += 1
            numbers += numeric
            numeric = small = True
            letters = 0
            label = at + 1
        elif not (_is_alnum(byte) or byte == HYPHEN or byte == UNDERSCORE):
            return False
        else:
            numeric = numeric and _is_digit(byte)
            if byte < 0x80 or byte >= 0xC0:
                letters += 1
                small = small and _class_at(data, at, classes)[0] & LOWER != 0
        at += 1
    if at == label or labels == 0:
        return False
    if not ((small and 2 <= letters <= 63) or (numeric and labels == 3 and numbers == 3)):
        return False
    if at < end and data[at] == COLON:
        port = at + 1
        at = port
        while at < end and _is_digit(data[at]):
            at += 1
        if not 2 <= at - port <= 5:
            return False
        return at == end or data[at] in (SLASH, QUESTION, HASH)
    return True


@njit(cache=True)
def _dots(data: Bytes, at: int, end: int) -> int:
    count = 0
    while at + count < end and data[at + count] == DOT:
        count += 1
    return count


@njit(cache=True)
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@njit(cache=True)
def _is_alnum(byte: int) -> bool:
    return byte >= 0x80 or 48 <= byte <= 57 or 97 <= byte <= 122 or 65 <= byte <= 90


@njit(cache=True)
def _is_word(byte: int) -> bool:
    return _is_alnum(byte) or byte == UNDERSCORE


@njit(cache=True)
def _before(data: Bytes, at: int) -> int:
    """Where the character before a place begins."""
    at -= 1
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@njit(cache=True)
def _class_at(data: Bytes, at: int, classes: Flags) -> tuple[int, int]:
    """The flags of the character at a place, and its bytes."""
    byte = np.int64(data[at])
    if byte < 0x80:
        return np.int64(classes[byte]), 1
    code, width = _decode(data, at)
    return (np.int64(classes[code]) if code < TABLE_SIZE else IDEOGRAPH), width


@njit(cache=True)
def _decode(text: Bytes, position: int) -> tuple[int, int]:
    """The code point at `position` of valid UTF-8, and how many bytes it takes."""
    first = np.int64(text[position])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | np.int64(text[position + 1]) & 0x3F, 2
    second = np.int64(text[position + 1]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | np.int64(text[position + 2]) & 0x3F, 3
    third, fourth = np.int64(text[position + 2]) & 0x3F, np.int64(text[position + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4
