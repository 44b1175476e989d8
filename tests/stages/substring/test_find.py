"""Which bytes repeat, against a dictionary of all windows; and that no input makes it slow."""

import time
from collections import Counter

import numpy as np
import pytest
from corpusmill.stages.substring.find import find
from corpusmill.stages.substring.settings import SubstringSettings
from corpusmill.stages.substring.suffixes import repeats
from corpusmill.stages.substring.suffixes.cuts import CUT, UNTOUCHED
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.stages.substring.plain import plain_spans

TEXTS = st.lists(
    st.text(alphabet="ab \n", max_size=40) | st.text(alphabet="aé漢😀 \u0301", max_size=15),
    max_size=6,
)
ANY_TEXTS = st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=20), max_size=4).map(
    lambda t: t + t
)
PAGE = " ".join(f"word{number * 7919 % 1000}" for number in range(600))


def laid_out(texts):
    data = [text.encode() for text in texts]
    return np.frombuffer(bytearray(b"".join(data)), np.uint8), np.cumsum(
        [0, *map(len, data)]
    ).astype(np.int64)


def spans_of(texts, **changes):
    """The spans that are cut of each text, None for a text that is dropped."""
    text, offsets = laid_out(texts)
    plain = {"boundary": "character", "min_text_chars": 0, "max_removed_share": 1.0}
    found = find(SubstringSettings(**{**plain, **changes}), text, offsets)
    cuts = [slice(*found.offsets[document : document + 2]) for document in range(len(texts))]
    return [
        list(
            zip(
                (found.begins[cut] - start).tolist(),
                (found.ends[cut] - start).tolist(),
                strict=True,
            )
        )
        if verdict in (UNTOUCHED, CUT)
        else None
        for start, cut, verdict in zip(offsets, cuts, found.verdicts, strict=False)
    ]


@settings(deadline=None)  # the first example may compile the kernels
@given(TEXTS | ANY_TEXTS)
def test_the_suffix_array_is_the_sorted_suffixes(texts):
    text, _ = laid_out(texts)
    data = text.tobytes()
    assert repeats.suffix_array(text).tolist() == sorted(
        range(len(data)), key=lambda place: data[place:]
    )


@settings(deadline=None)
@given(TEXTS | ANY_TEXTS, st.integers(1, 9))
def test_two_places_have_a_class_in_common_if_they_begin_the_same_window(texts, length):
    text, offsets = laid_out(texts)
    classes, _ = repeats.window_classes(text, offsets, repeats.suffix_array(text), length)
    windows = {
        start + place: data[place : place + length]
        for start, data in zip(offsets.tolist(), (text.encode() for text in texts), strict=False)
        for place in range(len(data) - length + 1)
    }
    times = Counter(windows.values())
    assert [place for place in range(len(text)) if classes[place] >= 0] == [
        place for place in range(len(text)) if times[windows.get(place, b"")] > 1
    ]
    pairs = {(classes[place], window) for place, window in windows.items() if times[window] > 1}
    assert (
        len(pairs) == len({number for number, _ in pairs}) == len({window for _, window in pairs})
    )


@settings(max_examples=300, deadline=None)
@given(
    TEXTS | ANY_TEXTS,
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 4),
    st.integers(0, 9),
    st.sampled_from((1, 0.5)),
)
@example(["aaaa"], 1, True, 0, 0, 1.0)
@example(["xabcde", "abcdey", "cdey"], 3, False, 0, 0, 1.0)
def test_what_is_cut_is_what_was_read_before(
    texts, length, own_repeats, bridge, min_characters, share
):
    found = spans_of(
        texts,
        min_bytes=length,
        own_repeats=own_repeats,
        bridge_bytes=bridge,
        min_text_chars=min_characters,
        max_removed_share=share,
    )
    assert found == plain_spans(texts, length, own_repeats, bridge, min_characters, share)


def test_no_match_runs_over_the_end_of_a_document():
    assert spans_of(["one two", " three", "one two three"], min_bytes=8) == [[], [], []]


def test_one_copy_stays_where_it_was_read_first():
    assert spans_of(["start common middle", "common end", "a common"], min_bytes=6) == [
        [],
        [(0, 7)],
        [(1, 8)],
    ]


def test_what_a_document_repeats_of_itself_stays_unless_asked_for():
    assert spans_of(["ring ring ring"], min_bytes=5) == [[]]
    assert spans_of(["ring ring ring"], min_bytes=5, own_repeats=True) == [[(5, 14)]]


