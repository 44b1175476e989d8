"""Training pairs: the question to the model and its answer, the same on every machine."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.package_data import package_file
from corpusmill.prompts import loader
from corpusmill.stages.engines import chat
from corpusmill.tools import pairs
from corpusmill.tools.clean_text import CLEAN_TEXT
from corpusmill.tools.paragraphs import PARAGRAPH
from corpusmill.tools.passages import (
    Passages,
    draw_passage,
    read_passages,
    with_headings,
    with_swapped_words,
)

TINY = package_file("models", "tiny")
SENTENCES = [
    f"Sentence number {word} is about the {thing} of the old town."
    for word in ("one", "two", "three", "four", "five", "six")
    for thing in ("bridges", "markets", "towers", "schools")
]


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    rows = [
        {
            "id": f"d{number}",
            "source": "letters" if number % 2 else "books",
            "held_out": number == 3,
            "text": PARAGRAPH.join(
                " ".join(SENTENCES[start : start + 4]) for start in (number, number + 4)
            ),
        }
        for number in range(6)
    ]
    path = tmp_path_factory.mktemp("text") / "text.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=CLEAN_TEXT), path)
    return path


@pytest.fixture(scope="module")
def passages(text) -> Passages:
    return read_passages(text, held_out=False)


def test_held_out_documents_are_read_apart(text):
    training, held_out = (read_passages(text, held_out=side) for side in (False, True))
    assert [len(paragraphs) for paragraphs in training.paragraphs] == [6, 4]
    assert [len(paragraphs) for paragraphs in held_out.paragraphs] == [2]


def test_passages_are_whole_sentences_of_the_text(passages):
    for seed in range(50):
        _, clean = draw_passage(passages, random.Random(seed))
        for paragraph in clean.split(PARAGRAPH):
            assert all(
                f"{sentence}." in SENTENCES for sentence in paragraph.removesuffix(".").split(". ")
            )


def test_the_same_seed_gives_the_same_pair(passages):
    assert pairs.make_pair(passages, 5) == pairs.make_pair(passages, 5)
    assert len({pairs.make_pair(passages, seed) for seed in range(20)}) == 20


def test_estranged_text_keeps_its_shape(passages):
    made = with_swapped_words(
        "The Bridge of 1850 is old, very old.", passages.words, random.Random(1)
    )
    assert made.endswith(".")
    assert "1850" not in made


def test_headings_are_added_to_the_clean_text():
    clean = " ".join(SENTENCES[:4])
    headed = [with_headings(clean, random.Random(seed)) for seed in range(20)]
    assert {made.endswith(clean) for made in headed} == {True}
    assert len(set(headed)) > 1


def test_the_prompt_that_was_trained_is_the_prompt_that_ships():
    """If this fails, train the small model again, or restore the prompt's text."""
    prompt = loader.load("rephrase")
    assert pairs.framed_by(prompt, chat.load(str(TINY))) == pairs.read_frame(TINY)


def test_training_sees_the_very_tokens_that_the_stage_sends(passages):
    prompt, frame = loader.load("rephrase"), pairs.read_frame(TINY)
    made = [pairs.make_pair(passages, seed) for seed in range(30)]
    tokenizer = pairs.load_tokenizer(TINY)
    asked = chat.load(str(TINY)).prompt_ids([prompt.messages(pair.noisy) for pair in made])
    assert [ids for ids, _ in pairs.encode_pairs(tokenizer, frame, made)] == asked


def test_the_answer_is_the_lead_in_line_and_the_clean_text(passages):
    frame, tokenizer = pairs.read_frame(TINY), pairs.load_tokenizer(TINY)
    pair = pairs.make_pair(passages, 1)
    _, answer = pairs.encode_pairs(tokenizer, frame, [pair])[0]
    assert (
        tokenizer.decode(answer, skip_special_tokens=False) == f"Rewritten text:\n{pair.clean}</s>"
    )


def test_shards_are_what_the_trainer_reads_and_do_not_depend_on_processes(
    text, tmp_path, monkeypatch
):
    passages, frame = read_passages(text, held_out=False), pairs.read_frame(TINY)
    tokenizer = pairs.load_tokenizer(TINY)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        tokens = pairs.write_shard(
            3, passages, tokenizer, frame, seed=0, count=40, output=tmp_path / folder
        )
    first, second = (
        pq.read_table(tmp_path / folder / "pairs-00003.parquet") for folder in ("first", "second")
    )
    assert first == second
    assert first.schema == pairs.TOKEN_SHARD
    assert tokens == sum(map(len, first["tokens"].to_pylist()))
    for row in first.to_pylist():
        assert tokenizer.decode(row["tokens"][row["n_prompt"] :]).startswith("Rewritten text:\n")
        assert row["n_prompt"] <= frame.longest_prompt
