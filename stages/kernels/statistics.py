"""The kernel that measures documents: a walk over the bytes for words, one for lines and paragraphs, then the repeated n-grams.

Words are kept as 64-bit hashes (FNV-1a over code points; that two words of a document with a hundred thousand of them collide has a
probability of about 10**-9). N-grams are found level by level: a run of n words can only occur twice if both its runs of n - 1
words do, so each level looks at the survivors of the one before, and names an n-gram exactly by the pair of them. Most text has
few survivors past the trigrams, so ten levels cost about as much as two.

It is one file, if a long one, because numba looks at this file alone when it decides whether its compiled code still holds.

Definitions: `stages.filter.statistics`; thresholds: `stages.filter.rules`.
"""

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stages.kernels.characters import LAYOUT

Bytes: TypeAlias = NDArray[np.uint8]
Keys: TypeAlias = NDArray[np.uint64]
Integers: TypeAlias = NDArray[np.int64]
Row: TypeAlias = NDArray[np.float64]

# numba keeps compiled code until this file changes, so every value that is compiled in stands in this file.
SPACE, SYMBOL, LETTER, DIGIT, MARK, IDEOGRAPH, KIND = 0, 1, 2, 3, 4, 5, 7
TERMINAL, CLOSER, BULLET, UPPER, JOINER, TABLE_SIZE = 8, 16, 32, 64, 128, 0x20000
_KINDS = (SPACE, SYMBOL, LETTER, DIGIT, MARK, IDEOGRAPH, KIND)
assert (*_KINDS, TERMINAL, CLOSER, BULLET, UPPER, JOINER, TABLE_SIZE) == LAYOUT, "the table of characters has changed"

ORDER = (  # of the statistics in the kernel's output
    *("characters", "words", "symbols", "mean_word_length", "longest_word", "alphabetic_word_ratio"),
    *("alphabetic_token_ratio", "hash_ratio", "ellipsis_ratio", "stop_words", "sentences", "lines"),
    *("bullet_line_ratio", "ellipsis_line_ratio", "punctuation_line_ratio", "short_line_ratio", "newline_ratio"),
    *("duplicate_line_ratio", "duplicate_line_character_ratio"),
    *("duplicate_paragraph_ratio", "duplicate_paragraph_character_ratio"),
    *("lorem_ipsum", "curly_brackets"),
    *("whitespace_ratio", "digit_ratio", "uppercase_ratio", "symbol_character_ratio"),
    *("top_2_gram_ratio", "top_3_gram_ratio", "top_4_gram_ratio"),
    *(f"duplicate_{n}_gram_ratio" for n in (5, 6, 7, 8, 9, 10)),
)
(CHARACTERS, WORDS, SYMBOLS, MEAN_WORD_LENGTH, LONGEST_WORD, ALPHABETIC_PARTS) = range(6)
(ALPHABETIC_TOKENS, HASH_RATIO, ELLIPSIS_RATIO, STOP_WORDS, SENTENCES, LINES) = range(6, 12)
(BULLET_LINES, ELLIPSIS_LINES, PUNCTUATION_LINES, SHORT_LINES, NEWLINE_RATIO) = range(12, 17)
DUPLICATE_LINES, DUPLICATE_LINE_CHARACTERS, DUPLICATE_PARAGRAPHS, DUPLICATE_PARAGRAPH_CHARACTERS = range(17, 21)
(LOREM_IPSUM, CURLY_BRACKETS, WHITESPACE, DIGITS, UPPERCASE, SYMBOL_CHARACTERS) = range(21, 27)
TOP, DUPLICATE = 27, 30  # the first of three, and of six

