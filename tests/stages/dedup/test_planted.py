"""Near duplicates that were planted: which are found, and that nothing else is removed."""

import random
import re

import pytest

from tests.stages.dedup.corpus import (
    Result,
    dedup,
    document,
    edited,
    words,
)
from tests.stages.dedup.signatures.test_minhash import plain_jaccard, plain_words


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Result, dict[str, str], list[tuple[str, str, float]]]:
    """300 documents, a near duplicate of each at some similarity, and 100 unlike ones. The pairs
    are (original, copy, similarity).
    """
    source = random.Random(11)
    texts, pairs = {}, []
    for number in range(300):
        text = words(number, source.randint(80, 300))
        texts[f"o{number}"] = " ".join(text)
        texts[f"c{number}"] = " ".join(
            edited(text, source.randint(1, len(text) // 25), seed=number)
        )
        similarity = plain_jaccard(texts[f"o{number}"], texts[f"c{number}"])
        pairs.append((f"o{number}", f"c{number}", similarity))
    texts |= {f"u{number}": " ".join(words(f"u{number}", 150)) for number in range(100)}
    rows = [document(name, text) for name, text in texts.items()]
    source.shuffle(rows)
    result = dedup(tmp_path_factory.mktemp("planted"), rows[:300], rows[300:500], rows[500:])
    return result, texts, pairs


def test_planted_near_duplicates_are_found(planted):
    result, _, pairs = planted
    cluster = {row["id"]: row["cluster_id"] for row in [*result.kept, *result.removed]}
    close = [(original, copy) for original, copy, similarity in pairs if similarity >= 0.85]
    assert len(close) >= 100
    found = sum(cluster[original] == cluster[copy] for original, copy in close)
    assert found / len(close) >= 0.95


def test_every_removed_document_is_like_a_survivor_that_was_kept(planted):
    result, texts, _ = planted
    kept = set(result.kept_ids)
    assert result.removed
    for row in result.removed:
        match = re.fullmatch(r"duplicate_of=(\S+) jaccard=([\d.]+)", row["detail"])
        assert match
        survivor, similarity = match.groups()
        assert survivor in kept
        truth = plain_jaccard(row["text"], texts[survivor])
        assert truth >= 0.8
        assert float(similarity) == pytest.approx(truth, abs=0.0006)


def test_nothing_but_planted_copies_is_removed(planted):
    result, _, pairs = planted
    below = {
        name
        for original, copy, similarity in pairs
        if similarity < 0.8
        for name in (original, copy)
    }
    removed = {row["id"] for row in result.removed}
    assert not removed & below
    assert not {name for name in removed if name.startswith("u")}


def test_rows_are_conserved(planted):
    result, texts, _ = planted
    (counts,) = result.manifest.totals
    assert result.manifest.conserved
    assert (counts.rows_in, counts.kept, counts.excluded) == (
        len(texts),
        len(result.kept),
        {"dedup.fuzzy": len(result.removed)},
    )
    assert counts.text_bytes == sum(len(row["text"]) for row in result.kept)
    assert sorted(row["id"] for row in [*result.kept, *result.removed]) == sorted(texts)


def test_the_test_texts_have_the_words_that_they_seem_to_have():
    assert len(plain_words(" ".join(words(1)))) == 200
