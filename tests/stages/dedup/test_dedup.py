"""The dedup stage end to end, through the executor: what is removed, for whom, and that nothing
else decides it.
"""

import random
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.schema import DOCUMENT, EXCLUSION, extended
from corpusmill.stages.contract import Inputs, PassResult
from corpusmill.stages.dedup.settings import CLUSTER_COLUMNS
from corpusmill.stages.dedup.stage import Dedup

from tests.stages.dedup.corpus import (
    dedup,
    document,
    edited,
    mixed_rows,
    run,
    words,
    write_shards,
)
from tests.stages.dedup.signatures.test_minhash import plain_jaccard


def test_unlike_documents_stay_each_its_own_cluster(tmp_path):
    result = dedup(tmp_path, [document(f"d{i}", " ".join(words(i))) for i in range(5)])
    assert result.removed == []
    assert [(row["id"], row["cluster_id"], row["cluster_size"]) for row in result.kept] == [
        (f"d{i}", f"d{i}", 1) for i in range(5)
    ]


def test_exact_duplicates_are_found_across_shards_whatever_their_white_space(tmp_path):
    result = dedup(
        tmp_path,
        [document("c", "Same words,\n\nsame order."), document("x", "other")],
        [document("a", "Same  words, same order. ")],
        [document("b", "Same words, same order.")],
        survivor="first",
    )
    assert result.kept_ids == ["a", "x"]
    row = result.removed_row("c")
    assert (row["stage"], row["reason"], row["detail"]) == (
        "dedup",
        "dedup.exact",
        "duplicate_of=a",
    )
    assert [(kept["id"], kept["cluster_size"]) for kept in result.kept if kept["id"] == "a"] == [
        ("a", 3)
    ]


def test_a_near_duplicate_is_removed_with_its_survivor_and_their_similarity(tmp_path):
    text = " ".join([*words(1), "and so it goes on to its very end"])
    near = " ".join(edited(words(1), 3))
    result = dedup(tmp_path, [document("long", text)], [document("near", near)])
    assert result.kept_ids == ["long"]
    row = result.removed_row("near")
    similarity = plain_jaccard(near, text)
    assert (row["reason"], row["detail"]) == (
        "dedup.fuzzy",
        f"duplicate_of=long jaccard={similarity:.3f}",
    )
    assert (row["cluster_id"], row["cluster_size"]) == ("long", 2)
    assert row["cluster_similarity"] == pytest.approx(similarity)
    assert result.kept[0]["cluster_similarity"] == 1.0


def test_texts_that_differ_in_case_and_punctuation_are_near_duplicates_of_similarity_one(tmp_path):
    text = " ".join(words(1))
    result = dedup(tmp_path, [document("a", text), document("b", text.upper())], survivor="first")
    assert result.removed_row("b")["detail"] == "duplicate_of=a jaccard=1.000"


def test_look_alikes_below_the_threshold_stay(tmp_path):
    text = words(1)
    near = edited(text, 8)
    assert 0.6 < plain_jaccard(" ".join(text), " ".join(near)) < 0.8
    result = dedup(
        tmp_path, [document("a", " ".join(text)), document("b", " ".join(near))], bands=50, rows=2
    )
    assert result.kept_ids == ["a", "b"]


def test_a_chain_of_look_alikes_does_not_swallow_its_far_end(tmp_path):
    """A is like B and B is like C, but A is unlike C. Whichever comes first, A and C both stay."""
    middle = words(1)
    left, right = (
        edited(middle, 4, seed=1),
        [*edited(middle[:100], 0), *edited(middle[100:], 4, seed=2)],
    )
    texts = {"a": " ".join(left), "b": " ".join(middle), "c": " ".join(right)}
    assert plain_jaccard(texts["a"], texts["b"]) >= 0.8 <= plain_jaccard(texts["b"], texts["c"])
    assert plain_jaccard(texts["a"], texts["c"]) < 0.8
    shard = [document(name, text) for name, text in texts.items()]
    assert dedup(tmp_path, shard, survivor="first", bands=50, rows=2).kept_ids == ["a", "c"]


