"""The record of the cuts leads back to the original text, byte for byte, whatever was cut, bridged
and trimmed.
"""

import re
from collections.abc import Callable
from functools import cache

import pyarrow as pa
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.stages.columns.cuts import restore
from corpusmill.stages.substring.cut import cut_documents
from corpusmill.stages.substring.settings import SubstringSettings
from hypothesis import example, given, settings
from hypothesis import strategies as st

TEXTS = st.lists(
    st.text(alphabet="ab \n", max_size=60)
    | st.text(alphabet="aé漢😀 \u0301", max_size=20)
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=10).map(lambda text: text * 3),
    max_size=7,
)
SETTINGS = st.builds(
    SubstringSettings,
    min_bytes=st.integers(1, 9),
    min_words=st.integers(0, 2),
    own_repeats=st.booleans(),
    bridge_bytes=st.integers(0, 9),
    boundary=st.sampled_from(("line", "paragraph", "word", "character")),
    keeper=st.sampled_from(("longest", "first")),
    min_text_chars=st.integers(0, 5),
    max_removed_share=st.sampled_from((0.5, 1.0)),
)


def cut(texts, config):
    """The kept and the excluded rows of documents with these texts."""
    rows = [{"id": f"d{number}", "text": text, "n_tokens": 7} for number, text in enumerate(texts)]
    kept, excluded = [], []
    for outcome in cut_documents(config, pa.Table.from_pylist(rows, schema=DOCUMENT)):
        kept += outcome.kept.to_pylist()
        excluded += outcome.excluded.to_pylist()
    return kept, excluded


def restorer(kept) -> Callable[[str], str]:
    rows = {row["id"]: row for row in kept}

    @cache
    def text_of(name: str) -> str:
        return restore(rows[name]["text"], rows[name]["substring_cuts"], name, text_of)

    return text_of


@settings(max_examples=250, deadline=None)
@given(TEXTS, SETTINGS)
def test_every_kept_text_can_be_restored_from_the_kept_texts_alone(texts, config):
    kept, excluded = cut(texts, config)
    text_of = restorer(kept)
    assert {row["id"]: text_of(row["id"]) for row in kept} | {
        row["id"]: row["text"] for row in excluded
    } == {f"d{number}": text for number, text in enumerate(texts)}


@settings(max_examples=100, deadline=None)
@given(TEXTS, SETTINGS)
def test_the_record_says_what_is_gone(texts, config):
    kept, _ = cut(texts, config)
    for row in kept:
        before = texts[int(row["id"][1:])].encode()
        pieces = row["substring_cuts"] or []
        assert (row["n_tokens"] is None) == bool(pieces) == (row["substring_removed_bytes"] > 0)
        assert sum(piece["length"] for piece in pieces) == row["substring_removed_bytes"]
        assert len(before) - row["substring_removed_bytes"] == len(row["text"].encode())
        for piece in pieces:
            gone = before[piece["start"] : piece["start"] + piece["length"]]
            assert gone
            if piece["keeper"] is None:
                assert piece["text"].encode() == gone
            else:
                source = texts[int(piece["keeper"][1:])].encode()
                assert source[piece["keeper_start"] :][: piece["length"]] == gone
                assert config.own_repeats or piece["keeper"] != row["id"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(alphabet="ab漢 \n", max_size=60), max_size=6),
    st.sampled_from(("line", "paragraph", "word")),
    st.integers(1, 6),
    st.integers(0, 5),
    st.booleans(),
)
@example(["a\n\n\n "], "paragraph", 1, 0, True)
def test_no_line_and_no_word_is_left_in_part_or_grown_together(
    texts, boundary, length, bridge, own_repeats
):
    config = SubstringSettings(
        min_bytes=length,
        boundary=boundary,
        bridge_bytes=bridge,
        own_repeats=own_repeats,
        min_text_chars=0,
        max_removed_share=1.0,
    )
    pieces = {"line": r"\n", "paragraph": r"\n\n+", "word": r"\s+|(?=漢)|(?<=漢)"}[boundary]
    for row in cut(texts, config)[0]:
        before = re.split(pieces, texts[int(row["id"][1:])].strip("\n"))
        assert set(re.split(pieces, row["text"].strip("\n"))) <= {*before, ""}


def test_a_piece_names_the_document_that_keeps_it_and_the_place_there():
    texts = ["long enough to be read first: shared words", "now shared words"]
    kept, _ = cut(
        texts,
        SubstringSettings(min_bytes=8, boundary="word", min_text_chars=0, max_removed_share=1.0),
    )
    assert [row["text"] for row in kept] == [texts[0], "now"]
    piece = {"start": 3, "length": 13, "keeper": "d0", "keeper_start": 29, "text": None}
    assert [row["substring_cuts"] for row in kept] == [None, [piece]]


def test_what_was_bridged_is_in_the_record_itself():
    texts = ["published on Monday by the editors of it", "published on Friday by the editors"]
    config = SubstringSettings(
        min_bytes=10, boundary="word", min_text_chars=0, max_removed_share=1.0, bridge_bytes=3
    )
    kept, _ = cut(texts, config)
    assert kept[1]["text"] == ""
    assert [piece["text"] for piece in kept[1]["substring_cuts"]] == [None, "Fri", None]


def test_a_document_without_text_goes_through_untouched():
    kept, excluded = cut([None, "", None], SubstringSettings())
    assert [row["text"] for row in kept] == [None, "", None]
    assert [row["substring_cuts"] for row in kept] == [None, None, None]
    assert excluded == []
