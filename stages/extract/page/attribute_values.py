"""What the values of a tag's attributes say: facts, regions, the element's kind and numbers.

`tags.read_attributes` has noted where the values lie (`page.spans`).
"""

import numpy as np
from corpusmill.stages.columns.compiled import inlined, merged, uncounted
from corpusmill.stages.extract.page.facts import (
    BEGINNINGS,
    CLASSES,
    CUT,
    DECLARATIONS,
    HIDDEN_CLASS,
    LOW,
    MAY_FOLLOW,
    NARROW,
    PREFIXES,
    SHOWN_CLASS,
    TRANSPARENT,
    UNDISPLAYED,
    UNTOUCHED,
    VALUE_ATTRIBUTES,
    VALUE_WORDS,
    VALUES,
)
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, look_up, mix, word_hash
from corpusmill.stages.extract.page.names import (
    CLASS,
    ID,
    WORD_REGIONS,
    attribute_number,
    tag_number,
)
from corpusmill.stages.extract.page.page import (
    HIDDEN_NAMES,
    LANGUAGE_BEGIN,
    LANGUAGE_END,
    Page,
)
from corpusmill.stages.extract.page.tags import EXCLAMATION, HYPHEN, is_letter, is_space
from numpy.typing import NDArray

COLON, SEMICOLON, PLUS = (ord(sign) for sign in ":;+")
STYLE = attribute_number("style")
IMG = tag_number("img")
WITH_VALUES = sum(1 << attribute_number(name) for name in VALUE_ATTRIBUTES)
LONGEST_VALUE = 1000  # only so many bytes of an attribute's value are read
HIDES, SHOWS = 1, 2  # what style sheets do to a name
ID_HASH = np.uint64(word_hash("#"))  # what the hash of an id begins with


@merged
def facts_of(page: Page, present: int, number: int) -> int:
    """What the attributes just read say, as bits (`facts`). number: of the tag.

    A class that names a programming language sets `state[LANGUAGE_BEGIN]` and its end.
    """
    facts, image = 0, number == IMG
    for row in range(VALUES.shape[0] if image or present & WITH_VALUES else 0):
        attribute = VALUES[row, 0]
        if present >> attribute & 1 and (attribute != CLASS or image):
            word = VALUE_WORDS[VALUES[row, 1] : VALUES[row, 2]]
            if _holds(page, attribute, word):
                facts |= VALUES[row, 3]
    if present >> STYLE & 1:
        begin = page.spans[STYLE, 0]
        end = min(page.spans[STYLE, 1], begin + LONGEST_VALUE)
        facts |= declared_facts(page.data, begin, end)
    if present >> CLASS & 1:
        facts |= _class_facts(page, number)
    if present >> ID & 1 and page.state[HIDDEN_NAMES] > 0:
        facts |= _id_facts(page, number)
    if facts & HIDDEN_CLASS and not facts & SHOWN_CLASS:
        facts |= UNDISPLAYED
    if (facts & NARROW and facts & LOW and facts & CUT) or (
        facts & TRANSPARENT and facts & UNTOUCHED
    ):
        facts |= UNDISPLAYED
    return facts


@uncounted
def declared_facts(data: NDArray[np.uint8], begin: int, end: int) -> int:
    """What declarations of style say, those of an attribute or of a rule."""
    facts, code, length = 0, FNV_OFFSET, -1  # length: of the value so far; -1 before the colon
    for place in range(begin, end + 1):
        byte = data[place] if place < end else np.uint8(SEMICOLON)
        if is_space(byte):
            continue
        if byte in (SEMICOLON, EXCLAMATION):
            found = look_up(DECLARATIONS, code)
            facts |= max(found, 0)
            code, length = FNV_OFFSET, -1
            continue
        code = mix(code, byte | 32 if 65 <= byte <= 90 else byte)
        if length >= 0:
            length += 1
        elif byte == COLON:
            length = 0
        if length in BEGINNINGS:
            found = look_up(DECLARATIONS, code)
            facts |= max(found, 0)
    return facts


@merged
def _class_facts(page: Page, number: int) -> int:
    """What the names of the `class` attribute say. It also looks for the name of a programming
    language: behind a prefix (`language-python`), or as the next name (`brush: python`).
    """
    begin = page.spans[CLASS, 0]
    end = min(page.spans[CLASS, 1], begin + LONGEST_VALUE)
    facts, code, name_begin, language, follows, named = 0, FNV_OFFSET, begin, begin, False, False
    some_hidden = page.state[HIDDEN_NAMES] > 0
    for place in range(begin, end + 1):
        byte = page.data[place] if place < end else np.uint8(32)
        if not is_space(byte):
            if byte in (HYPHEN, COLON) and look_up(PREFIXES, code) >= 0:
                language = place + 1
            code = mix(code, byte | 32 if 65 <= byte <= 90 else byte)
            continue
        if place > name_begin:
            found = max(look_up(CLASSES, code), 0)
            if some_hidden and _sheets_hide(page, code, number):
                facts |= UNDISPLAYED
            if language > name_begin and place > language:
                page.state[LANGUAGE_BEGIN], page.state[LANGUAGE_END] = language, place
                named = True
            elif follows and not named:
                page.state[LANGUAGE_BEGIN], page.state[LANGUAGE_END] = name_begin, place
            follows = found & MAY_FOLLOW != 0 or language == place
            facts |= found & ~MAY_FOLLOW
        code, name_begin = FNV_OFFSET, place + 1
        language = name_begin
    return facts


