"""A new snapshot against the signatures of earlier runs."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.dedup.earlier import SKETCH
from corpusmill.stages.dedup.explain import explain, explanation_text
from corpusmill.stages.dedup.signatures.sketches import sketch_similarity

from tests.stages.dedup.corpus import (
    Result,
    document,
    edited,
    mixed_rows,
    output_digests,
    run,
    words,
    write_shards,
)
from tests.stages.dedup.signatures.test_minhash import plain_jaccard


def first_snapshot(tmp_path: Path, rows: list[dict], **settings) -> Path:
    """A finished run of which only the signatures are left."""
    folder = run(
        write_shards(tmp_path / "old", rows[::2], rows[1::2]),
        tmp_path / "first",
        signatures=True,
        **settings,
    ).folder
    shutil.rmtree(folder / "documents")
    shutil.rmtree(folder / "excluded")
    shutil.rmtree(folder / "work")
    return folder


def against(tmp_path: Path, earlier: Path, *shards: list[dict], **settings) -> Result:
    paths = write_shards(tmp_path / "new", *shards)
    step = Step("dedup", "dedup", (), {"against": [str(earlier)], **settings})
    manifest = run_step(step, tuple(map(str, paths)), str(tmp_path / "second"), InlineRunner())
    rows = {
        where: [
            row
            for path in sorted((tmp_path / "second" / where).glob("*"))
            for row in pq.read_table(path).to_pylist()
        ]
        for where in ("documents", "excluded")
    }
    return Result(tmp_path / "second", manifest, rows["documents"], rows["excluded"])


def test_a_run_without_signatures_is_refused_with_the_mend(tmp_path):
    rows = [document("a", " ".join(words(1)))]
    folder = run(write_shards(tmp_path / "old", rows), tmp_path / "first").folder
    with pytest.raises(RecipeError, match=r"first holds no signatures; run .* signatures=true"):
        against(tmp_path, folder, rows)


def test_documents_fall_to_earlier_ones_whose_text_is_gone(tmp_path):
    old = words(1)
    near = " ".join(edited(old, 2))
    earlier = first_snapshot(
        tmp_path, [document("old", " ".join(old)), document("other", " ".join(words(2)))]
    )
    shards = (
        [document("again", " ".join(old)), document("new", " ".join(words(3)))],
        [document("near", f"{near} longer by far")],
    )
    result = against(tmp_path, earlier, *shards)
    assert result.kept_ids == ["new"]
    assert result.removed_row("again")["detail"] == "duplicate_of=old"
    similarity = plain_jaccard(f"{near} longer by far", " ".join(old))
    row = result.removed_row("near")
    assert (row["reason"], row["detail"]) == (
        "dedup.fuzzy",
        f"duplicate_of=old jaccard={similarity:.3f}",
    )
    # The earlier document and two of this run.
    assert (row["cluster_id"], row["cluster_size"]) == (
        "old",
        3,
    )


def test_the_result_is_that_of_both_snapshots_together_with_the_old_one_first(tmp_path):
    rows = mixed_rows()
    old = [{**row, "id": f"a{row['id']}"} for row in rows[::3]]
    new = [{**row, "id": f"b{row['id']}"} for i, row in enumerate(rows) if i % 3]
    result = against(
        tmp_path,
        first_snapshot(tmp_path, old, survivor="first"),
        new[:30],
        new[30:],
        survivor="first",
    )
    together = run(
        write_shards(tmp_path / "both", old, new), tmp_path / "together", survivor="first"
    )
    assert result.kept_ids == [name for name in together.kept_ids if name.startswith("b")]
    assert result.removed


@pytest.mark.parametrize("partitions", [2, 7])
def test_partitions_do_not_change_a_byte(tmp_path, partitions):
    rows = mixed_rows()
    earlier = first_snapshot(tmp_path, rows[::3])
    new = [{**row, "id": f"b{row['id']}"} for row in rows]
    one = against(tmp_path / "one", earlier, new[:30], new[30:])
    cut = against(tmp_path / "cut", earlier, new[:30], new[30:], partitions=partitions)
    assert output_digests(one) == output_digests(cut)


def test_synthetic_rows_keep_to_their_parent_over_snapshots_too(tmp_path):
    text = " ".join(words(1))
    row = document("s1", text, kind="synthetic", lineage={"parent": "p1"})
    earlier = first_snapshot(tmp_path, [row])
    same, other = {**row, "id": "s2"}, {**row, "id": "s3", "lineage": {"parent": "p2"}}
    assert against(tmp_path, earlier, [same, other]).kept_ids == ["s3"]


def test_signatures_of_other_settings_are_refused(tmp_path):
    earlier = first_snapshot(tmp_path, [document("a", "one")], preset="dolma")
    with pytest.raises(RecipeError, match="other settings"):
        against(tmp_path, earlier, [document("b", "one")])


def test_explain_says_that_the_survivor_is_an_earlier_one(tmp_path):
    earlier = first_snapshot(tmp_path, [document("old", " ".join(words(1)))])
    result = against(
        tmp_path,
        earlier,
        [document("again", " ".join(words(1))), document("new", " ".join(words(2)))],
    )
    assert "survivor  old  (kept by an earlier run)" in explanation_text(
        explain(str(result.folder), "again")
    )


def halves(hashes: np.ndarray) -> np.ndarray:
    return (hashes[:SKETCH] >> np.uint64(32)).astype(np.uint32)


@pytest.mark.parametrize("size", [1, 50, SKETCH])
def test_a_sketch_of_all_shingles_gives_the_true_similarity(size):
    hashes = np.sort(np.random.default_rng(size).integers(0, 2**64, 3 * size, dtype=np.uint64))
    left, right = np.sort(hashes[: 2 * size]), np.sort(hashes[size : 2 * size])
    assert sketch_similarity(left, halves(right), len(right)) == pytest.approx(size / (2 * size))


def test_a_sketch_of_the_least_shingles_estimates_the_similarity_within_its_stated_error():
    source, errors = np.random.default_rng(5), []
    for _ in range(100):
        hashes = source.integers(0, 2**64, 6000, dtype=np.uint64)
        left, right = np.sort(hashes[:5400]), np.sort(hashes[600:])
        errors.append(sketch_similarity(left, halves(right), len(right)) - 0.8)
    error = (0.8 * 0.2 / SKETCH) ** 0.5
    assert abs(np.mean(errors)) < 4 * error / 10
    assert 0.7 * error < np.std(errors) < 1.2 * error