def test_a_chain_of_unverified_links_loses_only_what_is_like_the_survivor(tmp_path):
    """Ten versions, each three words further from the first. A survivor stands for those near it,
    and the next one too far away stands for itself.
    """
    versions = [words(1)]
    for step in range(9):
        versions.append(
            [f"new{step}"] * 0
            + [
                w if not 20 * step <= i < 20 * step + 3 else f"v{step}w{i}"
                for i, w in enumerate(versions[-1])
            ]
        )
    texts = {f"v{i}": " ".join(text) for i, text in enumerate(versions)}
    result = dedup(
        tmp_path,
        [document(name, text) for name, text in texts.items()],
        survivor="first",
        bands=50,
        rows=2,
    )
    assert 1 < len(result.kept) < 10
    for row in result.removed:
        assert plain_jaccard(row["text"], texts[row["cluster_id"]]) >= 0.8
    kept = [texts[name] for name in result.kept_ids]
    assert all(
        plain_jaccard(one, other) < 0.8 for one in kept for other in kept if one is not other
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("longest", "d3"), ("first", "d1"), ("newest", "d4"), ("best_quality", "d2")],
)
def test_the_survivor_rule_decides_who_stays(tmp_path, rule, expected):
    text = words(1)
    shard = [
        document("d5", " ".join(text)),
        document("d4", " ".join([*text, "x"]), date="2024-05-01", quality=1),
        document("d3", " ".join([*text, "x", "y", "z"]), date="2021-01-01", quality=7),
        document("d2", " ".join([*text, "x", "y"]), date="2023-12-31", quality=19),
        document("d1", " ".join(text[1:])),
    ]
    result = dedup(tmp_path, shard[:2], shard[2:], survivor=rule)
    assert result.kept_ids == [expected]
    assert result.kept[0]["cluster_size"] == 5


@pytest.mark.parametrize("rule", ["longest", "first", "newest", "best_quality"])
def test_ties_go_to_the_smallest_id(tmp_path, rule):
    shard = [document(name, " ".join(words(1))) for name in ("m", "b", "z")]
    assert dedup(tmp_path, shard, survivor=rule).kept_ids == ["b"]


def test_five_thousand_copies_end_quickly_and_leave_one(tmp_path):
    text = " ".join(words(1, 400))
    rows = [document(f"d{number:04d}", text) for number in range(5000)]
    dedup(tmp_path / "warm", rows[:2])
    started = time.perf_counter()
    result = dedup(tmp_path, rows[:2000], rows[2000:])
    assert time.perf_counter() - started < 5
    assert result.kept_ids == ["d0000"]
    assert result.kept[0]["cluster_size"] == 5000
    assert {row["reason"] for row in result.removed} == {"dedup.exact"}


def test_a_giant_cluster_of_one_template_ends_quickly_and_loses_nothing(tmp_path):
    """3,000 texts share six tenths of their words. With single-row bands all are candidates, but
    none is a duplicate.
    """
    template = words("template", 120)
    rows = [
        document(f"d{number:04d}", " ".join([*template, *words(number, 50)]))
        for number in range(3000)
    ]
    dedup(tmp_path / "warm", rows[:2])
    started = time.perf_counter()
    result = dedup(tmp_path, rows, bands=16, rows=1)
    assert time.perf_counter() - started < 10
    assert len(result.kept) == 3000


def test_empty_texts_are_exact_duplicates_of_each_other_only(tmp_path):
    rows = [
        document("e1", ""),
        document("e2", None),
        document("e3", " \n"),
        document("p1", "..."),
        document("p2", "!!!"),
    ]
    result = dedup(tmp_path, rows)
    assert result.kept_ids == ["e3", "p1", "p2"]  # e3 is the longest of the empty ones
    assert {row["reason"] for row in result.removed} == {"dedup.exact"}


def test_fuzzy_alone_finds_equal_texts_by_their_similarity(tmp_path):
    text = " ".join(words(1))
    result = dedup(
        tmp_path,
        [document("a", text), document("b", text), document("c", ""), document("d", "")],
        exact=False,
    )
    assert result.kept_ids == ["a", "c", "d"]
    assert result.removed_row("b")["detail"] == "duplicate_of=a jaccard=1.000"


def test_exact_alone_leaves_near_duplicates(tmp_path):
    text = words(1)
    rows = [
        document("a", " ".join(text)),
        document("b", " ".join(text)),
        document("c", " ".join(edited(text, 1))),
    ]
    assert dedup(tmp_path, rows, fuzzy=False).kept_ids == ["a", "c"]


