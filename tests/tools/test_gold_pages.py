"""The measure of extraction, the halves, and how pages are joined with their reference texts."""

import gzip
import json

import pytest
import zstandard
from corpusmill.tools.gold_pages import Score, mean, part_of, reference_pages, score

from tests.stages.readers.warc_bytes import answer, record


def test_the_measure_compares_multisets_of_lower_case_words():
    found = score("The river, the RIVER!", "the river rose")
    assert (found.f1, found.precision, found.recall) == pytest.approx((4 / 7, 2 / 4, 2 / 3))
    assert score("", "words") == score("words", "") == score("a", "b") == Score(0, 0, 0)


def test_markdown_marks_are_no_words():
    assert score("## A | b\n\n- c", "A b c").f1 == 1


def test_a_character_of_chinese_or_japanese_is_a_word():
    assert score("大河上涨", "大河下落").precision == 2 / 4


def test_the_headline_may_be_there_or_not():
    reference = "The river rose by a metre."
    assert score(f"Flood\n{reference}", reference, "Flood").f1 == 1
    assert score(reference, reference, "Flood").f1 == 1
    assert score(f"Menu\n{reference}", reference, "Flood").f1 < 1


def test_means_are_over_pages():
    assert mean([Score(1, 1, 1), Score(0, 0.5, 0)]) == Score(0.5, 0.75, 0.5)


def test_all_pages_of_a_site_are_in_one_half_and_the_halves_are_even():
    assert part_of("example.org", 2) == part_of("example.org", 2)
    assert 450 < sum(part_of(f"site-{number}.org", 2) for number in range(1000)) < 550


def test_pages_are_joined_with_their_texts_by_id(tmp_path):
    rows: list[dict[str, object]] = [
        {"gt_kind": "full_text", "text": "Rose.", "page_type": "forum", "domain": "a.org"},
        {"gt_kind": "snippets", "text": None, "page_type": None, "domain": "b.org"},
    ]
    rows = [
        row | {"id": f"p{number}", "title": "Flood", "source": "wcxb-dev"}
        for number, row in enumerate(rows)
    ]
    (tmp_path / "web").mkdir()
    crawl = b"".join(
        gzip.compress(record(number, answer(b"<p>Rose.", X_Corpus_Id=f"p{number}")))
        for number in range(3)
    )
    (tmp_path / "web" / "crawl-000.warc.gz").write_bytes(crawl)
    packed = zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    (tmp_path / "web" / "ground_truth.jsonl.zst").write_bytes(packed)
    (page,) = reference_pages(tmp_path)
    assert (page.id, page.reference, page.title, page.kind) == ("p0", "Rose.", "Flood", "forum")
    assert (page.payload, page.domain, page.source) == (b"<p>Rose.", "a.org", "wcxb-dev")
    assert reference_pages(tmp_path, sources=["cleaneval"]) == []