NEWLINE, FULL_STOP, COMMA, HASH_SIGN, CURLY, ELLIPSIS = (ord(sign) for sign in "\n.,#{…")
SHORT_LINE = 30  # characters; FineWeb
FIRST_TOP, LAST_TOP, FIRST_DUPLICATE, LAST_DUPLICATE = 2, 4, 5, 10
OFFSET_BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: spreads keys over a table (Knuth 6.4)
LOREM, IPSUM = np.uint64(int.from_bytes(b"lorem", "big")), np.uint64(int.from_bytes(b"ipsum", "big"))


@njit(cache=True)
def measure_texts(
    data: Bytes,
    offsets: Integers,
    classes: Bytes,
    stop_words: Keys,
    out: NDArray[np.float64],
) -> None:
    """Fill `out` (statistics x texts, in the order of ORDER, zero on entry).

    data, offsets: the UTF-8 bytes of all texts and where each begins. classes: `characters.character_table()`.
    stop_words: at most 64, packed by `stages.filter.statistics.pack_stop_words`.
    """
    largest = 0
    for document in range(offsets.size - 1):
        largest = max(largest, offsets[document + 1] - offsets[document])
    # As many as there could be; memory that no document reaches is never touched, so never really taken.
    words = np.empty(largest, np.uint64)  # hash of each word
    reach = np.empty(largest + 1, np.int64)  # characters in the words before each word
    lines = np.empty(largest, np.uint64)  # hash of each line, then of each paragraph
    lengths = np.empty(largest, np.int64)
    paragraphs = np.empty(largest, np.uint64)
    paragraph_lengths = np.empty(largest, np.int64)
    for document in range(offsets.size - 1):
        row = out[:, document]
        text = data[offsets[document] : offsets[document + 1]]
        n_words = _walk_words(text, classes, stop_words, words, reach, row)
        n_lines, n_paragraphs = _walk_lines(text, classes, lines, lengths, paragraphs, paragraph_lengths, row)
        row[NEWLINE_RATIO] = _ratio(max(n_lines - 1, 0), row[WORDS] + row[SYMBOLS])
        line_characters = lengths[:n_lines].sum()
        repeated, repeated_characters = _repeats(lines[:n_lines], lengths)
        row[DUPLICATE_LINES] = _ratio(repeated, n_lines)
        row[DUPLICATE_LINE_CHARACTERS] = _ratio(repeated_characters, line_characters)
        repeated, repeated_characters = _repeats(paragraphs[:n_paragraphs], paragraph_lengths)
        row[DUPLICATE_PARAGRAPHS] = _ratio(repeated, n_paragraphs)
        row[DUPLICATE_PARAGRAPH_CHARACTERS] = _ratio(repeated_characters, line_characters)
        _measure_ngrams(words[:n_words], reach, row)


