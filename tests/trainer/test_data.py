"""The stream of rows: complete, reproducible, and computable from any point."""

from collections import Counter
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.trainer.config import Packing
from corpusmill.trainer.data import PackedStream, rows_of_step
from corpusmill.trainer.rows import DocumentSpan
from corpusmill.trainer.token_shards import catalogue, find_shards, is_held_out

LENGTH = 16
PACKINGS = get_args(Packing)


@pytest.fixture
def stream(write_shards, random_documents):
    def make(pack="concat", seed=1, **options):
        corpus = catalogue(
            write_shards(random_documents), LENGTH, options.pop("eval_fraction", 0.0)
        )
        return PackedStream(
            corpus, seed, pack, shuffle_window=options.pop("shuffle_window", 2), **options
        )

    return make


def test_concat_takes_every_token_of_an_epoch_once(stream, random_documents):
    s = stream()
    total = sum(map(len, random_documents))
    tokens = np.concatenate([s.row(i).tokens[:-1] for i in range(s.epoch_rows)])[:total]
    assert s.epoch_tokens == total
    assert s.epoch_rows == -(-total // LENGTH)
    assert Counter(tokens.tolist()) == Counter(
        token for document in random_documents for token in document
    )


def test_a_rows_last_target_is_the_next_rows_first_input(stream):
    s = stream()
    for i in range(3 * s.epoch_rows):  # through epoch boundaries too
        assert s.row(i).tokens[-1] == s.row(i + 1).tokens[0]


@pytest.mark.parametrize("pack", PACKINGS)
def test_documents_of_names_the_very_tokens_of_the_row(stream, random_documents, pack):
    s = stream(pack)
    for i in range(2 * s.epoch_rows):
        row = s.row(i)
        pieces = [
            random_documents[int(d.id.removeprefix("doc-"))][slice(*d.span)]
            for d in s.documents_of(i)
        ]
        joined = [token for piece in pieces for token in piece]
        assert row.tokens[: len(joined)].tolist() == joined
        if pack == "concat":
            assert len(joined) == LENGTH + 1
            assert (
                row.document_ids.tolist()
                == [n for n, piece in enumerate(pieces) for _ in piece][:-1]
            )


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("pack", PACKINGS)
def test_documents_before_a_row_are_those_that_earlier_rows_hold(stream, pack, held_out):
    s = stream(pack, eval_fraction=0.3, held_out=held_out)
    seen: set[str] = set()
    for i in range(s.epoch_rows + 2):
        assert s.documents_before(i) == len(seen)
        seen |= {document.id for document in s.documents_of(i)}


def test_every_token_but_a_documents_first_is_a_counted_target_exactly_once_an_epoch(
    stream, random_documents
):
    wanted = Counter(
        (f"doc-{i}", p) for i, tokens in enumerate(random_documents) for p in range(1, len(tokens))
    )
    for pack in ("pad", "best_fit"):
        s = stream(pack)
        for epoch in range(2):
            assert counted_targets(s, s.epoch_rows, epoch * s.epoch_rows) == wanted
    s = stream("concat")
    epochs = LENGTH  # after this many epochs, rows and epochs end together
    assert counted_targets(s, epochs * s.epoch_tokens // LENGTH) == Counter(
        dict.fromkeys(wanted, epochs)
    )


def counted_targets(s, rows, first=0):
    found: Counter[tuple[str, int]] = Counter()
    for i in range(first, first + rows):
        row = s.row(i)
        owners = [(d.id, position) for d in row.documents for position in range(*d.span)]
        found.update(
            owner for owner, counts in zip(owners[1:], row.loss_mask, strict=False) if counts
        )
    return found


@pytest.mark.parametrize("pack", PACKINGS)
def test_prompt_tokens_are_inputs_but_never_targets(write_shards, pack):
    documents = [[i] * 4 + list(range(10, 30)) for i in range(6)]
    s = PackedStream(catalogue(write_shards(documents, prompts=[4] * 6), LENGTH), 0, pack)
    targets = [
        t for i in range(s.epoch_rows) for t in s.row(i).tokens[1:][s.row(i).loss_mask].tolist()
    ]
    assert set(targets) == set(range(10, 30))


def test_pad_starts_each_document_on_its_own_row_and_cuts_long_ones(write_shards):
    s = PackedStream(catalogue(write_shards([list(range(1, 41))], shards=1), LENGTH), 0, "pad")
    rows = [s.row(i) for i in range(s.epoch_rows)]
    assert [row.documents for row in rows] == [
        (DocumentSpan("doc-0", (0, 17)),),
        (DocumentSpan("doc-0", (16, 33)),),
        (DocumentSpan("doc-0", (32, 40)),),
    ]
    assert rows[2].tokens.tolist() == [*range(33, 41), *[0] * 9]
    assert rows[2].loss_mask.tolist() == [True] * 7 + [False] * 9
    assert rows[2].document_ids.tolist() == [0] * 8 + [1] * 8


@pytest.mark.parametrize("pack", PACKINGS)
def test_any_row_can_be_computed_without_those_before(stream, pack):
    whole = stream(pack)
    expected = [whole.row(i).tokens.tolist() for i in range(60)]
    for i in reversed(range(60)):
        assert stream(pack).row(i).tokens.tolist() == expected[i]


@pytest.mark.parametrize("pack", PACKINGS)
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_share_the_same_global_batches_whatever_their_number(stream, world_size, pack):
    s = stream(pack)
    for step in range(5):
        whole = [row.tokens.tolist() for row in rows_of_step(s, step, 8)]
        for rank in range(world_size):
            mine = [row.tokens.tolist() for row in rows_of_step(s, step, 8, rank, world_size)]
            assert mine == whole[rank::world_size]


def test_a_batch_that_ranks_cannot_share_is_refused(stream):
    with pytest.raises(CorpusmillError, match="multiple of the number of ranks"):
        list(rows_of_step(stream(), 0, 6, 0, 4))


def test_seed_and_epoch_change_the_order_of_documents(stream):
    def order(s, epoch):
        rows = range(epoch * s.epoch_rows, (epoch + 1) * s.epoch_rows)
        return [d.id for i in rows for d in s.documents_of(i) if d.span[0] == 0]

    one = stream("pad", seed=1)
    assert order(one, 0) == order(stream("pad", seed=1), 0)
    assert order(one, 0) != order(one, 1)
    assert order(one, 0) != order(stream("pad", seed=2), 0)
    assert sorted(order(one, 0)) == sorted(order(one, 1)) == sorted(f"doc-{i}" for i in range(30))


def test_documents_of_different_row_groups_are_mixed_inside_a_window(stream):
    s = stream("pad", shuffle_window=100)
    numbers = [int(s.documents_of(i)[0].id.removeprefix("doc-")) for i in range(s.epoch_rows)]
    first = list(dict.fromkeys(numbers))[:8]
    assert max(first) - min(first) > 8


def test_held_out_documents_never_reach_training(stream, random_documents):
    train, held = stream(eval_fraction=0.3), stream(eval_fraction=0.3, held_out=True)
    seen = {
        name: {d.id for i in range(s.epoch_rows) for d in s.documents_of(i)}
        for name, s in (("t", train), ("h", held))
    }
    assert seen["t"] | seen["h"] == {f"doc-{i}" for i in range(30)}
    assert not seen["t"] & seen["h"]
    assert seen["h"] == {f"doc-{i}" for i in range(30) if is_held_out(f"doc-{i}", 0.3)}


def test_the_held_out_share_is_the_one_asked_for():
    share = sum(is_held_out(f"document {i}", 0.1) for i in range(20_000)) / 20_000
    assert share == pytest.approx(0.1, abs=0.01)


def test_the_digest_follows_the_data_not_its_place(write_shards, random_documents):
    here = catalogue(write_shards(random_documents), LENGTH)
    there = catalogue(write_shards(random_documents, folder="elsewhere"), LENGTH)
    random_documents[3][0] ^= 1
    other = catalogue(write_shards(random_documents), LENGTH)
    assert here.digest == there.digest != other.digest


def test_the_order_in_which_shards_are_named_does_not_matter(write_shards, random_documents):
    shards = write_shards(random_documents, shards=4)
    one, two = (PackedStream(catalogue(paths, LENGTH), 0) for paths in (shards, shards[::-1]))
    assert one.corpus.digest == two.corpus.digest
    assert one.row(5).tokens.tolist() == two.row(5).tokens.tolist()


def test_empty_documents_and_single_tokens_do_no_harm(write_shards):
    documents = [[], [5], [], [6, 7, 8], []]
    for pack in PACKINGS:
        s = PackedStream(catalogue(write_shards(documents, shards=1), LENGTH), 0, pack)
        targets = Counter(
            t for i in range(s.epoch_rows) for t in s.row(i).tokens[1:][s.row(i).loss_mask].tolist()
        )
        assert set(targets) == {7, 8}


def test_shards_without_the_columns_are_refused(tmp_path):
    path = tmp_path / "text.parquet"
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), path)
    with pytest.raises(InputError, match="no column n_prompt, tokens"):
        catalogue([path], LENGTH)


