"""Noise follows from its seed, comes in kinds, and removes nothing that a reader needs."""

import random
import re

import pytest
from corpusmill.tools.boilerplate import boilerplate_line
from corpusmill.tools.denoise import NOISES, WEIGHTS, drawn_kinds, noisy

TEXT = (
    'The committee met on Monday & approved the "new" plan, which had been discussed at length. '
    "Several members asked whether the measurement procedure could be simplified; it could not. "
    "I think the results were convincing.\n\n"
    "In the second half of the year, production rose by 12%, although prices stayed the same. "
    "Nobody in São Paulo complained about the increasing temperatures of <40 degrees."
)


def letters(text: str) -> str:
    return "".join(re.findall(r"[^\W_]", text)).lower()


@pytest.mark.parametrize("kind", NOISES)
def test_the_same_seed_gives_the_same_noise(kind):
    assert noisy(TEXT, 7, [kind], 0.8) == noisy(TEXT, 7, [kind], 0.8)


@pytest.mark.parametrize("kind", NOISES)
def test_each_kind_of_noise_changes_the_text_and_another_seed_changes_it_otherwise(kind):
    made = {noisy(TEXT, seed, [kind], 1.0) for seed in range(8)} - {TEXT}
    assert len(made) > 4


@pytest.mark.parametrize(
    "kind", ["line_breaks", "hyphenation", "punctuation", "spacing", "wrong_case"]
)
def test_layout_noise_keeps_every_letter(kind):
    for seed in range(20):
        spoilt = noisy(TEXT, seed, [kind], 1.0)
        assert letters(spoilt.replace("-\n", "")) == letters(TEXT)


def test_sentences_with_names_keep_their_names():
    text = (
        "Yesterday the mayor of Berlin met Anna Schmidt in the town hall. They talked for hours "
        "about nothing at all."
    )
    for seed in range(50):
        assert "Berlin met Anna Schmidt" in noisy(text, seed, ["wrong_case"], 1.0)


def test_doubled_words_can_be_told_back():
    for seed in range(20):
        spoilt = noisy("one two three four five six seven eight", seed, ["doubled_words"], 1.0)
        seen = list(dict.fromkeys(spoilt.split()))
        assert seen == ["one", "two", "three", "four", "five", "six", "seven", "eight"]


def test_entities_decode_to_the_text():
    import html

    for seed in range(20):
        spoilt = noisy(TEXT, seed, ["entities"], 1.0)
        decoded = html.unescape(html.unescape(spoilt))
        assert re.sub(r"[\s\u00ad\u200b]+", "", decoded) == re.sub(r"\s+", "", TEXT)


def test_boilerplate_stands_on_lines_of_its_own():
    for seed in range(20):
        lines = noisy(TEXT, seed, ["boilerplate"], 1.0).split("\n")
        assert [line for line in lines if line in TEXT.split("\n\n")] == TEXT.split("\n\n")
        assert len([line for line in lines if line.strip()]) > 2


def test_boilerplate_hardly_repeats_itself():
    rng = random.Random(0)
    lines = {boilerplate_line(TEXT, rng) for _ in range(1000)}
    assert len(lines) > 700


def test_paragraphs_stay_apart_where_lines_are_broken():
    for seed in range(30):
        spoilt = noisy(TEXT, seed, ["line_breaks", "boilerplate", "spacing"], 0.7)
        assert re.search(r"convincing\.\s*\n\s*\n", spoilt)


def test_severity_is_about_how_much_is_touched():
    def marks(severity: float) -> int:
        return sum(noisy(TEXT, seed, ["markup"], severity).count("<") for seed in range(100))

    assert marks(0.1) * 2 < marks(1.0)


def test_every_kind_is_drawn_and_some_texts_stay_clean():
    drawn = [drawn_kinds(random.Random(seed)) for seed in range(2000)]
    assert {kind for kinds in drawn for kind in kinds} == set(NOISES) == set(WEIGHTS)
    assert 60 < drawn.count(()) < 200
