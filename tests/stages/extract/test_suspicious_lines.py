"""Which lines text repair looks at, against the rule of pairs in plain Python."""

import numpy as np
import pytest
from corpusmill.stages.extract.suspicious_lines import (
    ALONE,
    LETTER,
    OPEN,
    STARTER,
    SUSPECT,
    TABLE_SIZE,
    find_suspicious_lines,
)
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = {
    "Ã": STARTER | OPEN,
    "é": SUSPECT | LETTER,
    "ß": SUSPECT | LETTER,
    "€": SUSPECT,
    "\x07": ALONE,
}
CLASSES = np.zeros(TABLE_SIZE, np.uint8)
for character, kind in KINDS.items():
    CLASSES[ord(character)] = kind
TEXTS = st.text(alphabet="a \n&;#x漢😀\U0002f801" + "".join(KINDS), max_size=30)


def found(text, entities=True, room=99):
    """The suspicious lines, line feeds included."""
    data, begins, ends = np.frombuffer(text.encode(), np.uint8), *np.zeros((2, room), np.int64)
    count = find_suspicious_lines(data, CLASSES, entities, begins, ends)
    return [data[begins[i] : ends[i]].tobytes().decode() for i in range(count)]


def is_suspicious(line, entities):
    """Whether a line has two neighbours that look like mojibake, a character that is suspicious
    alone, or an entity.
    """
    before = 0
    for place, character in enumerate(line):
        this = KINDS.get(character, ALONE if character == "\U0002f801" else 0)
        if this & ALONE:
            return True
        if character < "\x80":
            name = line[place + 1 :].split(";")[0]
            is_entity = ";" in line[place + 1 :] and 0 < len(name) <= 25
            is_entity = is_entity and all(c in "ax#" for c in name)
            if before & OPEN and character != "a" and character != "x":
                return True
            if character == "&" and entities and is_entity:
                return True
        elif before & (STARTER | OPEN) or (
            this & SUSPECT and before & SUSPECT and not this & before & LETTER
        ):
            return True
        before = this
    return bool(before & OPEN) and not line.endswith("\n")


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.booleans())
def test_the_lines_are_those_of_the_rule(text, entities):
    lines = text.split("\n")
    lines = [line + "\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]
    assert found(text, entities) == [line for line in lines if is_suspicious(line, entities)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("plain\ncafé\n", []),
        ("one\nÃ©\nthree", ["Ã©\n"]),
        ("a&x;b", ["a&x;b"]),
        ("a & b; c", []),
        ("é€", ["é€"]),
        ("éß", []),
    ],
)
def test_examples(text, lines):
    assert found(text) == lines


def test_where_the_room_ends_the_last_line_reaches_to_the_end():
    assert found("\x07\n\x07\nplain", room=1) == ["\x07\n\x07\nplain"]
