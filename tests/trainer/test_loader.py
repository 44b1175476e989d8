"""Batches made ahead by a thread, or by processes."""

import threading

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.loader import BatchLoader, collate, held_out_batches
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.token_shards import catalogue


@pytest.fixture
def stream(write_shards, random_documents):
    return PackedStream(catalogue(write_shards(random_documents), 16), seed=1)


def test_starting_at_any_step_continues_the_same_batches(stream):
    with BatchLoader(stream, 4, 0, 10) as batches:
        whole = [batch.tokens for batch in batches]
    for first in range(10):
        with BatchLoader(stream, 4, first, 10) as batches:
            rest = [batch.tokens for batch in batches]
        assert len(rest) == 10 - first
        assert all(torch.equal(one, two) for one, two in zip(whole[first:], rest, strict=True))


def test_a_batch_counts_its_targets(stream):
    batch = collate(stream.row(i) for i in range(4))
    assert batch.tokens.shape == (4, 17)
    assert batch.targets.item() == batch.loss_mask.sum().item() > 0


def test_micro_batches_carry_the_count_of_the_whole_batch(stream):
    batch = collate(stream.row(i) for i in range(4))
    pieces = list(batch.micro_batches(2))
    assert torch.equal(torch.cat([piece.tokens for piece in pieces]), batch.tokens)
    assert [piece.targets.item() for piece in pieces] == [batch.targets.item()] * 2


@pytest.mark.parametrize(("micro", "count"), [(1, 1), (3, 1), (8, 1), (None, 1), (3, 2), (1, 8)])
@pytest.mark.parametrize("wanted", [7, 256])
def test_held_out_rows_depend_on_neither_micro_batches_nor_ranks(
    write_shards, random_documents, make_config, micro, count, wanted
):
    shape = {"batch_size": 24, "micro_batch_size": micro, "num_workers": count}
    config = make_config(eval_fraction=0.4, eval_sequences=wanted, **shape)
    corpus = catalogue(write_shards(random_documents), 16, config.eval_fraction)
    training = PackedStream(corpus, config.seed)
    held_out = PackedStream(corpus, config.seed, held_out=True)
    rows = min(wanted, held_out.epoch_rows)
    batches = [
        held_out_batches(config, training, Ranks(torch.device("cpu"), rank, count), None)
        for rank in range(count)
    ]
    assert len({len(of_rank) for of_rank in batches}) == 1  # sharded ranks run equally often
    every = [batch for of_rank in batches for batch in of_rank]
    assert {len(batch.tokens) for batch in every} == {config.rows_of_rank(count)}
    found = sorted(
        row.tolist()
        for batch in every
        for row, counted in zip(batch.tokens, batch.loss_mask, strict=True)
        if counted.any()
    )
    assert found == sorted(held_out.row(index).tokens.tolist() for index in range(rows))
    targets = sum(held_out.row(index).loss_mask.sum() for index in range(rows))
    assert sum(batch.targets.item() for batch in every) == targets


def test_what_goes_wrong_in_the_thread_is_raised_in_the_loop(stream, monkeypatch):
    def fail(_index):
        raise OSError("the disk went away")

    monkeypatch.setattr(stream, "row", fail)
    with (
        BatchLoader(stream, 4, 0, 10) as batches,
        pytest.raises(OSError, match="the disk went away"),
    ):
        next(iter(batches))


def test_leaving_early_stops_the_thread(stream):
    with BatchLoader(stream, 4, 0, 10_000) as batches:
        next(iter(batches))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_processes_make_the_same_batches_and_leave_the_random_state_alone(stream):
    with BatchLoader(stream, 4, 0, 6) as batches:
        expected = [batch.tokens for batch in batches]
    state = torch.get_rng_state()
    with BatchLoader(stream, 4, 0, 6, processes=2) as batches:
        found = [batch.tokens for batch in batches]
    assert len(found) == 6
    assert all(torch.equal(one, two) for one, two in zip(expected, found, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_process_hands_its_error_on(stream):
    with (
        BatchLoader(stream, 3, 0, 6, ranks=2, processes=1) as batches,
        pytest.raises(CorpusmillError, match="shared by 2 ranks; make batch_size"),
    ):
        next(iter(batches))
