"""The kernel of the filter's statistics, held against a plain implementation that counts with Python strings."""

import itertools
import re
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import RecipeError
from stages.filter.statistics import STATISTICS, STOP_WORDS, fields, measure

TERMINALS = ".!?։؟۔܀܁܂।॥၊။።፧፨។៕᠃᠉‼‽⁇⁈⁉⸮。﹒﹖﹗！．？｡"
BULLETS = "-*•‣◦⁃∙●○▪▫■□▶►➢➤–"
JOINERS = "'’._"
LETTERS = ("letter", "ideograph")
WORDLIKE = ("letter", "digit", "ideograph")


def one(text, stop_words=STOP_WORDS):
    """The statistics of one text as Python numbers."""
    return {name: values[0].item() for name, values in measure(pa.chunked_array([[text]]), stop_words).items()}


# --- the plain implementation: slow, and written from the definitions in stages.filter.statistics


def kind(character):
    category, code = unicodedata.category(character), ord(character)
    if code >= 0x20000:
        return "ideograph" if code < 0x40000 else "mark"
    if character.isspace() or character == "\u200b" or category in ("Cc", "Zs", "Zl", "Zp"):
        return "space"
    if category[0] == "L":
        ranges = ((0x3041, 0x309F), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
        return "ideograph" if any(first <= code <= last for first, last in ranges) else "letter"
    return "mark" if category[0] == "M" or category == "Cf" else "digit" if category[0] == "N" else "symbol"


def cut(text):
    """(is a word, token) for every word and symbol of the text."""
    kinds = [*map(kind, text), "space"]
    tokens, begin = [], 0

    def joins(at):
        if text[at] == ",":
            before = next(k for k in reversed(kinds[:at]) if k != "mark")
            return before == "digit" and kinds[at + 1] == "digit"
        return text[at] in JOINERS and kinds[at + 1] in ("letter", "digit")

    while begin < len(text):
        end = begin + 1
        if kinds[begin] in ("letter", "digit"):
            while end < len(text) and (kinds[end] in ("letter", "digit", "mark") or joins(end)):
                end += 1
        elif kinds[begin] in ("ideograph", "symbol"):
            same = text[begin] if kinds[begin] == "symbol" else None
            while end < len(text) and (kinds[end] == "mark" or text[end] == same):
                end += 1
        if kinds[begin] in (*WORDLIKE, "symbol"):
            tokens.append((kinds[begin] != "symbol", text[begin:end]))
        begin = end
    return tokens


def strip(line):
    while line and kind(line[0]) == "space":
        line = line[1:]
    while line and kind(line[-1]) == "space":
        line = line[:-1]
    return line


def count_sentences(text):
    def ends(line, at):  # whether a sentence ends just before the white space at `at`
        at -= 1
        while at >= 0 and (kind(line[at]) == "mark" or is_closer(line[at])):
            at -= 1
        if at < 0 or line[at] not in TERMINALS:
            return False
        run, before = 0, at - 1
        while before >= 0 and kind(line[before]) in (*WORDLIKE, "mark"):
            run += kind(line[before]) != "mark"
            before -= 1
        return not (line[at] == "." and run == 1)

    total = 0
    for line in text.split("\n"):
        begin = 0
        for at in range(len(line) + 1):
            if at == len(line) or (kind(line[at]) == "space" and ends(line, at)):
                total += any(kind(c) in WORDLIKE for c in line[begin:at])
                begin = at
    return total


def is_closer(character):
    return character in "\"'" or unicodedata.category(character) in ("Pe", "Pf")


def repeats(items):
    seen, count, length = set(), 0, 0
    for item, size in items:
        if item in seen:
            count, length = count + 1, length + size
        seen.add(item)
    return count, length


def top_gram(words, n):
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    gram, count = grams.most_common(1)[0] if grams else ((), 0)  # the first of equals
    return count * len(" ".join(gram)) if count > 1 else 0


def duplicate_grams(words, n):
    seen, length, i = set(), 0, 0
    while i + n <= len(words):
        gram = tuple(words[i : i + n])
        if gram in seen:
            length += len("".join(gram))
            i += n
        else:
            seen.add(gram)
            i += 1
    return length


def plain(text, stop_words=STOP_WORDS):
    tokens = cut(text)
    words = [token for is_word, token in tokens if is_word]
    symbols = [token for is_word, token in tokens if not is_word]
    lines = [line for line in map(strip, text.split("\n")) if line]
    paragraphs, paragraph = [], []
    for line in [*map(strip, text.split("\n")), ""]:
        if line:
            paragraph.append(line)
        elif paragraph:
            paragraphs.append((tuple(paragraph), sum(map(len, paragraph))))
            paragraph = []
    parts = "".join(" " if kind(c) == "space" else c for c in text).split(" ")
    parts = [part for part in parts if part]
    kinds = Counter(map(kind, text))
    folded = {"".join(c.lower() if c.isascii() else c for c in word) for word in words}
    line_characters = sum(map(len, lines))
    again, again_characters = repeats((line, len(line)) for line in lines)
    again_paragraphs, again_paragraph_characters = repeats(paragraphs)

    def ratio(part, whole):
        return part / whole if whole else 0.0

    def of_lines(test):
        return ratio(sum(map(test, lines)), len(lines))

    return {
        "characters": len(text),
        "words": len(words),
        "symbols": len(symbols),
        "mean_word_length": ratio(sum(map(len, words)), len(words)),
        "longest_word": max(map(len, words), default=0),
        "alphabetic_word_ratio": ratio(sum(any(kind(c) in LETTERS for c in part) for part in parts), len(parts)),
        "alphabetic_token_ratio": ratio(sum(any(kind(c) in LETTERS for c in word) for word in words), len(tokens)),
        "hash_ratio": ratio(sum(s[0] == "#" for s in symbols), len(words)),
        "ellipsis_ratio": ratio(sum(s[0] == "…" or (s[0] == "." and len(s) >= 3) for s in symbols), len(words)),
        "stop_words": len(folded & set(stop_words)),
        "sentences": count_sentences(text),
        "lines": len(lines),
        "bullet_line_ratio": of_lines(lambda line: line[0] in BULLETS),
        "ellipsis_line_ratio": of_lines(lambda line: line.endswith(("...", "…"))),
        "punctuation_line_ratio": of_lines(lambda line: line[-1] in TERMINALS),
        "short_line_ratio": of_lines(lambda line: len(line) <= 30),
        "newline_ratio": ratio(max(len(lines) - 1, 0), len(tokens)),
        "duplicate_line_ratio": ratio(again, len(lines)),
        "duplicate_line_character_ratio": ratio(again_characters, line_characters),
        "duplicate_paragraph_ratio": ratio(again_paragraphs, len(paragraphs)),
        "duplicate_paragraph_character_ratio": ratio(again_paragraph_characters, line_characters),
        **{f"top_{n}_gram_ratio": ratio(top_gram(words, n), len(text)) for n in (2, 3, 4)},
        **{f"duplicate_{n}_gram_ratio": ratio(duplicate_grams(words, n), len(text)) for n in range(5, 11)},
        "lorem_ipsum": sum(
            a_is_word and b_is_word and a.lower() == "lorem" and b.lower() == "ipsum"
            for (a_is_word, a), (b_is_word, b) in itertools.pairwise(tokens)
        ),
        "curly_brackets": text.count("{"),
        "whitespace_ratio": ratio(kinds["space"], len(text)),
        "digit_ratio": ratio(kinds["digit"], len(text)),
        "uppercase_ratio": ratio(
            sum(unicodedata.category(c) in ("Lu", "Lt") for c in text), kinds["letter"] + kinds["ideograph"]
        ),
        "symbol_character_ratio": ratio(kinds["symbol"], len(text)),
    }


def assert_same(text):
    measured, expected = one(text), plain(text)
    assert set(measured) == set(expected)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-6), (name, text)


