"""Candidates for personal data: no real data is missed, and ordinary text has no candidates."""

import re

import numpy as np
import pytest
from corpusmill.stages.redact.candidates import (
    CARD,
    EMAIL,
    IBAN,
    IP,
    NATIONAL_ID,
    PHONE,
    find_candidates,
    room_for,
)
from hypothesis import given, settings
from hypothesis import strategies as st

ITEMS = [
    (EMAIL, "jane.doe+list@mail.example.org", "@"),
    (EMAIL, "jane (at) example.org", "(at)"),
    (IP, "8.8.4.4", "8.8.4.4"),
    (IP, "2001:db8:0:0:8:800:200c:417a", "2001:db8:0:0:8:800:200c:417a"),
    (IP, "2001:db8::1", "2001:db8::1"),
    (PHONE, "+49 (40) 123-4567", "+49 (40) 123-4567"),
    (PHONE, "(555) 123 4567", "(555) 123 4567"),
    (CARD, "4111 1111 1111 1111", "4111 1111 1111 1111"),
    (IBAN, "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
    (NATIONAL_ID, "123-45-6789", "123-45-6789"),
    (NATIONAL_ID, "AB 12 34 56 C", "AB 12 34 56 C"),
    (NATIONAL_ID, "131052A308T", "131052A308T"),
    (NATIONAL_ID, "X1234567L", "X1234567L"),
]
FILLING = st.lists(
    st.sampled_from(
        ["word ", "é ", "漢 ", "Two words, ", "(a) ", "x@ ", "@ ", "v2 ", "3.14 ", "\n"]
    ),
    max_size=6,
).map("".join)


def candidates(*texts):
    """Text, kind and bytes of each candidate, in order."""
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(encoded) or b" ", np.uint8)
    offsets = np.cumsum([0, *map(len, encoded)])
    room = room_for(data.size)
    kinds, rows, begins, ends = np.zeros(room, np.uint8), *np.zeros((3, room), np.int64)
    count = find_candidates(data, offsets, kinds, rows, begins, ends)
    whole = b"".join(encoded)
    return [
        (int(rows[i]), int(kinds[i]), whole[begins[i] : ends[i]].decode()) for i in range(count)
    ]


@settings(deadline=None)
@given(FILLING, st.sampled_from(ITEMS), FILLING)
def test_an_item_is_a_candidate_wherever_it_stands(before, item, after):
    kind, text, found = item
    items = candidates(before + text + " " + after)
    assert any(each == kind and found in place for _, each, place in items)


def test_a_card_behind_a_decimal_is_a_candidate():
    assert any(kind == CARD for _, kind, _ in candidates("3.14 4111 1111 1111 1111 "))


@settings(deadline=None)
@given(st.lists(st.text(alphabet="aé_+-@ .", max_size=12), max_size=3))
def test_an_at_sign_between_two_name_characters_is_a_candidate(texts):
    expected = [
        (row, EMAIL, "@")
        for row, text in enumerate(texts)
        for _ in re.finditer("(?<=[aé_+-])@(?=[aé_+-])", text)
    ]
    assert candidates(*texts) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Plain words, and nothing else.",
        "In 1914 and 1918, 12 of 15; 3.14159 is pi.",
        "version 1.2.3",
        "256.1.1.1",
        "a@ b @c",
        "(or) [a]",
        "AB12 too short",
        "x4111111111111111",
        "4111 1111 1111 1112",
    ],
)
def test_ordinary_text_has_no_candidates_of_cards_addresses_or_ibans(text):
    assert [kind for _, kind, _ in candidates(text) if kind not in (PHONE, NATIONAL_ID)] == []


def test_an_item_does_not_reach_into_the_next_text():
    assert candidates("8.8.", "4.4") == []
    assert candidates("jane@", "example.org") == []


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["4", "5", "22", "5555", "AB", "A1", " ", "-", "(", ")"]), max_size=80)
)
def test_there_is_room_for_the_candidates_of_any_text(parts):
    text = "".join(parts)
    assert len(candidates(text)) <= room_for(len(text))