@njit(cache=True)
def _walk_words(text: Bytes, classes: Bytes, stop_words: Keys, words: Keys, reach: Integers, row: Row) -> int:
    """Cut the text into words and symbols, measure them and the characters into `row`; returns the number of words."""
    n_words = n_symbols = longest = alphabetic = hash_signs = ellipses = curly = lorem_ipsum = 0
    parts = alphabetic_parts = 0  # what stands between white space
    in_part = part_has_letter = False
    n_characters = whitespace = digits = letters = uppercase = symbol_characters = 0
    stops_seen = np.uint64(0)
    kind_open = SPACE  # of the token being read: SPACE is none, LETTER a word
    code_open = last_kind = length = n_bytes = 0
    has_letter = False
    token, packed, packed_before = OFFSET_BASIS, np.uint64(0), np.uint64(0)
    reach[0] = 0
    position, end = 0, text.size
    while position <= end:
        if position == end:  # one line feed past the end closes what is open
            code, width = NEWLINE, 1
        else:
            code, width = _decode(text, position)
            n_characters += 1
        about = _class_of(code, classes)
        kind = about & KIND

        goes_on = False
        if kind_open == LETTER:
            goes_on = kind in (LETTER, DIGIT, MARK)
            if not goes_on and about & JOINER and position + width < end:
                next_kind = _class_of(_decode(text, position + width)[0], classes) & KIND
                goes_on = next_kind == DIGIT or (next_kind == LETTER and code != COMMA)
                if code == COMMA and last_kind != DIGIT:
                    goes_on = False
        elif kind_open != SPACE:
            goes_on = kind == MARK or (kind_open == SYMBOL and code == code_open)

        if kind_open != SPACE and not goes_on:
            if kind_open == SYMBOL:
                n_symbols += 1
                hash_signs += code_open == HASH_SIGN
                ellipses += code_open == ELLIPSIS or (code_open == FULL_STOP and length >= 3)
                packed_before = np.uint64(0)
            else:
                words[n_words] = token
                reach[n_words + 1] = reach[n_words] + length
                n_words += 1
                longest = max(longest, length)
                alphabetic += has_letter
                if n_bytes > 8:
                    packed = np.uint64(0)
                for stop in range(stop_words.size):
                    if stop_words[stop] == packed:
                        stops_seen |= np.uint64(1) << np.uint64(stop)
                lorem_ipsum += packed == IPSUM and packed_before == LOREM
                packed_before = packed
            kind_open = SPACE
        if not goes_on and kind != SPACE and kind != MARK:
            kind_open = LETTER if kind == DIGIT else kind
            code_open = code
            length = n_bytes = 0
            has_letter = False
            token, packed = OFFSET_BASIS, np.uint64(0)
        if kind_open != SPACE:
            token = (token ^ np.uint64(code)) * PRIME
            length += 1
            n_bytes += width
            has_letter |= kind in (LETTER, IDEOGRAPH)
            if width == 1:
                packed = (packed << np.uint64(8)) | np.uint64(code + 32 if about & UPPER else code)
            elif n_bytes <= 8:
                for byte in range(position, position + width):
                    packed = (packed << np.uint64(8)) | np.uint64(text[byte])
        if kind != MARK:
            last_kind = kind

        if kind == SPACE:
            whitespace += position < end
            in_part = part_has_letter = False
        else:
            parts += not in_part
            in_part = True
            if not part_has_letter and kind in (LETTER, IDEOGRAPH):
                part_has_letter = True
                alphabetic_parts += 1
        if kind == SYMBOL:
            symbol_characters += 1
            curly += code == CURLY
        elif kind == DIGIT:
            digits += 1
        elif kind in (LETTER, IDEOGRAPH):
            letters += 1
            uppercase += (about & UPPER) != 0
        position += width

    row[CHARACTERS], row[WORDS], row[SYMBOLS], row[LONGEST_WORD] = n_characters, n_words, n_symbols, longest
    row[LOREM_IPSUM], row[CURLY_BRACKETS] = lorem_ipsum, curly
    while stops_seen:
        row[STOP_WORDS] += 1
        stops_seen &= stops_seen - np.uint64(1)
    row[MEAN_WORD_LENGTH] = _ratio(reach[n_words], n_words)
    row[ALPHABETIC_PARTS] = _ratio(alphabetic_parts, parts)
    row[ALPHABETIC_TOKENS] = _ratio(alphabetic, n_words + n_symbols)
    row[HASH_RATIO] = _ratio(hash_signs, n_words)
    row[ELLIPSIS_RATIO] = _ratio(ellipses, n_words)
    row[WHITESPACE] = _ratio(whitespace, n_characters)
    row[DIGITS] = _ratio(digits, n_characters)
    row[UPPERCASE] = _ratio(uppercase, letters)
    row[SYMBOL_CHARACTERS] = _ratio(symbol_characters, n_characters)
    return n_words