def test_a_file_that_is_not_parquet_is_refused(tmp_path):
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"not parquet at all")
    with pytest.raises(InputError, match=r"broken.parquet cannot be read as Parquet"):
        catalogue([path], LENGTH)


def test_nothing_to_train_on_is_refused(write_shards):
    with pytest.raises(CorpusmillError, match="nothing to train on"):
        catalogue(write_shards([[1], []], shards=1), LENGTH)


def test_find_shards_leaves_out_what_a_stage_excluded(tmp_path):
    for name in ("level=high/a.parquet", "b.parquet", "excluded/c.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in find_shards(tmp_path)] == [
        "b.parquet",
        "level=high/a.parquet",
    ]


def test_what_was_made_from_a_held_out_document_is_held_out_too(write_shards, random_documents):
    (path,) = write_shards(random_documents, shards=1)
    table = pq.read_table(path)
    roots = [None if i < 15 else f"doc-{i - 15}" for i in range(30)]  # the others are made of these
    pq.write_table(
        table.append_column("root", pa.array(roots, pa.string())), path, row_group_size=4
    )
    seen = {}
    for held_out in (False, True):
        s = PackedStream(catalogue([path], 16, 0.3), 0, "pad", held_out=held_out)
        seen[held_out] = {span.id for row in range(s.epoch_rows) for span in s.documents_of(row)}
    held = {f"doc-{i}" for i in range(15) if is_held_out(f"doc-{i}", 0.3)}
    assert seen[True] == held | {f"doc-{int(name[4:]) + 15}" for name in held}
    assert not seen[False] & seen[True]
    assert len(seen[False] | seen[True]) == 30


