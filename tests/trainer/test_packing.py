"""Packing: rows that documents fill, whole where they fit, each token once."""

import hashlib
import itertools
import json
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.trainer import token_shards
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.packing import best_fit, fitted, fitted_rows, in_order, padded, padded_rows
from corpusmill.trainer.ranks import is_first
from corpusmill.trainer.sequences import describe
from corpusmill.trainer.token_shards import catalogue
from corpusmill.trainer.train import train
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTH = 16
LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=60)

# Digests of rows as they were before documents could share rows by best fit.
GOLDEN = {
    ("concat", 0.0, False): "62e4d521961121a20bd36121a3106e1a",
    ("pad", 0.0, False): "aa4fdc7537273bd5c7320c078b099194",
    ("concat", 0.3, False): "3bf09ef6db084b65eb53b179007af19d",
    ("concat", 0.3, True): "2a99cbcdcc288acb98b98165c39329e0",
    ("pad", 0.3, False): "db2f1e009c5892c725ff96f43805dda1",
    ("pad", 0.3, True): "99308414410b0b82649888cdfcfe1b2e",
}


def rows_of(pieces):
    """Each row as a list of (document, first token, length)."""
    columns = (pieces.documents.tolist(), pieces.firsts.tolist(), pieces.lengths.tolist())
    every = list(zip(*columns, strict=True))
    starts = pieces.row_starts.tolist()
    return [every[start:end] for start, end in itertools.pairwise(starts)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), max_size=50))
def test_best_fit_is_the_slow_search_for_the_fullest_bin(sizes):
    left: list[int] = []
    expected: dict[int, int] = {}
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        fits = [(room, number) for number, room in enumerate(left) if room >= sizes[place]]
        if fits:
            number = min(fits)[1]
        else:
            number = len(left)
            left.append(20)
        left[number] -= sizes[place]
        expected[place] = number
    bins, count = best_fit(np.array(sizes, dtype=np.int64), 20)
    assert bins.tolist() == [expected[place] for place in range(len(sizes))]
    assert count == len(left)
    assert best_fit(np.array(sizes[::-1], dtype=np.int64), 20)[1] == count


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 20), st.integers(1, 3), st.integers(0, 99))
def test_documents_share_rows_and_none_that_fits_is_cut(lengths, length, groups, seed):
    rng = np.random.default_rng(seed)
    sizes, group_of = np.array(lengths), rng.integers(0, groups, len(lengths))
    pieces = fitted(sizes, group_of, length)
    rows = rows_of(in_order(pieces, rng.permutation(len(pieces.row_starts) - 1)))
    assert sorted(map(str, rows)) == sorted(map(str, rows_of(pieces)))
    assert len(rows) == sum(
        fitted_rows(sizes[group_of == group], length) for group in set(group_of.tolist())
    )
    targets: Counter[tuple[int, int]] = Counter()
    count: Counter[int] = Counter()
    for row in rows:
        assert 0 < sum(taken for _, _, taken in row) <= length + 1
        assert len({group_of[document] for document, _, _ in row}) == 1
        assert row == sorted(row)
        for document, first, taken in row:
            count[document] += 1
            targets.update((document, token) for token in range(first + 1, first + taken))
    assert targets == Counter((d, t) for d, size in enumerate(lengths) for t in range(1, size))
    for document, size in enumerate(lengths):
        assert count[document] == (padded_rows(np.array([size]), length)[0] if size else 0)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 20))