@njit(cache=True)
def _walk_lines(
    text: Bytes,
    classes: Bytes,
    lines: Keys,
    lengths: Integers,
    paragraphs: Keys,
    paragraph_lengths: Integers,
    row: Row,
) -> tuple[int, int]:
    """Cut the text into lines and paragraphs, measure them and the sentences into `row`; returns how many of the two there are."""
    n_lines = n_paragraphs = bullets = ellipsis_ends = terminal_ends = short = sentences = 0
    length = n_read = full_stops = 0  # of the line: stripped, and with what white space follows; full stops at its end
    line, line_read = OFFSET_BASIS, OFFSET_BASIS
    ends_terminal = ends_ellipsis = False
    paragraph, paragraph_length = OFFSET_BASIS, 0
    sentence_open = sentence_ended = False
    run = 0  # letters and numbers just before this character
    position, end = 0, text.size
    while position <= end:
        if position == end:
            code, width = NEWLINE, 1
        else:
            code, width = _decode(text, position)
        about = _class_of(code, classes)
        kind = about & KIND

        # A sentence ends at terminal punctuation, perhaps closing quotes and brackets, then white space; but not
        # at the full stop of a lone letter or digit (an initial, "U.S.", "e.g.", the number of a list item).
        if kind == SPACE:
            if sentence_open and (sentence_ended or code == NEWLINE):
                sentences += 1
                sentence_open = False
            sentence_ended = False
            run = 0
        elif kind == SYMBOL:
            if about & TERMINAL:
                sentence_ended = not (code == FULL_STOP and run == 1)
            elif not about & CLOSER:
                sentence_ended = False
            run = 0
        elif kind != MARK:
            sentence_open = True
            sentence_ended = False
            run += 1

        if code != NEWLINE:
            if kind != SPACE or n_read > 0:
                bullets += n_read == 0 and (about & BULLET) != 0
                n_read += 1
                line_read = (line_read ^ np.uint64(code)) * PRIME
                full_stops = full_stops + 1 if code == FULL_STOP else 0
                if kind != SPACE:
                    line, length = line_read, n_read
                    ends_ellipsis = code == ELLIPSIS or full_stops >= 3
                    ends_terminal = (about & TERMINAL) != 0
        else:
            if length > 0:
                lines[n_lines], lengths[n_lines] = line, length
                n_lines += 1
                ellipsis_ends += ends_ellipsis
                terminal_ends += ends_terminal
                short += length <= SHORT_LINE
                paragraph = (paragraph ^ line) * PRIME
                paragraph_length += length
            if paragraph_length > 0 and (length == 0 or position == end):
                paragraphs[n_paragraphs], paragraph_lengths[n_paragraphs] = paragraph, paragraph_length
                n_paragraphs += 1
                paragraph, paragraph_length = OFFSET_BASIS, 0
            length = n_read = full_stops = 0
            line, line_read = OFFSET_BASIS, OFFSET_BASIS
            ends_terminal = ends_ellipsis = False
        position += width

    row[SENTENCES], row[LINES] = sentences, n_lines
    row[BULLET_LINES] = _ratio(bullets, n_lines)
    row[ELLIPSIS_LINES] = _ratio(ellipsis_ends, n_lines)
    row[PUNCTUATION_LINES] = _ratio(terminal_ends, n_lines)
    row[SHORT_LINES] = _ratio(short, n_lines)
    return n_lines, n_paragraphs


