"""Character references, against Python's `html.unescape`."""

import html
import html.entities

import numpy as np
import pytest
from corpusmill.stages.extract.page.entities import decode_reference, encode
from hypothesis import given, settings
from hypothesis import strategies as st


def decoded(reference: str) -> tuple[int, str]:
    """How many bytes the reference at the text's beginning takes, and the characters for it."""
    data, buffer = np.frombuffer(reference.encode(), np.uint8), np.zeros(8, np.uint8)
    taken, written = decode_reference(data, 0, data.size, buffer)
    return taken, buffer[:written].tobytes().decode()


def test_every_name_of_the_standard():
    wrong = {
        name: decoded(f"&{name} ")
        for name, character in html.entities.html5.items()
        if decoded(f"&{name} ") != (len(name) + 1, character)
    }
    assert wrong == {}


def allowed(code: int) -> bool:
    """Whether Python keeps this code point. It leaves out controls and noncharacters, but the
    standard keeps their number.
    """
    control = code < 0x20 or 0x7F <= code < 0xA0
    noncharacter = 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
    return not (control or noncharacter)


@settings(deadline=None)
@given(st.integers(1, 0x11FFFF).filter(allowed), st.booleans(), st.booleans())
def test_numbers(code, hexadecimal, semicolon):
    text = (f"&#x{code:X}" if hexadecimal else f"&#{code}") + ";" * semicolon
    assert decoded(text + " ") == (len(text), html.unescape(text))


@pytest.mark.parametrize("text", ["&", "& ", "&;", "&nil;", "&#;", "&#x;", "&#xg;", "&1;"])
def test_what_is_no_reference_takes_nothing(text):
    assert decoded(text) == (0, "")


@pytest.mark.parametrize(
    ("text", "character"), [("&#0;", "\ufffd"), ("&#xD800;", "\ufffd"), ("&#x80;", "€")]
)
def test_numbers_that_are_no_character(text, character):
    assert decoded(text)[1] == character


@settings(deadline=None)
@given(st.characters(codec="utf-8"))
def test_code_points_are_written_as_utf_8(character):
    buffer = np.zeros(8, np.uint8)
    assert buffer[: encode(ord(character), buffer)].tobytes() == character.encode()
