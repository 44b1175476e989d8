"""The distillation loss: its value, its gradient, its memory, and runs that go on."""

import copy
import functools
import json
import math

import pytest
import torch
from corpusmill.compression import distillation
from corpusmill.compression.distillation import (
    DistillationLoss,
    WholeTargets,
    distillation_loss,
    summed_kl,
)
from corpusmill.trainer import checkpoint
from corpusmill.trainer.export import write_model
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.parts import Parts
from corpusmill.trainer.train import train
from corpusmill.trainer.workers import run
from torch.utils._python_dispatch import TorchDispatchMode

from tests.compression.shards import write_shards, write_tokenizer
from tests.compression.student import SHAPE, VOCABULARY, config

TOKENS = 23


@pytest.fixture
def case():
    """(student's hidden, its head, teacher's hidden, its head, counted)."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((TOKENS, 8), (VOCABULARY, 8), (TOKENS, 12), (VOCABULARY, 12))
    tensors = [torch.randn(shape, generator=generator) for shape in shapes]
    return (*tensors, torch.rand(TOKENS, generator=generator) < 0.7)


def plain(hidden, weight, teacher, teacher_weight, counted):
    wanted = (teacher @ teacher_weight.t()).log_softmax(-1)
    found = (hidden @ weight.t()).log_softmax(-1)
    divergence = torch.nn.functional.kl_div(found, wanted, log_target=True, reduction="none")
    return (divergence.sum(-1) * counted).sum()


def fused(hidden, weight, teacher, teacher_weight, counted):
    return summed_kl(hidden, weight, WholeTargets(teacher, teacher_weight), counted)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_value_and_gradients_are_those_of_the_plain_divergence(case, chunk, monkeypatch):
    monkeypatch.setattr(distillation, "CHUNK_BYTES", 4 * VOCABULARY * chunk)
    results = []
    for function in (plain, fused):
        hidden, weight = (tensor.clone().requires_grad_() for tensor in case[:2])
        loss = function(hidden, weight, *case[2:])
        (3 * loss).backward()
        results.append((loss.detach(), hidden.grad, weight.grad))
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert not results[1][1][~case[4]].any()  # tokens that do not count


def test_no_tensor_holds_the_logits_of_all_tokens(case, monkeypatch):
    monkeypatch.setattr(distillation, "CHUNK_BYTES", 4 * VOCABULARY * 4)

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.elements = max(self.elements, result.numel())
            return result

    def largest(function):
        hidden, weight = (tensor.clone().requires_grad_() for tensor in case[:2])
        with Largest() as mode:
            function(hidden, weight, *case[2:]).backward()
        return mode.elements

    assert largest(plain) == TOKENS * VOCABULARY
    assert largest(fused) == case[3].numel()  # the teacher's head


@pytest.fixture
def teacher():
    model = HybridModel(SHAPE.model_copy(update={"init_std": 0.2}))
    initialise(model, 1)
    return model.requires_grad_(False).eval()


def batch_of(tokens):
    mask = torch.ones_like(tokens[:, 1:], dtype=torch.bool)
    ids = torch.zeros_like(tokens[:, 1:], dtype=torch.int32)
    return Batch(tokens, mask, ids, mask.sum().float())


def test_a_student_that_is_its_teacher_has_nothing_to_learn(teacher):
    student = HybridModel(teacher.config)
    student.load_state_dict(teacher.state_dict())
    loss = DistillationLoss(student, config(), teacher)
    batch = batch_of(torch.randint(0, VOCABULARY, (2, 17)))
    found = loss(batch)
    found.backward()
    assert abs(found.item()) < 1e-4
    for parameter in student.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() < 1e-4


def test_without_gradients_the_loss_is_the_cross_entropy(teacher):
    student = HybridModel(SHAPE)
    initialise(student, 2)
    batch = batch_of(torch.randint(0, VOCABULARY, (2, 17)))
    with torch.no_grad():
        found = DistillationLoss(student, config(), teacher)(batch)
        assert torch.equal(found, SummedLoss(student, config())(batch))


def test_hidden_states_that_differ_cost_their_weighted_square(teacher):
    student = HybridModel(SHAPE)
    initialise(student, 2)
    batch = batch_of(torch.randint(0, VOCABULARY, (2, 17)))
    batch.loss_mask[0, :9] = False
    alone = DistillationLoss(student, config(), teacher)(batch)
    both = DistillationLoss(student, config(), teacher, hidden_loss=0.5)(batch)
    with torch.no_grad():
        differences = student.hidden(batch.tokens[:, :-1]) - teacher.hidden(batch.tokens[:, :-1])
    expected = 0.5 * differences.square().mean(-1)[batch.loss_mask].sum()
    torch.testing.assert_close(both - alone, expected)
    both.backward()
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_a_teacher_in_8_bits_is_close_to_the_teacher_and_keeps_nothing(teacher):
    student = HybridModel(SHAPE)
    initialise(student, 2)
    batch = batch_of(torch.randint(0, VOCABULARY, (2, 17)))
    eight_bits = config().model_copy(update={"fp8_plain_layers": 0})
    plain_loss = DistillationLoss(student, config(), copy.deepcopy(teacher))(batch)
    loss = DistillationLoss(student, eight_bits, teacher, teacher_scaling="tensor")
    rounded = loss(batch)
    assert rounded != plain_loss  # the teacher does compute in 8 bits
    torch.testing.assert_close(rounded, plain_loss, rtol=0.1, atol=0)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    rounded.backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.fixture
def folder(teacher, tmp_path):
    tokenizer = write_tokenizer(tmp_path / "tokenizer", VOCABULARY)
    return write_model(teacher, tokenizer, tmp_path / "teacher", "float32", 128)


def losses(result):
    return [json.loads(line)["loss"] for line in result.log.read_text().splitlines()]


def test_a_student_learns_its_teacher_in_the_trainers_loop(folder, teacher, tmp_path):
    shards = write_shards(tmp_path / "pack", VOCABULARY)
    parts = Parts(make_loss=functools.partial(distillation_loss, folder))
    result = train(config(steps=60), shards, tmp_path / "run", parts=parts)
    divergence = losses(result)
    assert divergence[-1] < 0.7 * divergence[0]
    assert divergence[0] < math.log(VOCABULARY)  # a divergence, no cross-entropy of random tokens
    assert result.last is not None
    assert result.last.held_out_loss is not None
    assert result.last.held_out_loss > divergence[-1]


def test_a_run_that_stops_gives_the_same_bits(folder, tmp_path):
    shards = write_shards(tmp_path / "pack", VOCABULARY)
    parts = Parts(make_loss=functools.partial(distillation_loss, folder))
    whole = train(config(), shards, tmp_path / "whole", parts=parts)

    class Stop(Exception):
        pass

    def stop(record):
        if record.step == 4:
            raise Stop

    with pytest.raises(Stop):
        train(config(), shards, tmp_path / "part", stop, parts)
    (stopped,) = checkpoint.found(tmp_path / "part" / "checkpoints")
    assert stopped.name == "step-00000003"
    part = train(config(), shards, tmp_path / "part", parts=parts)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (part.checkpoint / name).read_bytes() == (whole.checkpoint / name).read_bytes()
    assert losses(part) == losses(whole)


def test_two_processes_with_a_sharded_student_have_the_losses_of_one(folder, tmp_path):
    shards = write_shards(tmp_path / "pack", VOCABULARY)
    parts = Parts(make_loss=functools.partial(distillation_loss, folder))
    spread = config(num_workers=2, shard_ranks=2, micro_batch_size=2, steps=3)
    two = run(spread, shards, tmp_path / "two", parts=parts)
    one = train(config(steps=3), shards, tmp_path / "one", parts=parts)
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    assert two.last is not None
    assert one.last is not None
    assert two.last.held_out_loss == pytest.approx(one.last.held_out_loss, rel=1e-4)
