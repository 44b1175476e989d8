"""Phrases that open a part beside the main text, and elements that recur."""

import numpy as np
import pytest
from corpusmill.stages.extract import main_content
from corpusmill.stages.extract.page.phrases import SORTS, phrase_table

FEATURES = main_content.FEATURES


def features(html: str) -> tuple[main_content.Blocks, np.ndarray]:
    page = main_content.blocks_of(html)
    return page, main_content.features_of(page, "en")


def sort_of(text: str) -> str | None:
    _, found = features(f"<p>{text}</p>")
    number = int(found[0, FEATURES.index("phrase")])
    return SORTS[number - 1] if number else None


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("Leave a comment", "comments"),
        ("12 Comments", "comments"),
        ("COMMENTS (3)", "comments"),
        ("3 Responses to “The wheel”", "comments"),
        ("Related Stories", "related"),
        ("Lesen Sie auch: Das Rad", "related"),
        ("Читайте также", "related"),
        ("相关新闻", "related"),
        ("関連記事", "related"),
        ("Share this:", "share"),
        ("Filed under: Wheels", "tags"),
        ("About the author", "author"),
        ("The wheel was made of ash", None),
        ("Commentary on the wheel", None),
        ("More " + "words " * 20, None),
    ],
)
def test_a_short_block_is_of_the_sort_of_the_phrase_that_it_opens_with(text, sort):
    assert sort_of(text) == sort


def test_every_phrase_is_in_the_table_once():
    assert set(phrase_table().values[phrase_table().keys != 0]) == set(range(1, len(SORTS) + 1))


def test_blocks_know_how_far_a_phrase_is():
    _, found = features("<p>one</p><p>Comments</p><p>two</p><p>three</p>")
    since = found[:, FEATURES.index("since_comments")]
    until = found[:, FEATURES.index("until_comments")]
    assert since.tolist() == [50, 0, 1, 2]
    assert until.tolist() == [1, 0, 50, 50]


THREAD = "".join(
    f"<li class='comment c{n}'><b>Ann {n}</b><p>What she says, number {n}.</p></li>"
    for n in range(4)
)


def test_comments_are_members_of_a_group_and_the_article_is_not():
    page, found = features(
        f"<div class=post><p>The article itself.</p><p>Its second part.</p></div><ol>{THREAD}</ol>"
    )
    members = found[:, FEATURES.index("members_of_outer")]
    index = found[:, FEATURES.index("index_of_outer")]
    assert members[:2].tolist() == [-1, -1]
    assert (members[2:] == 4).all()
    assert index[2:].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(page.blocks) == 10


def test_numbers_and_later_words_of_a_class_do_not_set_elements_apart():
    _, found = features(
        "".join(f"<div class='row-{n} odd{n}'><p>a</p><p>b</p></div>" for n in range(3))
    )
    assert (found[:, FEATURES.index("members_of_inner")] == 3).all()
    _, found = features("".join(f"<div class=kind{c}><p>a</p><p>b</p></div>" for c in "xyz"))
    assert (found[:, FEATURES.index("members_of_inner")] == -1).all()