PIECES = [
    *(
        "the",
        "be",
        "The",
        "AND",
        "a",
        "b",
        "x1",
        "3",
        "14",
        "lorem",
        "Ipsum",
        "naïve",
        "straße",
        "ÉTÉ",
        "слово",
        "भाषा",
        "كتاب",
    ),
    *("日本", "ひら", "カナ", "𠀀", "e\u0301", "\u0301", "❤\ufe0f", "\U000e0061", "𝔘", "²", "Ⅷ"),
    *(" ", " ", " ", " ", "\n", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u200b", "\u3000", "\x00"),
    *(
        ".",
        ".",
        "...",
        "…",
        "!",
        "?",
        "。",
        ",",
        "'",
        "’",
        "_",
        "-",
        "--",
        "•",
        "#",
        "{",
        "}",
        "|",
        '"',
        ")",
        "”",
        "/",
        "<b>",
    ),
]


# --- the specification


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_kernel_and_plain_implementation_agree_on_text_made_of_awkward_pieces(text):
    assert_same(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "of", "the", ". ", "\n", "\n\n"]), max_size=120).map(" ".join))
def test_kernel_and_plain_implementation_agree_on_repetitive_text(text):
    assert_same(text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_kernel_and_plain_implementation_agree_on_any_unicode(text):
    assert_same(text)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), max_size=6), st.integers(0, 3))