@njit(cache=True)
def _measure_ngrams(words: Keys, reach: Integers, row: Row) -> None:
    """Top and duplicate n-gram ratios into `row`. reach: characters in the words before each word."""
    count = words.size
    survivors = np.arange(count)  # positions whose n-gram occurs more than once
    grams = np.empty(count + 1, np.int64)  # there: the n-gram's name, equal for equal n-grams; elsewhere -1
    keys = np.empty(count, np.uint64)
    names = np.empty(count, np.int64)  # by candidate: the first candidate with the same n-gram
    times = np.empty(count, np.int64)  # by name
    slots = np.empty(_table_size(count), np.int64)
    left = count
    for n in range(1, LAST_DUPLICATE + 1):
        candidates = 0
        for index in range(left):
            position = survivors[index]
            if n == 1:
                keys[candidates] = words[position]
            elif position + n <= count and grams[position + 1] >= 0:
                # An n-gram is the pair of the (n - 1)-grams at its first and at its second word.
                keys[candidates] = (np.uint64(grams[position]) << np.uint64(32)) | np.uint64(grams[position + 1])
            else:
                grams[position] = -1
                continue
            grams[position] = -1
            survivors[candidates] = position
            candidates += 1
        if candidates == 0:
            return
        _name(keys[:candidates], slots, names, times)

        if FIRST_TOP <= n <= LAST_TOP:
            most, where = 1, 0
            for index in range(candidates):
                if times[names[index]] > most:
                    most, where = times[names[index]], survivors[index]
            if most > 1:  # n words written with n - 1 spaces
                row[TOP + n - FIRST_TOP] = most * (reach[where + n] - reach[where] + n - 1) / row[CHARACTERS]
        elif n >= FIRST_DUPLICATE:
            seen = np.zeros(candidates, np.bool_)
            repeated_characters = beyond = 0  # a repeated run is counted once: the search goes on beyond it
            for index in range(candidates):
                position, name = survivors[index], names[index]
                if position < beyond:
                    continue
                if seen[name]:
                    repeated_characters += reach[position + n] - reach[position]
                    beyond = position + n
                seen[name] = True
            row[DUPLICATE + n - FIRST_DUPLICATE] = repeated_characters / row[CHARACTERS]

        left = 0
        for index in range(candidates):
            if times[names[index]] > 1:
                grams[survivors[index]] = names[index]
                survivors[left] = survivors[index]
                left += 1


@njit(cache=True)
def _repeats(hashes: Keys, lengths: Integers) -> tuple[int, int]:
    """How many of the items occurred before, and the sum of their lengths."""
    count = hashes.size
    names, times = np.empty(count, np.int64), np.empty(count, np.int64)
    _name(hashes, np.empty(_table_size(count), np.int64), names, times)
    repeated = characters_in_them = 0
    for index in range(count):
        if names[index] != index:
            repeated += 1
            characters_in_them += lengths[index]
    return repeated, characters_in_them


@njit(cache=True)
def _name(keys: Keys, slots: Integers, names: Integers, times: Integers) -> None:
    """Name every key by the first index with an equal key, and count how many share each name.

    slots: scratch of at least `_table_size(keys.size)`. names, times: filled up to keys.size; `times` only at names.
    """
    size = _table_size(keys.size)
    slots[:size] = -1
    mask, shift = size - 1, np.uint64(64)
    while size > 1:
        size >>= 1
        shift -= np.uint64(1)
    for index in range(keys.size):
        slot = np.int64((keys[index] * SPREAD) >> shift)
        while slots[slot] >= 0 and keys[slots[slot]] != keys[index]:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            slots[slot] = index
            times[index] = 0
        names[index] = slots[slot]
        times[slots[slot]] += 1


@njit(cache=True)
def _table_size(count: int) -> int:
    """The power of two that holds `count` keys at most half full."""
    size = 2
    while size < 2 * count:
        size *= 2
    return size


@njit(cache=True)
def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


@njit(cache=True)
def _decode(text: Bytes, position: int) -> tuple[int, int]:
    """The code point at `position` of valid UTF-8, and how many bytes it takes."""
    first = int(text[position])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | int(text[position + 1]) & 0x3F, 2
    second = int(text[position + 1]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | int(text[position + 2]) & 0x3F, 3
    third, fourth = int(text[position + 2]) & 0x3F, int(text[position + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4


@njit(cache=True)
def _class_of(code: int, classes: Bytes) -> int:
    """Kind and flags of a code point: planes 2 and 3 are ideographs, what lies above them format characters."""
    if code < TABLE_SIZE:
        return int(classes[code])
    return IDEOGRAPH if code < 0x40000 else MARK
