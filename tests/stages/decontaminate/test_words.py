"""Words: what re-cased and re-punctuated texts share."""

import pytest
from corpusmill.stages.decontaminate.rarity import RAREST, bits_of, ranks
from corpusmill.stages.decontaminate.words import spelled, words_of
from hypothesis import given
from hypothesis import strategies as st
from numpy import array


def spellings(text):
    data = text.encode()
    _, begins, ends = words_of(data)
    return [spelled(data[begin:end]) for begin, end in zip(begins, ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't; DON’T", ["dont", "dont"]),
        ("a well-known/fact", ["a", "well", "known", "fact"]),
        ("1,000 or 1, 2", ["1000", "or", "1", "2"]),
        ("$\\frac{1}{2}x^2$", ["frac", "1", "2", "x", "2"]),
        ("def has_close(x):", ["def", "has", "close", "x"]),
        ("Ｃａｆé naïve", ["cafe", "naive"]),
        ("日本の", ["日", "本", "の"]),
        ("soft\u00adhyphen", ["softhyphen"]),
        ("", []),
        ("-- ... !", []),
    ],
)
def test_words_are_folded(text, words):
    assert spellings(text) == words


def test_words_that_are_spelt_alike_have_one_hash():
    one, other = words_of("Don’t STOP, Café".encode()), words_of(b"dont stop cafe")
    assert one[0].tolist() == other[0].tolist()


@given(st.text())
def test_every_word_is_where_it_is_said_to_be(text):
    data = text.encode(errors="ignore")
    hashes, begins, ends = words_of(data)
    for word, begin, end in zip(hashes, begins, ends, strict=True):
        assert words_of(data[begin:end])[0].tolist() == [word]


@given(st.binary())
def test_bytes_that_are_no_text_do_no_harm(data):
    _, begins, ends = words_of(data)
    assert (begins < ends).all()
    assert (ends <= len(data)).all()


def test_rare_words_have_more_bits():
    bits = bits_of(["the", "captain", "zyzzyva", "日"], array([1, 1, 1, 1]), array([1, 1, 1, 1]))
    assert bits[0] < 5 < bits[3] < bits[1] < bits[2] == RAREST


def test_a_word_that_many_items_have_has_fewer_bits():
    counts, items = array([50, 950]), array([50, 900])
    assert bits_of(["plausibility", "other"], counts, items)[0] == pytest.approx(4.3, abs=0.1)


def test_the_common_words_are_distinct():
    assert len(ranks()) == 8000
    assert ranks()["the"] == 1
