"""Blocks of pages: what the small model must copy, and that noise around them spoils nothing."""

import random
import re

import numpy as np
import pytest
from corpusmill.tools import pairs, web_blocks
from corpusmill.tools.denoise import NOISES, noisy
from corpusmill.tools.paragraphs import PARAGRAPH
from corpusmill.tools.passages import Passages

WORDS = ("bridge", "harbour", "winter", "Copper", "island", "ledger")
CODE = ("def f(x):\n    return x + 1",)
CLEAN = PARAGRAPH.join(
    f"Sentence {number} is about the bridges of the old town, and about nothing else at all."
    for number in range(3)
)


def placed(seed: int) -> tuple[str, list[web_blocks.Block]]:
    return web_blocks.with_places(CLEAN, WORDS, CODE, random.Random(seed))


@pytest.mark.parametrize("kind", NOISES)
def test_no_noise_touches_a_block(kind):
    for seed in range(20):
        text, blocks = placed(seed)
        page = web_blocks.filled(noisy(text, seed, [kind], 1.0), blocks, 0)
        assert blocks
        assert all(block in page for block, _ in blocks), (kind, seed)


def test_the_answer_has_the_blocks_as_they_are_but_headings_without_marks():
    for seed in range(40):
        text, blocks = placed(seed)
        answer = web_blocks.filled(text, blocks, 1)
        for page, wanted in blocks:
            assert wanted in answer.split(PARAGRAPH)
            assert wanted == (re.sub(r"^#+ ", "", page) if page.startswith("#") else page)


def test_tickets_have_ascending_numbers_and_titles_that_begin_alike():
    alike = 0
    for seed in range(40):
        block, _ = web_blocks._tickets(CLEAN, WORDS, CODE, random.Random(seed))
        lines = block.split("\n")
        numbers = [int(number) for number in re.findall(r"^- \[?[A-Z]+-(\d+)", block, re.M)]
        assert len(numbers) == len(lines)
        assert numbers == sorted(set(numbers))
        titles = [line.split(maxsplit=4)[-1].split()[0] for line in lines]
        alike += len(set(titles)) < len(titles)
    assert alike > 10


def test_snippets_are_runs_of_lines_of_source_code():
    code = "import os\n\n\ndef f(x):\n    return x + 1\n\nprint(f'é')\nf(2)\n"
    assert web_blocks.snippets(code) == ["def f(x):\n    return x + 1"]


def test_pairs_of_all_seeds_keep_numbers_of_their_blocks():
    passages = Passages(("s",), (1.0,), ((CLEAN,),), (np.array([len(CLEAN)]),), WORDS, CODE)
    made = [pairs.make_pair(passages, seed) for seed in range(60)]
    listed = [pair for pair in made if re.search(r"^- \[", pair.clean, re.M)]
    assert listed
    for pair in listed:
        for line in re.findall(r"^- \[.*$", pair.clean, re.M):
            assert line in pair.noisy
