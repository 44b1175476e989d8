"""The kernels that measure texts, against a plain implementation with Python strings, and against
spaCy.
"""

import io
import json
import re
from pathlib import Path

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.columns.cuts import restore
from corpusmill.stages.filter import blocks
from corpusmill.stages.filter import kernel_calls as module
from corpusmill.stages.filter.languages import LANGUAGES
from corpusmill.stages.filter.line_edits import LineEdits
from corpusmill.stages.filter.measure.english import exceptions, perfect_tables
from corpusmill.stages.filter.measure.token_hash import hash_of
from corpusmill.stages.filter.measuring import STOP_WORDS, check_stop_words, measure
from corpusmill.stages.filter.statistics import STATISTICS, fields
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.stages.filter.measure import make_spacy_exceptions
from tests.stages.filter.measure.plain_statistics import cut, duplicate_grams, plain
from tests.stages.filter.measure.plain_structure import without_marks

EDITS = {
    "none": (None, False),
    "c4": (LineEdits(), False),
    "mild": (
        LineEdits(short_sentences=False, longest_notice=6, brackets_in_code=False),
        False,
    ),
    "refinedweb": (None, True),
    "both": (LineEdits(terminal_punctuation=True, longest_word=12), True),
}


def one(text, edits=None, refinedweb=False, stop_words=STOP_WORDS, language=None, apart=False):
    """The statistics of one text as Python numbers, and its edited form."""
    found = measure(
        pa.chunked_array([[text]]), edits, refinedweb, {"": stop_words}, [language], apart=apart
    )
    assert restore(found.texts[0].as_py(), found.cuts[0].as_py()) == text
    return {
        name: values[0].item() for name, values in found.measured.items()
    }, found.texts.to_pylist()[0]


def assert_same(text, how="none", language=None, apart=False):
    edits, refinedweb = EDITS[how]
    measured, edited = one(text, edits, refinedweb, language=language, apart=apart)
    expected, expected_text = plain(
        text, edits, refinedweb, STOP_WORDS, by_character=language is not None, apart=apart
    )
    assert set(measured) == set(expected)
    different = {
        name: (measured[name], value)
        for name, value in expected.items()
        if measured[name] != pytest.approx(value, rel=1e-6)
    }
    assert not different, (different, text)
    assert edited == expected_text


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
    *(
        "don't",
        "I'm",
        "cannot",
        "Mr.",
        "e.g.",
        "J.",
        "U.S.",
        "10km",
        "5%",
        "$3",
        "8am",
        "it's",
        "l’a",
        "dogs'",
        ":)",
        "well-known",
    ),
    *(
        "http://a.org/x?y",
        "www.site.com",
        "me@site.org",
        "1,000.5",
        "file.py",
        "a/b",
        "x=y",
        "and/or",
        "C++",
        "he.She",
        "4-5",
        "a--b",
    ),
    *(
        "日本",
        "ひら",
        "カナ",
        "𠀀",
        "ไทย",
        "ภาษา",
        "e\u0301",
        "\u0301",
        "❤\ufe0f",
        "\U000e0061",
        "𝔘",
        "²",
        "Ⅷ",
        "한국",
    ),
    *(
        " ",
        " ",
        " ",
        " ",
        " ",
        "\n",
        "\n",
        "\n\n",
        "\t",
        "\r\n",
        "\u00a0",
        "\u200b",
        "\u3000",
        "\x00",
        "\x7f",
    ),
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
        "(",
        "”",
        "/",
        "<b>",
    ),
    *(
        "JavaScript",
        "privacy policy",
        "use cookies",
        "terms of use",
        "lorem ipsum",
        "[12]",
        "[edit]",
        "3 likes",
        "1.2K views!",
    ),
    *("items in cart", "Read more...", "Sign-in", "SIGN-IN now", "2020"),
]


