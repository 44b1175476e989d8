"""What a page's own style sheets hide: the classes and ids of simple rules, such as `.note, #ad
{display: none}`.

A browser decides by all rules, screen sizes and scripts. Here only what is plain counts: a rule
outside `@media` and the like, whose selector is one class or one id, of any tag or of one (`.note`,
`div.note`). A name that any rule of the page shows, for some screen or in some state, is not
hidden. If the sheets name more than there is room for, they hide nothing: the name that is left out
may be one that is shown.

Source: CSS Syntax Level 3, sections 5 and 9.
"""

from typing import Final

import numpy as np
from corpusmill.stages.columns.compiled import inlined, uncounted
from corpusmill.stages.extract.page.attribute_values import (
    HIDES,
    ID_HASH,
    SHOWS,
    declared_facts,
    of_tag,
)
from corpusmill.stages.extract.page.facts import DISPLAYS, UNDISPLAYED
from corpusmill.stages.extract.page.hashing import FNV_OFFSET, look_up, mix
from corpusmill.stages.extract.page.names import TAGS
from corpusmill.stages.extract.page.page import HIDDEN_NAMES, TOO_MANY, Page
from corpusmill.stages.extract.page.tags import is_letter, is_space, name_hash
from numpy.typing import NDArray

AT, OPEN, CLOSE, SEMICOLON, COMMA, SLASH, STAR, DOT, HASH, QUOTE, APOSTROPHE, BACKSLASH = (
    ord(sign) for sign in "@{};,/*.#\"'\\"
)
HYPHEN, UNDERSCORE, ZERO, NINE, LESS, GREATER, EXCLAMATION = (ord(sign) for sign in "-_09<>!")
ANY: Final = -1  # tag
LONGEST_BODY: Final = 2000  # bytes of a rule's declarations that are read


@uncounted
def read_style_sheet(page: Page, begin: int, end: int) -> None:
    """Note in `page.hidden_names` what the rules of data[begin:end] hide and show."""
    data = page.data
    place = selector = begin
    nested = 0  # open groups of rules
    while place < end:
        byte = data[place]
        if byte == SLASH and place + 1 < end and data[place + 1] == STAR:
            place = _after_comment(data, place + 2, end)
            continue
        if byte in (QUOTE, APOSTROPHE):
            place = _after_string(data, place, end)
            continue
        place += 1
        if byte == OPEN:
            while selector < place - 1 and _is_blank(data[selector]):
                selector += 1
            closing = _body_end(data, place, end)
            if data[selector] == AT or (closing < end and data[closing] == OPEN):
                nested += 1
            else:
                facts = declared_facts(data, place, min(closing, place + LONGEST_BODY))
                _note_rule(page, selector, place - 1, facts, nested == 0)
                place = closing + 1
            selector = place
        elif byte == CLOSE:
            nested = max(nested - 1, 0)
            selector = place
        elif byte == SEMICOLON:
            selector = place


@uncounted
def _after_comment(data: NDArray[np.uint8], place: int, end: int) -> int:
    while place + 1 < end and not (data[place] == STAR and data[place + 1] == SLASH):
        place += 1
    return place + 2


@uncounted
def _after_string(data: NDArray[np.uint8], place: int, end: int) -> int:
    quote = data[place]
    place += 1
    while place < end and data[place] != quote and data[place] != 10:
        place += 2 if data[place] == BACKSLASH else 1
    return place + 1


@uncounted
def _body_end(data: NDArray[np.uint8], place: int, end: int) -> int:
    """The place of the next brace that is in no string or comment."""
    while place < end and data[place] != CLOSE and data[place] != OPEN:
        if data[place] in (QUOTE, APOSTROPHE):
            place = _after_string(data, place, end)
        elif data[place] == SLASH and place + 1 < end and data[place + 1] == STAR:
            place = _after_comment(data, place + 2, end)
        else:
            place += 1
    return min(place, end)


@inlined
def _is_blank(byte: int) -> bool:
    """Whether a byte is white space, or of the signs of a comment of HTML around the rules."""
    return is_space(byte) or byte in (LESS, EXCLAMATION, HYPHEN, GREATER)


@uncounted
def _note_rule(page: Page, begin: int, end: int, facts: int, everywhere: bool) -> None:
    """Note what a rule says of the names in its selectors, data[begin:end]. everywhere: it stands
    in no group of rules.
    """
    if facts & UNDISPLAYED:
        if everywhere:
            _note_names(page, begin, end, HIDES)
    elif facts & DISPLAYS:
        _note_names(page, begin, end, SHOWS)


@uncounted
def _note_names(page: Page, begin: int, end: int, what: int) -> None:
    """Note the names in a list of selectors. HIDES counts only for a selector that is one name, and
    only for its tag if it has one.
    """
    data = page.data
    place = begin
    while place < end:
        while place < end and (is_space(data[place]) or data[place] == COMMA):
            place += 1
        first = place
        while place < end and data[place] != COMMA:
            place += 1
        last = place
        while last > first and is_space(data[last - 1]):
            last -= 1
        at = begin_of_name = first
        while at < last and data[at] not in (DOT, HASH):
            at += 1
        tag = look_up(TAGS, name_hash(data, first, at)) if at > first else ANY
        if tag >= 0:
            begin_of_name = at
        while at < last:
            if data[at] not in (DOT, HASH):
                at += 1
                continue
            code = ID_HASH if data[at] == HASH else FNV_OFFSET
            name = at
            at += 1
            while at < last and _in_name(data[at]):
                code = mix(code, data[at] | 32 if 65 <= data[at] <= 90 else data[at])
                at += 1
            if at > name + 1 and (what == SHOWS or (name == begin_of_name and at == last)):
                _note(page, of_tag(code, tag) if what == HIDES and tag >= 0 else code, what)


@inlined
def _in_name(byte: int) -> bool:
    return is_letter(byte) or ZERO <= byte <= NINE or byte in (HYPHEN, UNDERSCORE) or byte >= 0x80


@uncounted
def _note(page: Page, code: np.uint64, what: int) -> None:
    if page.state[HIDDEN_NAMES] == TOO_MANY:
        return
    keys, values = page.hidden_names
    mask = keys.size - 1
    place = np.int64(code & np.uint64(mask))
    while keys[place] != 0 and keys[place] != code:
        place = (place + 1) & mask
    if keys[place] == 0:
        if page.state[HIDDEN_NAMES] >= keys.size // 2:
            page.state[HIDDEN_NAMES] = TOO_MANY
            return
        page.state[HIDDEN_NAMES] += 1
        keys[place] = code
    values[place] |= what
