"""Notes that blog software writes around posts do not come out. Sentences that are like them do."""

import time

import numpy as np
import pytest
from corpusmill.stages.extract.blog_notes import leave_notes
from corpusmill.stages.extract.main_content import main_content
from corpusmill.stages.extract.page.page import (
    BLOCK_COLUMNS,
    CHARACTERS,
    END,
    LINK_CHARACTERS,
    LINKS,
)

SENTENCE = (
    "The river had risen in the night, and the people of the town went to look at the water. "
)
POST = f"<h1>The river</h1><p>{SENTENCE * 4}<p>{SENTENCE * 4}"


def text_of(inside: str) -> str:
    page = f"<html><body><div class=post>{POST}{inside}<p>{SENTENCE * 3}</div></body></html>"
    return main_content(page, lambda _: "en")


@pytest.mark.parametrize(
    "note",
    [
        "This entry was posted on Monday, November 5th, 2012 at 11:18 am and is filed under "
        "<a href=/n>News</a>. You can follow any responses to this entry through the "
        "<a href=/f>RSS 2.0</a> feed.",
        "This entry was posted in <a href=/u>Uncategorized</a> and tagged <a href=/a>boats</a>, "
        "<a href=/b>fish</a> by <a href=/ada>Ada</a>. Bookmark the <a href=/p>permalink</a>.",
        "This post was published Friday, May 3 at noon. Bookmark the <a href=/p>permalink</a>.",
        "This entry was written by <a href=/ada>Ada</a>, and has <a href=/c>5 comments</a>.",
        "This post was written in <a href=/a>Rivers and their people</a>",
        "Dieser Eintrag wurde veröffentlicht am 3. Mai von Ada unter <a href=/a>Fluss</a>.",
        "Запись опубликована в рубрике <a href=/a>Река</a> автором Ада.",
        "Posted in <a href=/n>News</a> | Tagged <a href=/a>boats</a> | <a href=#c>5 Comments</a>",
        "Tagged <a href=/a>boats</a>, <a href=/b>fish</a>",
        "Filed under: <a href=/a>The river and its people</a>",
        "Рубрика: <a href=/a>Река и люди</a>",
        "Эта запись опубликована в <a href=/a>Река</a>.",
        "<a href=/more>Continue reading →</a>",
        "<a href=/more>Continue reading “How the river rose in the night” →</a>",
        "<a href=/more>Read more »</a>",
        "<a href=/more>Weiterlesen …</a>",
    ],
)
def test_a_note_goes(note):
    assert text_of(f"<p>{note}</p>") == text_of("")


@pytest.mark.parametrize(
    ("teaser", "stays"),
    [
        ("went to look […] <a href=/m>Continue reading →</a>", "went to look […]"),
        ("went to look ... <a href=/m>Read more</a>", "went to look ..."),
        ("went to look. <a href=/m>[Continue reading]</a>", "went to look."),
        ("went to look … <a href=/m>Continue reading “The river” »</a>", "went to look …"),
        ("went to look… <a href=/m>Читать далее</a>", "went to look…"),
    ],
)
def test_the_end_of_a_teaser_goes(teaser, stays):
    found = text_of(f"<p>{SENTENCE * 3}{teaser}</p>")
    assert f"{SENTENCE * 3}{stays}\n" in found
    assert "ontinue" not in found


@pytest.mark.parametrize(
    "sentence",
    [
        "This post was written for people who are new to <a href=/r>Rust</a> and want boats.",
        "This entry was written after <a href=/f>the flood</a> had gone, and all was dry again.",
        "This post was written in the winter when <a href=/f>the flood</a> came, and I was young.",
        "This post is published as <a href=/b>a chapter of the book about the river</a> as well.",
        "This post was written on the <a href=/m>marches beside the river</a> where I was born.",
        "Dieser Beitrag wurde geschrieben, weil <a href=/f>die Flut</a> im Ort noch immer steht.",
        "Posted in <a href=/g>Germany, where the river is wide</a>, the men of the town were glad.",
        "Tagged <a href=/f>fish were found again in the lakes</a> two years later by the divers.",
        "Posted in the far north of the country for most of the year he wrote of ice and water",
        "Continue reading until the water has boiled, and the people of the town are home again.",
        "The people went to look at the water, and one may <a href=/m>read more</a>",
        "We asked what they had read. <a href=/m>Read more about the river here.</a>",
    ],
)
def test_a_sentence_stays(sentence):
    assert text_of(f"<p>{sentence}</p>").count("\n") > text_of("").count("\n")
    assert sentence.split("<")[0] in text_of(f"<p>{sentence}</p>")


@pytest.mark.parametrize(
    "text",
    [
        "read more" + ">" * 60 + "x>",
        "read more" + " > … ... ) ]" * 15 + "x>",
        "(" * 100_000 + ">",
        "Posted in " + "] " * 100_000 + ".",
        "Read more " + "“" * 100_000 + ">",
        "The water" + " " * 100_000 + ">",
        "This post was written " + " on the" * 30_000 + ">",
    ],
)
def test_no_note_takes_long(text):
    blocks = np.zeros((1, BLOCK_COLUMNS), np.int32)
    encoded = text.encode()
    blocks[0, [END, CHARACTERS, LINKS, LINK_CHARACTERS]] = (len(encoded), len(text), 1, len(text))
    start = time.process_time()
    leave_notes(encoded, blocks, np.ones(1), np.ones(1, bool))
    assert time.process_time() - start < 1