# --- the specification


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), st.sampled_from(list(EDITS)))
@example("cannot\xa0", "none")
@example("\xa0im Im\u2028cannot", "none")
def test_kernels_and_plain_implementation_agree_on_text_made_of_awkward_pieces(text, how):
    assert_same(text, how)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join), max_size=12).map(
        "\n".join
    ),
    st.sampled_from(list(EDITS)),
)
def test_kernels_and_plain_implementation_agree_on_lines(text, how):
    assert_same(text, how)


LINES = [
    *(
        "# Head",
        "## A head",
        "###### x",
        "####### x",
        "#x",
        "# ",
        "# a | b",
        "-",
        "- item",
        "- a | b",
        "• item",
        "– x",
        "a) one",
        "(iv) x",
        "(12) x",
        "A. x",
        "xi. y",
        "1000. item",
        "10000. item",
        "civil. x",
        "---",
        "======",
        "=",
        "\\begin{equation}",
        "\\begin{align*} x",
        "\\begin{quote}",
        "x \\end{quote}",
        "\\end{equation}.",
        "\\end{align*}",
    ),
    *("  - one two three", "  goes on", "\tgoes on", "1. one", "12) two of them", "1998. a year"),
    *(
        "```",
        "```python",
        "````",
        "~~~",
        "``` `",
        "  ```",
        "`code` stands here",
        "}",
        "    x = {y}",
    ),
    *("a | b", "Mill | | 41", "| 9 | 10", " | 9", "| x |", "--- | ---", "|:-|-:|", "- | -", "a|b"),
    *(
        "$$",
        "$$.",
        "$$x^2$$",
        "$x_1 = {y}$,",
        "$5 and $6",
        "\\[",
        "\\[ x \\],",
        "x \\].",
        "\\item a",
    ),
    *("so \\(x\\)", "[2] $$a$$", "C:\\x", "\\ y [3] z"),
    *("* star", "+ plus", "", "", "", "   ", "\t", "a\tb", "x\ty\tz", "menu", "see[12] this one"),
    *(
        "We use cookies on this site.",
        "a line of three words",
        "Read more...",
        "2020",
        "-x",
        "- -5",
    ),
    *(
        "A line that is long enough to be no verse, because it has more than sixty characters.",
        "é\xa0",
    ),
    *("x[0] = y[1]", "see f[1](x) ([2]) a[3];", "so[1].b or[2]; and [] [4000] [edit]"),
    *("JavaScript is a language.", "Turn on JavaScript now.", "Is javascript a browser?"),
    *("He stood.", "Then:", "“Why?”", "x...", "[2]", "We use cookies here, and so do many."),
]


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.sampled_from([*LINES, "a word " * 40]), max_size=14).map("\n".join),
    st.sampled_from(list(EDITS)),
    st.booleans(),
)
def test_kernels_and_plain_implementation_agree_on_structure(text, how, apart):
    assert_same(text, how, apart=apart)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=14).map("\n".join), st.sampled_from(list(EDITS)))
def test_marks_are_no_words_and_no_lines_for_any_statistic(text, how):
    bare = without_marks(text)
    hypothesis.assume(bare == without_marks(bare))  # what is left has no marks of its own
    edits, refinedweb = EDITS[how]
    statistics, expected = (one(each, edits, refinedweb)[0] for each in (text, bare))
    own = (  # lists and headings are the subject of the first three
        *("bullet_line_ratio", "prose_parts", "prose_part_ratio"),
        *(name for name in statistics if name.startswith("removed_")),
    )
    assert {name: value for name, value in statistics.items() if name not in own} == {
        name: value for name, value in expected.items() if name not in own
    }


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "of", "the", ". ", "\n", "\n\n"]), max_size=120).map(
        " ".join
    )
)
def test_kernels_and_plain_implementation_agree_on_repetitive_text(text):
    assert_same(text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
@example("0®0")
@example("a™0 1🙂2")
def test_kernels_and_plain_implementation_agree_on_any_unicode(text):
    assert_same(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=[chr(code) for code in range(128)], max_size=60))