def test_pad_gives_every_document_rows_of_its_own(lengths, length):
    rows = rows_of(padded(np.array(lengths), length))
    assert all(len(row) == 1 for row in rows)
    assert [row[0][0] for row in rows] == sorted(row[0][0] for row in rows)
    assert {row[0][0] for row in rows} == set(range(len(lengths)))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Two hundred documents of up to 60 tokens in two phases, some empty, some with a prompt."""
    rng = random.Random(7)
    documents = [[rng.randrange(64) for _ in range(rng.randint(0, 60))] for _ in range(200)]
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("n_prompt", pa.int32()),
            ("phase", pa.int16()),
        ]
    )
    paths = []
    for shard in range(4):
        rows = [
            {
                "id": f"doc-{i}",
                "tokens": documents[i],
                "n_prompt": (i % 3) * 2,
                "phase": shard // 2,
            }
            for i in range(shard * 50, shard * 50 + 50)
        ]
        paths.append(tmp_path_factory.mktemp("pack") / f"{shard}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema), paths[-1], row_group_size=7)
    return paths


@pytest.mark.parametrize(("pack", "fraction", "held_out"), GOLDEN)
def test_concat_and_pad_give_the_rows_that_they_always_gave(shards, pack, fraction, held_out):
    stream = PackedStream(catalogue(shards, LENGTH, fraction), 3, pack, 3, held_out=held_out)
    digest = hashlib.sha256()
    for number in range(2 * stream.epoch_rows + 5):
        row = stream.row(number)
        for array in (row.tokens, row.loss_mask, row.document_ids):
            digest.update(array.tobytes())
        digest.update(repr(tuple(map(tuple, row.documents))).encode())
        types = (row.tokens.dtype, row.loss_mask.dtype, row.document_ids.dtype)
        before, left = stream.documents_before(number), stream.documents_from(number)
        digest.update(repr((*types, before, left)).encode())
    assert digest.hexdigest()[:32] == GOLDEN[pack, fraction, held_out]


def test_rows_mix_other_documents_in_another_epoch(shards):
    stream = PackedStream(catalogue(shards, LENGTH), 3, "best_fit", 3)
    epochs = [
        {
            frozenset(span.id for span in stream.documents_of(epoch * stream.epoch_rows + row))
            for row in range(stream.epoch_rows)
        }
        for epoch in range(2)
    ]
    shared = [row for row in epochs[0] & epochs[1] if len(row) > 1]
    assert len(shared) < 0.9 * sum(len(row) > 1 for row in epochs[0])


def test_padding_counts_in_no_loss_and_is_a_document_of_its_own(shards):
    stream = PackedStream(catalogue(shards, LENGTH), 3, "best_fit", 3)
    padded_targets = 0
    for number in range(stream.epoch_rows):
        row = stream.row(number)
        filled = sum(end - begin for _, (begin, end) in row.documents)
        padded_targets += LENGTH + 1 - filled
        assert not row.tokens[filled:].any()
        assert not row.loss_mask[filled - 1 :].any()
        assert set(row.document_ids[filled:].tolist()) <= {len(row.documents)}
        assert len(set(row.document_ids[:filled].tolist())) <= len(row.documents)
    assert 0 < padded_targets < 0.1 * stream.epoch_rows * LENGTH


def test_the_description_counts_what_the_rows_hold(shards):
    corpus = catalogue(shards, LENGTH, 0.3)
    described = json.loads(describe(corpus, "best_fit"))
    assert described["documents"] == sum(group.documents for group in corpus.training)
    for pack, figures in described["packings"].items():
        stream = PackedStream(corpus, 3, pack, 3)
        assert figures["sequences"] == stream.epoch_rows
        pieces: Counter[str] = Counter()
        padding = 0
        for number in range(stream.epoch_rows):
            spans = stream.documents_of(number)
            pieces.update({span.id for span in spans})
            padding += LENGTH + 1 - sum(end - begin for _, (begin, end) in spans)
        if pack != "concat":
            assert figures["padding"] == pytest.approx(
                padding / stream.epoch_rows / LENGTH, abs=1e-6
            )
            cut = sum(count > 1 for count in pieces.values())
            assert figures["documents_cut"] == pytest.approx(cut / described["documents"], abs=1e-6)
    cuts = {pack: figures["documents_cut"] for pack, figures in described["packings"].items()}
    assert cuts["best_fit"] == cuts["pad"] < cuts["concat"]


def test_only_a_report_and_best_fit_itself_count_the_rows_of_best_fit(
    shards, make_config, tmp_path, monkeypatch
):
    counted = []

    def count(lengths, sequence_length):
        counted.append(len(lengths))
        return fitted_rows(lengths, sequence_length)

    monkeypatch.setattr(token_shards, "fitted_rows", count)
    report = tmp_path / "concat" / "sequences.json"
    for pack, again in (("concat", False), ("best_fit", True)):
        config = make_config(steps=1, pack=pack, reset_at_documents=pack == "best_fit")
        train(config, shards, tmp_path / pack)
        assert counted
        counted.clear()
        train(config, shards, tmp_path / pack)
        assert bool(counted) == again
        counted.clear()
    written = report.read_bytes()
    report.unlink()
    train(make_config(steps=1), shards, tmp_path / "concat")
    assert report.read_bytes() == written
    assert counted


def test_ranks_but_the_first_do_not_write_the_report(monkeypatch):
    assert is_first()
    for rank, first in (("0", True), ("1", False)):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", rank)
        assert is_first() is first


def test_a_catalogue_without_best_fit_says_so(shards):
    corpus = catalogue(shards, LENGTH, fitted=False)
    assert PackedStream(corpus, 3, "pad").epoch_rows
    with pytest.raises(ValueError, match="without the rows of packing best_fit"):
        PackedStream(corpus, 3, "best_fit")


def test_concat_cuts_about_as_many_documents_as_described(tmp_path, write_shards):
    rng = random.Random(1)
    documents = [list(range(2, 2 + rng.randint(2, 25))) for _ in range(1500)]
    corpus = catalogue(write_shards(documents, documents_per_row_group=100), LENGTH)
    stream = PackedStream(corpus, 0, "concat")
    whole = {
        span.id
        for row in range(stream.epoch_rows)
        for span in stream.documents_of(row)
        if span.span == (0, len(documents[int(span.id.removeprefix("doc-"))]))
    }
    described = json.loads(describe(corpus, "concat"))["packings"]["concat"]
    assert described["documents_cut"] == pytest.approx(1 - len(whole) / 1500, abs=0.03)