def test_a_copy_of_a_near_duplicate_goes_where_the_near_duplicate_goes(tmp_path):
    text = words(1)
    near = " ".join(edited(text, 2))
    shards = [document("n1", near)], [document("a", " ".join(text))], [document("n2", near)]
    result = dedup(tmp_path, *shards, survivor="first")
    assert result.kept_ids == ["a"]
    assert {result.removed_row(name)["reason"] for name in ("n1", "n2")} == {"dedup.fuzzy"}
    assert result.removed_row("n1")["detail"] == result.removed_row("n2")["detail"]


def test_short_documents_are_compared_as_one_sequence_of_words(tmp_path):
    rows = [
        document("a", "Page not found."),
        document("b", "page NOT found"),
        document("c", "page found"),
    ]
    assert dedup(tmp_path, rows, survivor="first").kept_ids == ["a", "c"]


def test_near_duplicates_are_found_in_text_without_spaces(tmp_path):
    source = random.Random(4)
    text = "".join(chr(source.randint(0x4E00, 0x5FFF)) for _ in range(300))
    rows = [
        document("a", text),
        document("b", text[:150] + "字" + text[150:]),
        document("c", text[::-1]),
    ]
    result = dedup(tmp_path, rows)
    assert result.kept_ids == ["b", "c"]


def test_the_same_record_read_twice_stays_once(tmp_path):
    """Two inputs that overlap bring the same id twice. Rows are distinguished by their place, not
    by their id.
    """
    text = " ".join(words(1))
    result = dedup(tmp_path, [document("a", text), document("b", "else")], [document("a", text)])
    assert result.kept_ids == ["a", "b"]
    assert result.removed_row("a")["detail"] == "duplicate_of=a"


def test_further_columns_travel_and_the_clusters_come_last(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    table = pa.Table.from_pylist([document("a", "one"), document("b", "one")], schema=DOCUMENT)
    table = table.append_column("edu_score", pa.array([0.5, 0.25], pa.float32()))
    pq.write_table(table, folder / "scored.parquet")
    result = run([folder / "scored.parquet"], tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / "documents" / "scored.parquet")
    expected = extended(*CLUSTER_COLUMNS, of=table.schema)
    assert schema.equals(expected)
    assert pq.read_schema(tmp_path / "out" / "excluded" / "scored.parquet").equals(
        extended(*EXCLUSION, of=expected)
    )
    assert result.removed_row("b")["edu_score"] == 0.25


def test_a_second_dedup_says_its_own_clusters(tmp_path):
    first = dedup(tmp_path, [document("a", "one"), document("b", "one")])
    again = run(sorted((first.folder / "documents").glob("*.parquet")), tmp_path / "again")
    assert [(row["id"], row["cluster_size"]) for row in again.kept] == [("a", 1)]


def test_a_damaged_shard_costs_itself_only(tmp_path):
    paths = write_shards(
        tmp_path / "in", [document("a", "one"), document("b", "one")], [document("c", "two")]
    )
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    result = run(paths, tmp_path / "out")
    assert result.kept_ids == ["a"]
    assert [lost["shard"] for lost in result.manifest.quarantined] == ["000001-part-1"]


def test_a_lost_partition_stops_the_stage_rather_than_leave_duplicates(tmp_path):
    (path,) = write_shards(tmp_path / "in", [document("a", "one")])
    steps = Dedup(partitions=2).passes(
        Inputs(str(tmp_path / "out"), (storage.artifact_of(str(path)),))
    )
    assert next(steps).name == "sign"
    assert steps.send(PassResult({})).name == "match"
    with pytest.raises(CorpusmillError, match="finish 000000 of its pass 'match'"):
        steps.send(PassResult({}))


def test_both_schemes_find_the_same_near_duplicates(tmp_path):
    rows = mixed_rows()
    paths = write_shards(tmp_path / "in", rows)
    fast = run(paths, tmp_path / "fast", bands=30, rows=4)
    classic = run(paths, tmp_path / "classic", bands=30, rows=4, scheme="classic")
    assert fast.kept_ids == classic.kept_ids
