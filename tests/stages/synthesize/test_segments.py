"""Segments: cut by the engine's own tokens. Nothing is lost, and only neighbours are joined."""

import pytest
from corpusmill.stages.engines import chat
from corpusmill.stages.synthesize.segments import segment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stages.engines import tiny_model


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return chat.load(str(tiny_model.save_tokenizer(tmp_path_factory.mktemp("tokenizer"))))


def texts_of(text, segments):
    return [text[piece.start : piece.end] for piece in segments]


def test_a_short_document_is_one_segment(tokenizer):
    text = "  The river rises in the hills.\n\nIt reaches the sea.\n"
    assert texts_of(text, segment(text, 100, tokenizer)) == [text.strip()]


def test_an_empty_document_has_no_segments(tokenizer):
    assert segment(" \n\n ", 10, tokenizer) == []


def test_lines_stay_whole_where_they_fit(tokenizer):
    lines = [f"Line {number} says that the river is long." for number in range(12)]
    text = "\n".join(lines)
    budget = 3 * max(tokenizer.count(lines)) + 4
    pieces = texts_of(text, segment(text, budget, tokenizer))
    assert len(pieces) > 1
    assert [line for piece in pieces for line in piece.split("\n")] == lines


def test_a_line_beyond_the_budget_is_cut_after_sentences(tokenizer):
    sentences = ["The river is long.", 'He asked: "Is it deep?"', "It is (very.)", "Nobody knows!"]
    text = " ".join(sentences)
    pieces = texts_of(text, segment(text, max(tokenizer.count(sentences)) + 1, tokenizer))
    assert pieces == sentences


def test_a_sentence_beyond_the_budget_is_cut_between_words(tokenizer):
    words = ["river"] * 60
    text = " ".join(words)
    segments = segment(text, 20, tokenizer)
    assert all(piece.n_tokens <= 20 for piece in segments)
    assert " ".join(texts_of(text, segments)).split() == words


def test_a_text_without_spaces_is_cut_between_tokens(tokenizer):
    text = "日本語の長い文章" * 30
    segments = segment(text, 25, tokenizer)
    assert all(piece.n_tokens <= 25 for piece in segments)
    assert "".join(texts_of(text, segments)) == text


def test_the_end_of_a_document_is_no_crumb(tokenizer):
    line = "The river rises in the northern hills."
    count = tokenizer.count([line + "\n"])[0]
    text = "\n".join([line] * 21)
    sizes = [piece.n_tokens for piece in segment(text, 10 * count, tokenizer)]
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) <= 2 * count


def test_a_segment_that_merges_into_too_long_a_prompt_is_cut_again(tokenizer):
    text = " ".join(["river"] * 40)
    refused = []

    def fits(inner):
        excess = len(inner.split()) - 12
        if excess > 0:
            refused.append(inner)
        return excess

    pieces = texts_of(text, segment(text, 1000, tokenizer, fits))
    assert refused
    assert all(len(piece.split()) <= 12 for piece in pieces)
    assert " ".join(pieces) == text


def test_no_room_is_an_error(tokenizer):
    with pytest.raises(ValueError, match="no room"):
        segment("text", 0, tokenizer)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.text(alphabet=st.sampled_from('ab .!?\n\n\t,"é日。\u00a0\u2028😀1'), max_size=300),
    budget=st.integers(1, 40),
)
def test_every_character_is_kept_once_in_order_and_within_the_budget(tokenizer, text, budget):
    segments = segment(text, budget, tokenizer)
    place = 0
    for piece in segments:
        assert text[place : piece.start].strip() == ""
        assert piece.end > piece.start
        inner = text[piece.start : piece.end]
        assert piece.n_tokens == tokenizer.count([inner])[0]
        assert piece.n_tokens <= budget or len(inner) == 1
        place = piece.end
    assert text[place:].strip() == ""
