"""The kernels that find parts and lines by comparing 64 bytes at a time, against Python's strings.
Most cases lie where 64 bytes end.
"""

from unicodedata import category

import numpy as np
import pyarrow as pa
import pytest
from corpusmill.stages.filter.line_edits import PHRASES
from corpusmill.stages.filter.measure.english import exceptions
from corpusmill.stages.filter.measure.marks import (
    CONTINUATIONS,
    HARD,
    MARKED,
    MIXED,
    WIDE,
)
from corpusmill.stages.filter.measure.token_hash import hash_of
from corpusmill.stages.filter.measure.wide_bytes import bytes_within
from corpusmill.stages.filter.measuring import measure
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.stages.filter.measure.marked import Marked
from tests.stages.filter.measure.plain_statistics import is_letter, is_space, parts_of, plain

MARKS = ",.:;!?)"
PIECES = [
    "a",
    "Z",
    "word",
    "Mr",
    "im",
    "e.g.",
    "nine-letters",
    "ninelettersandmore",
    ".",
    ",",
    ")",
    "(",
    "#",
    "7",
    "\x00",
    "\x7f",
]
PIECES += [
    "é",
    "É",
    "ß",
    "—",
    "“",
    "日本",
    "𠀀",
    "😀",
    "²",
    "e\u0301",
    "\u200b",
    "a" * 61,
    "b" * 62 + ".",
    "é" * 31,
    "word " * 12,
]
SPACES = [" ", "\n", "\t", "\r\n", "\u0085", "\u00a0", "\u2028", "\u2029", "\u3000"]
TEXTS = st.lists(st.sampled_from(PIECES + SPACES * 2), max_size=40).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=5))
@example(["a" * 64, "b" * 63, "c" * 65, "", "d"])
@example(
    [
        "a" * 62 + "é",
        "a" * 63 + "é b",
        "a" * 63 + "\u2028b",
        "a" * 62 + "\u2028b",
        "a" * 63 + "\u0085b",
    ]
)
@example(
    ["a" * 63 + ". b", "a" * 62 + ". b", "a " * 32, " a" * 32, "a" * 62 + "A. b", "a" * 63 + "A. b"]
)
@example(
    [
        "7" + "a" * 62 + " b",
        "7" + "a" * 63 + " b",
        "7" + "a" * 127 + " b",
        "a" * 128 + "7 b",
        "é" * 64 + " b",
    ]
)
def test_parts_lines_and_bits_are_those_of_python(texts):
    marked = Marked(texts)
    expected = [part for text in texts for part in parts_of(text)]
    assert [marked.part(index) for index in range(marked.n_parts)] == expected
    lines = [line for text in texts for line in text.split("\n")]
    found = [
        marked.data[begin:end].tobytes().decode() for begin, end in marked.lines[:2, : len(lines)].T
    ]
    assert found == lines
    assert marked.lines[3, : len(lines)].tolist() == [
        len(line.encode()) - len(line) for line in lines
    ]
    assert np.diff(marked.lines[2, : len(lines) + 1]).tolist() == [
        len(parts_of(line)) for line in lines
    ]
    assert marked.longest.tolist() == [max(map(len, parts_of(text)), default=0) for text in texts]
    for index, part in enumerate(expected):
        end = int(marked.edges[2 * index + 1])
        is_marked = len(part) > 1 and part[-1] in MARKS
        core = part[:-1] if is_marked else part
        plain_word = (
            core.isascii() and core.isalpha() and not (part[-1] == "." and part[-2:-1].isupper())
        )
        assert marked.bit(MARKED, end) == is_marked
        assert marked.bit(HARD, end) == (not plain_word)
        assert marked.bit(WIDE, end) == (not part.isascii())
        assert marked.bit(MIXED, end) == (not all(map(is_letter, part)))
        assert marked.hashes[index] == hash_of(core.encode())
        may_be_exception = part in exceptions() or core in exceptions()
        assert index in marked.hard or (plain_word and not may_be_exception)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_counts_of_characters_are_those_of_python(texts):
    counts = Marked(texts).counts
    for index, text in enumerate(texts):
        assert counts[0, index] == len(text)
        assert counts[1, index] == sum(not is_space(character) for character in text)
        assert counts[3, index] == sum(category(character)[0] == "N" for character in text)
        assert counts[4, index] == sum(
            not is_space(character) and category(character)[0] not in "LN" for character in text
        )
        assert counts[5, index] == sum(any(map(is_letter, part)) for part in parts_of(text))
        assert counts[6, index] == text.count("(") + text.count(")")
        assert counts[7, index] == text.count("#")


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_continuation_bits_are_the_bytes_that_begin_no_character(text):
    marked = Marked([text])
    expected = [byte & 0xC0 == 0x80 for byte in text.encode()]
    assert [marked.bit(CONTINUATIONS, place) for place in range(len(expected))] == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS.map(lambda text: text.replace("\n", " ")), max_size=8))
