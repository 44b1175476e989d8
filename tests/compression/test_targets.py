"""A teacher's stored predictions: their values, their place, and what is refused."""

import functools
import json

import pyarrow.parquet as pq
import pytest
import torch
from corpusmill.compression.distillation import Teacher, summed_kl
from corpusmill.compression.targets import (
    SCHEMA,
    SparseTargets,
    StoredTargetsLoss,
    TargetReader,
    most_probable,
    stored_rows,
    target_reader,
)
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.loader import collate
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.parts import Parts
from corpusmill.trainer.token_shards import catalogue
from corpusmill.trainer.workers import run

from tests.compression.shards import write_shards
from tests.compression.student import SHAPE, VOCABULARY, config

TOKENS, K = 23, 6


@pytest.mark.parametrize("k", [K, VOCABULARY])
def test_the_loss_is_the_divergence_over_the_stored_tokens_and_one_for_all_others(k):
    generator = torch.Generator().manual_seed(0)
    shapes = ((TOKENS, 8), (VOCABULARY, 8), (TOKENS, VOCABULARY))
    hidden, weight, logits = (torch.randn(shape, generator=generator) for shape in shapes)
    counted = torch.rand(TOKENS, generator=generator) < 0.7
    logs = logits.log_softmax(-1)
    targets = SparseTargets(logs.topk(k).indices.int(), logs.topk(k).values)

    def plain(hidden, weight):
        found = (hidden @ weight.t()).log_softmax(-1)
        best = logs.topk(k)
        events = [best.values.exp(), 1 - best.values.exp().sum(-1, keepdim=True)]
        own = found.exp().gather(-1, best.indices)
        found_events = [own, 1 - own.sum(-1, keepdim=True)]
        if k == VOCABULARY:
            events, found_events = events[:1], found_events[:1]
        wanted, given = torch.cat(events, -1), torch.cat(found_events, -1)
        return ((wanted * (wanted.log() - given.log())).sum(-1) * counted).sum()

    results = []
    for function in (plain, lambda h, w: summed_kl(h, w, targets, counted)):
        copies = [tensor.clone().requires_grad_() for tensor in (hidden, weight)]
        loss = function(*copies)
        loss.backward()
        results.append((loss.detach(), *(copy.grad for copy in copies)))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_most_probable_tokens_are_those_of_the_whole_product(monkeypatch):
    monkeypatch.setattr("corpusmill.compression.distillation.CHUNK_BYTES", 4 * VOCABULARY * 5)
    hidden, weight = torch.randn(TOKENS, 8), torch.randn(VOCABULARY, 8)
    ids, logs = most_probable(hidden, weight, K)
    expected = (hidden @ weight.t()).log_softmax(-1).topk(K)
    assert torch.equal(ids, expected.indices.int())
    torch.testing.assert_close(logs, expected.values)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """(token shards, the stream over them, files of the targets of 24 rows, their teacher)."""
    folder = tmp_path_factory.mktemp("targets")
    shards = write_shards(folder / "pack", VOCABULARY)
    stream = PackedStream(catalogue(shards, 16, 0.2), 1)
    model = HybridModel(SHAPE.model_copy(update={"init_std": 0.2}))
    initialise(model, 3)
    teacher = Teacher(model.requires_grad_(False), config())
    paths = []
    for number in range(3):
        rows = [stream.row(number * 8 + row) for row in range(8)]
        paths.append(folder / f"{number}.parquet")
        table = stored_rows(teacher, rows, collate(rows), K)
        assert table.schema == SCHEMA
        pq.write_table(table, paths[-1], row_group_size=3)
    return shards, stream, paths, teacher


def test_a_row_finds_its_own_targets_in_any_order(stored):
    _, stream, paths, teacher = stored
    reader = TargetReader(paths, K)
    for numbers in ((5, 0), (23, 7, 8), tuple(range(23, -1, -1))):
        rows = [stream.row(number) for number in numbers]
        found = reader(rows)
        hidden = teacher.hidden(collate(rows)).flatten(0, 1)
        ids, logs = most_probable(hidden, teacher.head, K)
        torch.testing.assert_close(found.logs_BTK.flatten(0, 1), logs.half(), rtol=0, atol=2e-2)
        assert (found.ids_BTK.flatten(0, 1) == ids).float().mean() > 0.99  # ties in rounding


def test_rows_without_targets_are_found_before_they_are_learnt_from(stored):
    _, stream, paths, _ = stored
    reader = TargetReader(paths, K)
    assert reader([stream.row(3), stream.row(24)]).ids_BTK.shape == (2, 16, 0)
    rows = [stream.row(24)]
    student = HybridModel(SHAPE)
    initialise(student, 2)
    batch = collate(rows, read_extras=reader)
    loss = StoredTargetsLoss(student, config())
    with torch.no_grad():
        assert loss(batch).isfinite()  # held-out rows have none, and need none
    with pytest.raises(CorpusmillError, match="do not cover the training rows"):
        loss(batch)


def test_a_file_of_something_else_is_refused(stored, tmp_path):
    (tmp_path / "text.parquet").write_text("text")
    for path in (stored[0][0], tmp_path / "text.parquet"):
        with pytest.raises(InputError, match=r"holds no targets|cannot be read"):
            TargetReader([path], K)


def test_two_processes_and_smaller_steps_learn_from_the_same_files(stored, tmp_path):
    shards, _, paths, _ = stored
    parts = Parts(
        make_loss=StoredTargetsLoss, make_extras_reader=functools.partial(target_reader, paths, K)
    )

    def losses(name, **changes):
        fast = config(warmup_steps=1, learning_rate=2e-2, **changes)
        result = run(fast, shards, tmp_path / name, parts=parts)
        return [json.loads(line)["loss"] for line in result.log.read_text().splitlines()]

    one = losses("one")
    assert one[-1] < one[0]
    assert losses("two", num_workers=2, micro_batch_size=1) == pytest.approx(one, rel=1e-4)