def write_phases(folder, phases):
    """One shard of each phase: documents of 5 tokens, in row groups of 2."""
    folder.mkdir()
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("n_prompt", pa.int32()),
            ("phase", pa.int16()),
        ]
    )
    paths = []
    for number, phase in enumerate(phases):
        rows = [
            {"id": f"{phase}-{number}-{row}", "tokens": [phase] * 5, "n_prompt": 0, "phase": phase}
            for row in range(14)
        ]
        paths.append(folder / f"{number}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema), paths[-1], row_group_size=2)
    return paths


@pytest.mark.parametrize("pack", PACKINGS)
def test_phases_come_in_their_order_and_are_shuffled_within(tmp_path, pack):
    corpus = catalogue(write_phases(tmp_path / "pack", (1, 0, 2, 1)), LENGTH)
    stream = PackedStream(corpus, seed=1, pack=pack, shuffle_window=3)
    rows = stream.epoch_rows - (pack == "concat")
    ids = [span.id for row in range(rows) for span in stream.documents_of(row)]
    phases = [int(name[0]) for name in ids]
    assert phases == sorted(phases)
    assert set(phases) == {0, 1, 2}
    assert ids != sorted(ids)
    for row in range(0, rows + 1, 3):
        seen = {span.id for before in range(row) for span in stream.documents_of(before)}
        assert stream.documents_before(row) + stream.documents_from(row) == 56
        assert len(seen) - stream.documents_before(row) in (0, 1)


def test_shards_of_different_tokenizers_are_refused(tmp_path):
    paths = write_phases(tmp_path / "pack", (0, 0))
    for path, digest in zip(paths, ("a", "b"), strict=True):
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({"corpusmill.tokenizer": digest}), path)
    with pytest.raises(CorpusmillError, match="another tokenizer"):
        catalogue(paths, LENGTH)