def test_kernels_and_plain_implementation_agree_on_any_ascii(text):
    assert_same(text, "both")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_kernels_and_plain_implementation_agree_by_character(text):
    assert_same(text, language="zh")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), max_size=6),
    st.integers(0, 3),
    st.integers(1, 200),
)
def test_a_text_measures_the_same_alone_in_a_batch_in_a_slice_and_in_any_block(
    texts, skipped, block_bytes
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        batch = measure(
            pa.chunked_array([texts, texts], type=pa.string()).slice(skipped), LineEdits()
        )
    for index, text in enumerate((texts + texts)[skipped:]):
        alone, edited = one(text, LineEdits())
        assert {name: values[index].item() for name, values in batch.measured.items()} == alone
        assert batch.texts[index].as_py() == edited


# --- the tokenizer


@pytest.fixture(scope="module")
def spacy_tokenizer():
    return pytest.importorskip("spacy").blank("en").tokenizer


def test_tokens_are_spacys_on_real_text(spacy_tokenizer):
    folder = Path(__file__).parents[4] / "samples" / "reference"
    parts = set()
    for path in sorted(folder.glob("*.zst")):
        lines = io.TextIOWrapper(
            zstandard.ZstdDecompressor().stream_reader(path.read_bytes()), encoding="utf-8"
        )
        parts |= {part for line in lines for part in json.loads(line)["text"].split()}
    different = [
        part
        for part in sorted(parts)
        if [token.text for token in spacy_tokenizer(part)] != cut(part)
    ]
    assert len(parts) > 10_000
    assert len(different) < 0.005 * len(parts), different[:50]


def test_the_recorded_exceptions_are_todays_spacys(spacy_tokenizer):
    assert make_spacy_exceptions.recorded() == make_spacy_exceptions.PATH.read_text("utf-8")


def test_exceptions_are_spacys(spacy_tokenizer):
    assert {
        part: tuple(token.text for token in spacy_tokenizer(part)) for part in exceptions()
    } == exceptions()


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        ("don't", "do n't"),
        ("We'll", "We 'll"),
        ("(word),", "( word ) ,"),
        ("Mr.", "Mr."),
        ("end.", "end ."),
        ("U.S.", "U.S."),
        ("10km", "10 km"),
        ("$5", "$ 5"),
        ("well-known", "well - known"),
        ("https://a.org/b-c?d=e", "https://a.org/b-c?d=e"),
        ("wait...what", "wait ... what"),
        ("dog's", "dog 's"),
        ("naïve,", "naïve ,"),
        ("“Yes!”", "“ Yes ! ”"),
        ("日本語です", "日本語です"),
    ],
)
def test_tokens(part, tokens):
    assert cut(part) == tokens.split()
    assert one(part)[0]["tokens"] == len(tokens.split())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("日本語です。", 6), ("ภาษาไทย", 7), ("ที่", 1), ("ab 日本", 3), ("カナkana", 3)],
)
def test_scripts_without_spaces_are_read_by_character_where_the_language_says_so(text, tokens):
    assert one(text, language="ja")[0]["tokens"] == tokens


# --- details


def key_in_memory(part):
    """The key by which `stages.filter.measure.cut` looks for a part that it cut before. Only for
    parts without a mark behind them.
    """
    return hash_of(part.encode()) ^ len(part) << 8 ^ ord(part[-1])


@pytest.mark.parametrize(
    ("part", "twin"), [("a123456x", "fyrfbw7kqYy0N-9m"), ("fyrfbw7kqYy0N-9m", "a123456x")]
)
def test_a_part_made_to_be_taken_for_another_is_not(part, twin):
    assert key_in_memory(part) == key_in_memory(twin)
    assert_same(part)
    assert_same(twin)
    assert_same(f"{part} {twin} {twin} {part}")


def test_a_part_made_to_be_taken_for_an_exception_is_not():
    part = "Mf1<37hz0y"
    assert hash_of(part.encode()) == hash_of(b"Id")
    assert_same(part)
    assert_same(f"Id {part}")


def test_a_text_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(module, "LONGEST_TEXT", 100)
    one("a" * 100)
    with pytest.raises(ValueError, match="a text of more than"):
        one("a" * 101)