@example(["a(", "a()", "a().", "a.)"])
@example(["a ..", "a . ", "a .", ".. a", ". a "])
@example(["a. b,", "a, b.", "a . b,", "a.b ,", "word " * 100, "word " * 99 + "words"])
@example(["http://a.org/a/very/long/address/1", "http://a.org/a/very/long/address/2"])
def test_two_lines_have_the_same_hash_where_their_parts_and_length_are_the_same(lines):
    hashes = Marked(["\n".join(lines)]).line_hashes
    keys = [(tuple(parts_of(line)), len(line.encode())) for line in lines]
    for one in range(len(lines)):
        for other in range(one):
            assert (hashes[one] == hashes[other]) == (keys[one] == keys[other])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 70),
    st.lists(st.sampled_from(PIECES + SPACES), max_size=6).map("".join),
    st.sampled_from(["a", "é", " "]),
)
def test_statistics_do_not_depend_on_where_64_bytes_end(pushed, text, filling):
    text = filling * pushed + text
    measured = measure(pa.chunked_array([[text]])).measured
    expected, _ = plain(text)
    different = {
        name: value
        for name, value in expected.items()
        if name != "stop_words" and measured[name][0].item() != pytest.approx(value, rel=1e-6)
    }
    assert not different


def test_a_word_beside_white_space_beyond_ascii_is_cut_as_beside_a_space():
    """`im` is an exception of the tokenizer: two tokens."""
    measured = measure(pa.chunked_array([["a im", "a\u00a0im", "a\u3000im"]])).measured
    assert measured["tokens"].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("first", "count"), [(0, 33), (ord("a"), 26), (0x80, 0x40), (0x80, 0x80), (10, 1)]
)
def test_bytes_within_compares_every_byte(first, count):
    from corpusmill.stages.columns.compiled import njit

    compare = njit(lambda data, position, first, count: bytes_within(data, position, first, count))
    data = np.arange(256 + 64, dtype=np.int64).astype(np.uint8)
    for position in range(0, 256, 7):
        expected = sum(
            (first <= int(byte) < first + count) << place
            for place, byte in enumerate(data[position : position + 64])
        )
        assert compare(data, position, first, count) == expected


@pytest.mark.parametrize("phrase", [phrase for phrase, _, _ in PHRASES])
@pytest.mark.parametrize("before", [0, 1, 58, 61, 62, 63])
def test_every_phrase_is_found_wherever_it_stands(phrase, before):
    from corpusmill.stages.filter.measure.furniture import LETTERS, look_over

    data = np.zeros(512, np.uint8)
    for text in (phrase, phrase.upper()):
        data[before : before + len(text)] = np.frombuffer(text.encode(), np.uint8)
        groups = np.zeros(8, np.uint8)
        look_over(data, 256, groups)
        assert groups[: (before + len(text) - 1) // 64 + 1].max() & LETTERS
