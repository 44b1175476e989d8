"""Semantic dedup end to end with a real encoder: what goes, what stays, and that nothing but
documents and settings decides.
"""

import random

import numpy as np
import pytest
from corpusmill.classifiers.encoder import EncoderSettings
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.stages.semantic_dedup.clusters import moved, nearest
from corpusmill.stages.semantic_dedup.match import survivors
from corpusmill.stages.semantic_dedup.settings import SemanticDedupSettings
from corpusmill.stages.semantic_dedup.vectors import draw_of

from tests.classifiers.tiny_encoders import WORDS, write_encoder
from tests.stages.small_corpus import bytes_of, rows_of, run, write_shard


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


def document(name, words, quality=None):
    return {"id": name, "text": words, "source": "test", "kind": "actual", "quality": quality}


def corpus(count=60):
    """Documents of unlike words, and for every fifth a longer one of nearly the same meaning."""
    rows = []
    for number in range(count):
        words = " ".join(random.Random(number).choices(WORDS, k=6))
        rows.append(document(f"d{number:03d}", words, number % 20))
        if number % 5 == 0:
            rows.append(document(f"t{number:03d}", f"{words}  \n\n", 1))
    return random.Random(0).sample(rows, len(rows))


def semantic_dedup(tmp_path, encoder, *shards, name="out", **given):
    paths = [
        write_shard(tmp_path / f"in-{name}" / f"part-{n}.parquet", rows)
        for n, rows in enumerate(shards)
    ]
    settings = {"embedding": {"encoder": encoder, "max_tokens": 32, "device": "cpu"}, **given}
    settings.setdefault("similarity", 0.999)
    manifest = run("semantic-dedup", settings, tmp_path / name, *paths)
    return manifest, rows_of(tmp_path / name), rows_of(tmp_path / name, "excluded")


def test_twins_go_and_name_who_stays(tmp_path, encoder):
    rows = corpus()
    manifest, kept, gone = semantic_dedup(tmp_path, encoder, rows)
    assert {row["id"] for row in gone} == {f"d{n:03d}" for n in range(0, 60, 5)}
    for row in gone:
        assert row["reason"] == "semantic_dedup.similar"
        like, cosine = row["detail"].split()
        assert like == f"like=t{row['id'][1:]}"  # the longer one stays
        assert float(cosine.removeprefix("cosine=")) >= 0.999
    assert [row["id"] for row in kept] == [
        row["id"] for row in rows if row["id"] not in {gone_row["id"] for gone_row in gone}
    ]
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.kept, counts.excluded) == (
        72,
        60,
        {"semantic_dedup.similar": 12},
    )


def test_the_survivor_rule_decides_who_stays(tmp_path, encoder):
    _, _, gone = semantic_dedup(tmp_path, encoder, corpus(), survivor="best_quality")
    # d000 has quality 0; the other originals have more than their twins, or the smaller id
    assert {row["id"] for row in gone} == {"d000"} | {f"t{n:03d}" for n in range(5, 60, 5)} - {
        f"t{n:03d}" for n in (20, 40)
    } | {"d020", "d040"}


def test_shards_and_partitions_do_not_change_what_goes(tmp_path, encoder):
    rows = corpus()
    _, _, whole = semantic_dedup(tmp_path, encoder, rows, name="whole", clusters=4, sample=4)
    parts = rows[:3], rows[3:40], rows[40:]
    _, _, spread = semantic_dedup(
        tmp_path, encoder, *parts, name="spread", clusters=4, sample=4, partitions=3
    )
    decided = {row["id"]: row["detail"] for row in whole}
    assert decided == {row["id"]: row["detail"] for row in spread}
    assert decided