def test_a_gap_between_two_cuts_is_bridged_if_it_is_short_enough():
    texts = ["published on Monday by the editors", "published on Friday by the editors"]
    assert spans_of(texts, min_bytes=10, bridge_bytes=2) == [[], [(0, 13), (16, 34)]]
    assert spans_of(texts, min_bytes=10, bridge_bytes=3) == [[], [(0, 34)]]


@pytest.mark.parametrize(
    ("boundary", "cut"),
    [
        ("character", "ed by all.\nSecond line, shared.\n\nThird part"),
        ("word", "by all.\nSecond line, shared.\n\nThird "),
        ("line", "Second line, shared.\n\n"),
        ("paragraph", None),
    ],
)
def test_cuts_are_trimmed_to_whole(boundary, cut):
    first = "It was shared by all.\nSecond line, shared.\n\nThird part of it."
    second = "They cooed by all.\nSecond line, shared.\n\nThird party, other text."
    spans = spans_of([first, second], min_bytes=15, boundary=boundary)[1]
    assert [second[begin:end] for begin, end in spans] == ([cut] if cut else [])


def test_a_whole_paragraph_is_cut_between_empty_lines():
    texts = ["One.\n\nTwo lines\nof it.\n\nThree.", "Other.\n\nTwo lines\nof it.\n\nEnd."]
    (span,) = spans_of(texts, min_bytes=10, boundary="paragraph")[1]
    begin, end = span
    assert texts[1][:begin] + texts[1][end:] == "Other.\n\nEnd."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("left shared by two right", "left right"),  # one of the two spaces stays
        ("left shared by two\n\nright", "left\n\nright"),  # the paragraph's border stays instead
        ("left\n\nshared by two right", "left\n\nright"),
    ],
)
def test_words_on_both_sides_of_a_cut_do_not_grow_together(text, left):
    keeper = "first " + text.removeprefix("left").removesuffix("right") + "last"
    ((begin, end),) = spans_of([keeper, text], min_bytes=10, boundary="word")[1]
    assert text[:begin] + text[end:] == left


def test_characters_of_a_script_without_spaces_are_words():
    texts = ["東京は日本の首都であり、人口が多い。", "昔から東京は日本の首都であり、寒い。"]
    ((begin, end),) = spans_of(texts, min_bytes=15, boundary="word")[1]
    assert texts[1].encode()[begin:end].decode() == "東京は日本の首都であり、"
    assert spans_of(texts, min_bytes=15, min_words=13, boundary="word")[1] == []


def test_spans_of_few_words_stay():
    texts = [
        "seven words are here for all of us",
        "1 words are here for all of them",
        "2 words are here for all of it",
    ]
    assert [
        len(spans) for spans in spans_of(texts, min_bytes=10, min_words=6, boundary="word")
    ] == [0, 1, 1]
    assert [
        len(spans) for spans in spans_of(texts, min_bytes=10, min_words=7, boundary="word")
    ] == [0, 0, 0]


def test_words_are_counted_as_words_whatever_the_boundary():
    texts = [f"{number}\nsix words are in this line\n{number}" for number in (1, 2)]
    assert [
        len(spans) for spans in spans_of(texts, min_bytes=10, min_words=6, boundary="line")
    ] == [0, 1]
    assert [
        len(spans) for spans in spans_of(texts, min_bytes=10, min_words=7, boundary="line")
    ] == [0, 0]


def test_nothing_is_cut_for_the_sake_of_a_document_that_does_not_stay():
    shared, passage = "x" * 50 + "y" * 50, "said nowhere else"
    texts = [shared, shared + passage, "and " + passage]
    assert spans_of(texts, min_bytes=10, max_removed_share=0.8) == [[], None, []]
    assert spans_of(texts, min_bytes=10, max_removed_share=0.9) == [[], [(0, 100)], [(4, 21)]]


@pytest.mark.parametrize("own_repeats", [False, True])
@pytest.mark.parametrize(
    "texts",
    [
        ["a" * 2_000_000],
        ["a" * 1000] * 2000,
        ["The same line again.\n" * 100_000],
        [PAGE] * 400,
        [PAGE[:300] * 20] * 300,
    ],
    ids=["one-letter", "one-letter-documents", "one-line", "one-page", "periodic-pages"],
)
def test_texts_that_repeat_without_end_take_no_longer_than_others(texts, own_repeats):
    changes = {"own_repeats": own_repeats, "bridge_bytes": 5, "boundary": "line", "min_bytes": 100}
    spans_of([PAGE, PAGE], **changes)
    started = time.process_time()
    found = spans_of(texts, **changes)
    assert time.process_time() - started < 8  # a quadratic step would take hours
    assert found[0] == [] or own_repeats
    assert all(span for span in found[1:])