def test_a_large_string_column_measures_as_a_string_column():
    texts = ["Some words, twice.\nmenu", "日本語", None]
    narrow = measure(pa.chunked_array([texts]), LineEdits())
    wide = measure(pa.chunked_array([pa.array(texts, pa.large_string())]), LineEdits())
    assert all((narrow.measured[name] == wide.measured[name]).all() for name in narrow.measured)
    assert wide.texts.type == pa.large_string()
    assert wide.texts.to_pylist() == narrow.texts.to_pylist()


def test_null_and_empty_texts_measure_zero_everywhere():
    measured = measure(pa.chunked_array([[None, ""]])).measured
    assert all(not values.any() for values in measured.values())


def test_no_text_gives_no_values():
    assert {
        values.size for values in measure(pa.chunked_array([], type=pa.string())).measured.values()
    } == {0}


def test_every_statistic_has_the_type_of_its_column():
    measured = measure(pa.chunked_array([["a b c"]])).measured
    assert [pa.array(measured[s.name]).type for s in STATISTICS] == [s.type for s in STATISTICS]
    assert [f.name for f in fields()] == [f"stat_{s.name}" for s in STATISTICS]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", 3),
        ("Mr. J. S. Bach was here.", 1),
        ('He said "No." Then he left.', 2),
        ("version 3.14 of example.com works", 1),
        ("a line\nanother line", 2),
        ("... !!!", 1),
        ("これは文です。 次の文。", 2),
    ],
)
def test_sentences(text, sentences):
    assert one(text)[0]["sentences"] == sentences


def test_stop_words_count_once_each_and_in_their_own_case():
    assert one("the the The of")[0]["stop_words"] == 2
    assert one("der und die und", stop_words=("der", "und", "die"))[0]["stop_words"] == 3
    assert one("nevertheless это", stop_words=("nevertheless", "это"))[0]["stop_words"] == 2


def test_stop_words_are_those_of_the_texts_language():
    stop_words = {"": STOP_WORDS, "de": ("der", "und")}
    texts = pa.chunked_array([["the der of und"] * 3])
    assert measure(texts, stop_words=stop_words, languages=["en", "de", None]).measured[
        "stop_words"
    ].tolist() == [
        2,
        2,
        2,
    ]
    assert measure(
        texts.slice(1), stop_words={"": ("of",), "de": ("der", "und")}, languages=["de", "fr"]
    ).measured["stop_words"].tolist() == [2, 1]


def test_tables_of_stop_words_have_no_collisions_and_no_word_is_lost():
    groups = [language.stopwords for language in LANGUAGES.values()] + [
        [f"word{number}" for number in range(500)],
        [],
    ]
    keys, about = perfect_tables(groups)
    for index, group in enumerate(groups):
        begin, shift = int(about[0, index]), int(about[2, index])
        assert np.count_nonzero(keys[begin : begin + (1 << (64 - shift))]) == len(set(group))


def test_a_stop_word_with_a_space_is_refused():
    with pytest.raises(RecipeError, match="der die"):
        check_stop_words({"": ("der die",)})


def test_a_document_longer_than_any_block_measures_right():
    text = "\n".join(
        f"line {i} of the long document, number {i * 7919 % 10007}." for i in range(20_000)
    )
    measured, _ = one(text)
    assert measured["lines"] == 20_000
    assert measured["words"] == 20_000 * 8
    assert measured["duplicate_line_ratio"] == 0
    tokens = re.findall(r"\w+|[,.]", text)
    assert measured["duplicate_5_gram_ratio"] == np.float32(duplicate_grams(tokens, 5) / len(text))


@pytest.mark.parametrize(
    "part",
    ["!" * 100_000, "a" * 200_000, "é" * 100_000, "a-" * 50_000, "." * 100_000, "a.b@" * 25_000],
)
def test_a_part_of_hundred_thousand_characters_takes_no_longer_than_others(part):
    measured, _ = one(part)
    assert measured["longest_part"] == len(part)
