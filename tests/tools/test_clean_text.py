"""Only finished prose becomes training text. Held-out text never overlaps with training text."""

import json

import pytest
import zstandard
from corpusmill.tools.clean_text import (
    Corpus,
    clean_paragraphs,
    is_clean,
    read_records,
    shingles,
    without_leaks,
)


def test_finished_prose_is_clean():
    assert is_clean("The river rises in the hills and flows into the sea after 120 km.")


@pytest.mark.parametrize(
    "paragraph",
    [
        "too short.",
        "the river rises in the hills and flows into the sea after all.",  # no capital
        "The river rises in the hills and flows into the sea after all",  # no end
        "The river rises in the the hills and flows into the sea after all.",  # doubled word
        "The river rises in the <b>hills</b> and flows into the sea after all.",
        "The river rises in the hills , and flows into the sea after all.",
        "The river rises in the hills and flows into the sea.After all of it.",
        "The river |rises| in the hills and flows into the sea after all.",
        "THE RIVER RISES IN THE HILLS AND FLOWS INTO THE SEA AFTER ALL OF IT.",
        "Реки берут начало в горах и текут в море, а потом снова в горы и так далее.",
    ],
)
def test_what_needs_cleaning_is_no_lesson(paragraph):
    assert not is_clean(paragraph)


def test_markdown_becomes_paragraphs_and_what_is_unclean_divides_runs():
    text = (
        "# Rivers\n\nThe *river* rises in the [hills](http://example.org/hills)\nand flows into "
        "the `sea` after all.\n\n"
        "- A first item that is long enough to be a paragraph of its own.\n- A second item that is "
        "as long as the first one was.\n\n"
        "```\ncode()\n```\n\nAfter the code there is a last paragraph, with a reference [12]."
    )
    assert clean_paragraphs(text) == [
        [
            "The river rises in the hills and flows into the sea after all.",
            "A first item that is long enough to be a paragraph of its own.",
            "A second item that is as long as the first one was.",
        ],
        ["After the code there is a last paragraph, with a reference."],
    ]


def test_held_out_paragraphs_that_overlap_with_training_text_are_dropped():
    shared = "one two three four five six seven eight nine ten eleven twelve thirteen"
    documents = [
        {"id": "a", "held_out": False, "text": f"Here we count {shared} and stop."},
        {
            "id": "b",
            "held_out": True,
            "text": f"There they count {shared} too.\n\nThis paragraph is its own.",
        },
    ]
    assert [document["text"] for document in without_leaks(documents)] == [
        documents[0]["text"],
        "This paragraph is its own.",
    ]


def test_a_paragraph_is_kept_once():
    documents = [{"id": name, "held_out": False, "text": "The same in both."} for name in "ab"]
    assert [document["id"] for document in without_leaks(documents)] == ["a"]


def test_shingles_are_thirteen_words_without_case_and_marks():
    words = " ".join(f"word{number}" for number in range(14))
    assert len(shingles(words)) == 2
    assert shingles(words) == shingles(words.upper().replace(" ", ", "))


def test_a_collection_file_is_read_line_by_line(tmp_path):
    rows = [{"id": str(number), "text": "x" * number} for number in range(3)]
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert list(read_records(path)) == rows


def test_a_corpus_reads_whole_records_unless_told_otherwise():
    corpus = Corpus("books", "reference/books")
    assert corpus.text({"id": "1", "text": "all"}) == "all"
    assert corpus.work({"id": "1"}) == "1"
