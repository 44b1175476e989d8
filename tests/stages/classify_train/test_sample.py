"""The training sample: even shares of every file, drawn by hashes of ids, held out by text."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import artifact_of
from corpusmill.stages.classify_train.sample import (
    LABELLED,
    POSITIVE,
    count,
    fill,
    labelled_records,
    merged_rows,
    select,
)
from corpusmill.stages.readers import ReaderSettings
from hypothesis import given
from hypothesis import strategies as st

READER = ReaderSettings()
files = st.dictionaries(
    st.text("abc", min_size=1, max_size=4), st.integers(0, 30), min_size=1, max_size=8
)


@given(files, st.integers(0, 120), st.integers(0, 5))
def test_shares_are_even_as_far_as_files_reach_and_add_up(available, wanted, seed):
    taken = fill(available, wanted, seed)
    assert sum(taken.values()) == min(wanted, sum(available.values()))
    assert all(0 <= taken[name] <= available[name] for name in available)
    most = max(taken.values())
    assert all(taken[name] >= most - 1 for name in available if taken[name] < available[name])


@given(files, st.integers(0, 120))
def test_shares_do_not_depend_on_the_order_of_the_files(available, wanted):
    assert fill(available, wanted, 1) == fill(dict(reversed(available.items())), wanted, 1)


def write_jsonl(path, rows):
    data = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(zstandard.compress(data) if path.suffix == ".zst" else data)
    return artifact_of(str(path))


def selected(tmp_path, artifact, quota, seed=0, held_out=0.3, name="positive-a"):
    shard = Shard(name, (artifact,), str(tmp_path / f"out{seed}{quota}"))
    select(POSITIVE, "label", READER, "test", {"1": quota}, held_out, 100, seed, shard)
    return shard.outputs[0]


def rows_of(artifact):
    return pq.read_table(artifact.path).to_pylist()


def test_a_smaller_quota_takes_a_part_of_what_a_larger_one_takes(tmp_path):
    artifact = write_jsonl(
        tmp_path / "a.jsonl", [{"id": str(n), "text": f"text {n}"} for n in range(200)]
    )
    small, large = (
        rows_of(selected(tmp_path, artifact, 20)),
        rows_of(selected(tmp_path, artifact, 50)),
    )
    assert len(small) == 20
    assert small == large[:20]
    assert [row["rank"] for row in large] == sorted(row["rank"] for row in large)


def test_another_seed_draws_another_sample(tmp_path):
    artifact = write_jsonl(
        tmp_path / "a.jsonl", [{"id": str(n), "text": f"text {n}"} for n in range(200)]
    )
    one, other = (
        {row["id"] for row in rows_of(selected(tmp_path, artifact, 20, seed))} for seed in (0, 1)
    )
    assert one != other


def test_equal_texts_are_never_on_both_sides(tmp_path):
    artifact = write_jsonl(
        tmp_path / "a.jsonl", [{"id": str(n), "text": f"text {n % 40}"} for n in range(200)]
    )
    sides: dict[str, set[bool]] = {}
    for row in rows_of(selected(tmp_path, artifact, 200)):
        sides.setdefault(row["text"], set()).add(row["held_out"])
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {True, False}


def test_texts_are_cut_and_blank_ones_left_out(tmp_path):
    artifact = write_jsonl(
        tmp_path / "a.jsonl", [{"id": "long", "text": "x" * 500}, {"id": "blank", "text": " \n"}]
    )
    (row,) = rows_of(selected(tmp_path, artifact, 5))
    assert row["text"] == "x" * 100


def test_files_sorted_by_rank_merge_into_one_stream(tmp_path):
    parts = []
    for name in ("a", "b", "c"):
        artifact = write_jsonl(
            tmp_path / f"{name}.jsonl",
            [{"id": f"{name}{n}", "text": f"{name} {n}"} for n in range(70)],
        )
        parts.append(selected(tmp_path, artifact, 70, name=f"positive-{name}"))
    ranks = [row["rank"] for row in merged_rows(tuple(parts), "text")]
    assert len(ranks) == 210
    assert ranks == sorted(ranks)


def test_counting_tells_labels_from_what_cannot_be_learned_from(tmp_path):
    rows = [
        {"text": "good", "label": 4.6},
        {"text": "bad", "label": "0"},
        {"text": "yes", "label": True},
        {"text": "", "label": 1},
        {"text": "no label"},
        {"text": "words", "label": "high"},
        {"text": "not a number", "label": float("nan")},
        {"text": "no float32", "label": 1e300},
        {"text": "no float", "label": 10**400},
        {"text": 17, "label": 1},
        "no JSON\n",
        "\n",
        "[1]\n",
    ]
    shard = Shard(
        "labelled-a", (write_jsonl(tmp_path / "a.jsonl.zst", rows),), str(tmp_path / "out")
    )
    count(LABELLED, "label", READER, "test", shard)
    found = json.loads((tmp_path / "out/work/count/labelled-a.json").read_text())
    assert found == {"5": 1, "0": 1, "1": 1}
    account = select(LABELLED, "label", READER, "test", {"1": 1, "5": 1}, 0.1, 100, 0, shard)
    assert (account.rows_in, account.sent, account.conserved) == (12, 2, True)
    assert account.unused == {"test.no_text_or_label": 7, "test.not_sampled": 1}
    assert (account.failed, account.failures) == (2, {"error_read.json": 2})


def test_a_truncated_file_gives_what_it_holds_and_one_failure(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    whole = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(whole, closefd=False) as writer:
        for number in range(20_000):
            writer.write(
                json.dumps({"text": f"text {number * 7919 % 20_011}", "label": number % 2}).encode()
                + b"\n"
            )
    path.write_bytes(whole.getvalue()[:-2000])
    records = list(labelled_records(artifact_of(str(path)), LABELLED, "label", READER, "test"))
    assert records[-1].failure.startswith("error_read.")
    assert 0 < len(records) < 20_000
    assert sum(record.stratum is None for record in records) <= 2


def test_labelled_parquet_needs_no_id(tmp_path):
    pq.write_table(pa.table({"text": ["a", "b"], "grade": [0, 5]}), tmp_path / "a.parquet")
    artifact = artifact_of(str(tmp_path / "a.parquet"))
    records = list(labelled_records(artifact, LABELLED, "grade", READER, "test"))
    assert [record.label for record in records] == [0.0, 5.0]
    assert len({record.id for record in records}) == 2


def test_a_text_column_of_numbers_holds_nothing_to_learn_from(tmp_path):
    pq.write_table(pa.table({"text": [1, 2], "grade": [0, 5]}), tmp_path / "a.parquet")
    artifact = artifact_of(str(tmp_path / "a.parquet"))
    records = list(labelled_records(artifact, LABELLED, "grade", READER, "test"))
    assert [record.stratum for record in records] == [None, None]


def test_a_missing_label_column_is_named(tmp_path):
    from corpusmill.manifests.errors import InputError

    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no column grade"):
        list(
            labelled_records(
                artifact_of(str(tmp_path / "a.parquet")), LABELLED, "grade", READER, "test"
            )
        )