@merged
def _id_facts(page: Page, number: int) -> int:
    """UNDISPLAYED if a style sheet of the page hides the tag's id."""
    code = ID_HASH
    for place in range(
        page.spans[ID, 0], min(page.spans[ID, 1], page.spans[ID, 0] + LONGEST_VALUE)
    ):
        byte = page.data[place]
        code = mix(code, byte | 32 if 65 <= byte <= 90 else byte)
    return UNDISPLAYED if _sheets_hide(page, code, number) else 0


@merged
def _sheets_hide(page: Page, code: np.uint64, number: int) -> bool:
    """Whether style sheets hide a class or an id, or that of this tag (`div.note`)."""
    found = look_up(page.hidden_names, code)
    if found < 0:
        found = look_up(page.hidden_names, of_tag(code, number))
    return found == HIDES


@inlined
def of_tag(code: np.uint64, number: int) -> np.uint64:
    """The hash of a name that is meant for one tag only."""
    return code ^ np.uint64(number + 1) << np.uint64(48)


@uncounted
def whole_number(page: Page, attribute: int, otherwise: int) -> int:
    """The whole number that an attribute's value begins with. It has nine digits at most."""
    place, end = page.spans[attribute, 0], page.spans[attribute, 1]
    while place < end and is_space(page.data[place]):
        place += 1
    sign = 1
    if place < end and page.data[place] in (HYPHEN, PLUS):
        sign = -1 if page.data[place] == HYPHEN else 1
        place += 1
    value, first = 0, place
    while place < min(end, first + 9) and 48 <= page.data[place] <= 57:
        value = value * 10 + int(page.data[place]) - 48
        place += 1
    return sign * value if place > first else otherwise


@merged
def _holds(page: Page, attribute: int, word: NDArray[np.uint8]) -> int:
    """1 if the value holds the lower-case word, else 0. Spaces in the value do not count."""
    begin = page.spans[attribute, 0]
    end = min(page.spans[attribute, 1], begin + LONGEST_VALUE)
    for start in range(begin, end):
        place, matched = start, 0
        while place < end and matched < word.size:
            byte = page.data[place]
            place += 1
            if is_space(byte) and matched > 0:
                continue
            if (byte | 32 if 65 <= byte <= 90 else byte) != word[matched]:
                break
            matched += 1
        if matched == word.size:
            return 1
    return 1 if word.size == 0 else 0


@merged
def mark_words(page: Page, attribute: int, depth: int) -> None:
    """Begin the regions that the words of an attribute's value open, at this depth. A word ends
    before a capital (`postBody`) and before anything that is no letter.
    """
    begin = page.spans[attribute, 0]
    end = min(page.spans[attribute, 1], begin + LONGEST_VALUE)
    code, length, after_small = FNV_OFFSET, 0, False
    for place in range(begin, end + 1):
        byte = page.data[place] if place < end else np.uint8(32)
        letter = is_letter(byte)
        capital = letter and byte < 97
        if length > 0 and (not letter or (capital and after_small)):
            region = look_up(WORD_REGIONS, code)
            if region >= 0:
                page.stack_levels[depth, region] = 0
            code, length = FNV_OFFSET, 0
        if letter:
            code = mix(code, byte | 32)
            length += 1
        after_small = letter and not capital


@merged
def signature(page: Page, number: int, present: int, above: int) -> int:
    """A hash by which elements of one kind are alike: the tag, and the first word of its class, or
    else of its id, without digits. A tag without both is like tags in elements like its own parent.

    above: the parent's signature.
    """
    code = mix(FNV_OFFSET, np.uint8(number))
    attribute = CLASS if present >> CLASS & 1 else ID
    letters = 0
    if present >> attribute & 1:
        begin, end = page.spans[attribute, 0], page.spans[attribute, 1]
        for place in range(begin, min(end, begin + LONGEST_VALUE)):
            byte = page.data[place]
            if is_space(byte) and letters > 0:
                break
            if not (48 <= byte <= 57 or is_space(byte)):
                code = mix(code, byte)
                letters += 1
    if letters == 0:
        code = mix(code ^ np.uint64(above), np.uint8(1))
    return int((code ^ code >> np.uint64(32)) & np.uint64(0x7FFFFFFF))