def test_a_sample_of_no_document_makes_one_cluster(tmp_path, encoder):
    rows = [row for row in corpus() if draw_of(row["id"]) >= 2**64 // 10]
    _, kept, gone = semantic_dedup(tmp_path, encoder, rows, clusters=1, sample=1, rounds=2)
    assert min(map(draw_of, (row["id"] for row in rows))) > 2**64 // len(rows)  # the share
    assert {row["id"] for row in gone} <= {f"d{number:03d}" for number in range(0, 60, 5)}
    assert gone
    assert len(kept) + len(gone) == len(rows)


@pytest.mark.parametrize("lost", ["vectors", "assign", "match", "semantic_dedup"])
def test_a_run_is_taken_up_where_it_stopped(tmp_path, encoder, lost):
    rows = corpus()
    semantic_dedup(tmp_path, encoder, rows[:30], rows[30:])
    before = bytes_of(tmp_path / "out", "documents", "excluded")
    assert len(before) == 4
    (tmp_path / "out" / "manifest.json").unlink()
    for receipt in sorted((tmp_path / "out" / "receipts" / lost).iterdir())[:1]:
        receipt.unlink()
    semantic_dedup(tmp_path, encoder, rows[:30], rows[30:])
    assert bytes_of(tmp_path / "out", "documents", "excluded") == before


def test_a_chain_loses_only_its_middle():
    angles = np.radians([0, 20, 40, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    keeper, similarity = survivors(vectors, _settings(np.cos(np.radians(25))))
    assert keeper.tolist() == [0, 0, 2, 3]
    assert similarity[1] == pytest.approx(np.cos(np.radians(20)), abs=1e-6)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_blocks_decide_as_one_comparison_with_all(rows, monkeypatch):
    monkeypatch.setattr("corpusmill.stages.semantic_dedup.match.ROWS", rows)
    random_ = np.random.default_rng(0)
    vectors = random_.normal(size=(60, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    keeper, _ = survivors(vectors, _settings(0.9))
    stays: list[int] = []
    for place in range(60):
        likes = [(float(vectors[place] @ vectors[other]), other) for other in stays]
        best = max(likes, default=(-1.0, place))
        if best[0] >= 0.9:
            assert keeper[place] == best[1]
        else:
            stays.append(place)
            assert keeper[place] == place
    assert 0 < len(stays) < 60


def test_centres_find_groups_and_an_empty_one_stays():
    random_ = np.random.default_rng(0)
    groups = np.eye(4, dtype=np.float32)[[0, 1, 2]].repeat(30, 0)
    vectors = (groups + random_.normal(scale=0.05, size=groups.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centres = np.stack([vectors[0], vectors[30], vectors[60], -np.ones(4, np.float32) / 2])
    for _ in range(5):
        centres = moved(vectors, centres)
    assert np.abs(centres[:3] - np.eye(4)[:3]).max() < 0.05
    assert (centres[3] == -0.5).all()
    assert nearest(vectors, centres).tolist() == [0] * 30 + [1] * 30 + [2] * 30


def test_an_empty_sample_makes_one_cluster(tmp_path, encoder):
    rows = [row for row in corpus(20) if row["id"] not in ("d000", "t000")]
    _, _, whole = semantic_dedup(tmp_path, encoder, rows, name="whole")
    unseen = [row for row in rows if draw_of(row["id"]) >= 2**61]
    assert len(unseen) > 8  # so the sample takes less than an eighth, and none of these
    _, _, gone = semantic_dedup(tmp_path, encoder, unseen, clusters=1, sample=1)
    there = {row["id"] for row in unseen}
    assert {row["id"] for row in gone} == {
        row["id"] for row in whole if row["id"] in there and row["detail"].split()[0][5:] in there
    }


def test_an_encoder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(CorpusmillError, match="encoder"):
        semantic_dedup(tmp_path, str(tmp_path / "nothing"), corpus())


def test_a_shard_without_documents_is_no_trouble(tmp_path, encoder):
    _, kept, gone = semantic_dedup(tmp_path, encoder, [], corpus()[:6])
    assert len(kept) + len(gone) == 6
    _, kept, gone = semantic_dedup(tmp_path, encoder, [], name="empty")
    assert (kept, gone) == ([], [])


def _settings(similarity):
    return SemanticDedupSettings(embedding=EncoderSettings(encoder="unused"), similarity=similarity)