def test_a_text_measures_the_same_alone_in_a_batch_and_in_a_slice(texts, skipped):
    batch = measure(pa.chunked_array([texts, texts], type=pa.string()).slice(skipped))
    for index, text in enumerate((texts + texts)[skipped:]):
        assert {name: values[index].item() for name, values in batch.items()} == one(text)


def test_a_large_string_column_measures_as_a_string_column():
    texts = ["Some words, twice.", "日本語"]
    narrow, wide = measure(pa.chunked_array([texts])), measure(pa.chunked_array([pa.array(texts, pa.large_string())]))
    assert all((narrow[name] == wide[name]).all() for name in narrow)


def test_null_and_empty_texts_measure_zero_everywhere():
    measured = measure(pa.chunked_array([[None, "", " \n\n\t"]]))
    assert measured["characters"].tolist() == [0, 0, 4]
    assert all(not values.any() for name, values in measured.items() if name not in ("characters", "whitespace_ratio"))


def test_no_text_gives_no_values():
    assert {values.size for values in measure(pa.chunked_array([], type=pa.string())).values()} == {0}


def test_every_statistic_has_the_type_of_its_column():
    measured = measure(pa.chunked_array([["a b c"]]))
    assert [pa.array(measured[s.name]).type for s in STATISTICS] == [s.type for s in STATISTICS]
    assert [f.name for f in fields()] == [f"stat_{s.name}" for s in STATISTICS] + ["stat_removed_lines"]


@pytest.mark.parametrize(
    ("text", "words", "symbols"),
    [
        ("don't stop", 2, 0),
        ("pi is 3.14, or 1,000.5", 5, 1),
        ("a,b", 2, 1),
        ("see example.com.", 2, 1),
        ("snake_case and __init__", 3, 2),
        ("well-known", 2, 1),
        ("wait... what?!", 2, 3),
        ("-----", 0, 1),
        ("日本語です", 5, 0),
        ("カタカナ", 1, 0),
        ("naïve e\u0301te\u0301", 2, 0),
    ],
)
def test_words_and_symbols(text, words, symbols):
    assert (one(text)["words"], one(text)["symbols"]) == (words, symbols)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", 3),
        ("Mr. J. S. Bach was here.", 2),
        ('He said "No." Then he left.', 2),
        ("version 3.14 of example.com works", 1),
        ("a line\nanother line", 2),
        ("... !!!", 0),
        ("これは文です。 次の文。", 2),
    ],
)
def test_sentences(text, sentences):
    assert one(text)["sentences"] == sentences


def test_stop_words_count_once_each_and_in_any_case():
    assert one("The the THE of")["stop_words"] == 2
    assert one("der und die und", ("der", "und", "die"))["stop_words"] == 3
    assert one("что это", ("что", "это"))["stop_words"] == 2


def test_a_stop_word_longer_than_the_kernel_compares_is_refused():
    with pytest.raises(RecipeError, match="nevertheless"):
        measure(pa.chunked_array([["a"]]), ("nevertheless",))


def test_an_ngram_that_occurs_once_repeats_nothing():
    assert one("four different words here")["top_2_gram_ratio"] == 0


def test_a_document_longer_than_any_scratch_page_measures_right():
    text = "\n".join(f"line {i} of the long document, number {i * 7919 % 10007}." for i in range(20_000))
    measured = one(text)
    assert measured["lines"] == 20_000
    assert measured["words"] == 20_000 * 8
    assert measured["duplicate_line_ratio"] == 0
    assert measured["duplicate_5_gram_ratio"] == np.float32(duplicate_grams(re.findall(r"\w+", text), 5) / len(text))
