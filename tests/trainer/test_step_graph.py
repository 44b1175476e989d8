"""A run whose steps are a CUDA graph is the run without, or it is refused; auto goes on without."""

import gc
import json
import weakref
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer import step_graph
from corpusmill.trainer import train as training
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.loss import SummedLoss
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.presets import NEMOTRON_H_4B
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.records import read_records
from corpusmill.trainer.step_graph import PLAIN_STEPS, Captured, StepGraph, decide
from torch import nn

from benchmarks.train_shapes import SHAPES

GPU = Ranks(torch.device("cuda"))


def small(_rows: int) -> float:
    return step_graph.MOST_FLOPS_OF_A_LAYER


def large(_rows: int) -> float:
    return 1.001 * step_graph.MOST_FLOPS_OF_A_LAYER


@pytest.fixture
def make_gpu_config(make_config):
    return lambda **changes: make_config(device="auto", **changes)


def test_auto_is_the_default_and_takes_a_graph_for_a_small_model(make_gpu_config):
    assert make_gpu_config().cuda_graph == "auto"
    assert decide(make_gpu_config(), GPU, small) == (True, "")


def test_auto_leaves_large_layers_and_a_cpu_alone_and_says_nothing(make_gpu_config):
    assert decide(make_gpu_config(), GPU, large) == (False, "")
    assert decide(make_gpu_config(), Ranks(torch.device("cpu")), small) == (False, "")
    assert decide(make_gpu_config(), GPU, lambda _rows: None) == (False, "")


@pytest.mark.parametrize(("rows", "wins"), [(16, True), (17, False)])
def test_layers_are_small_up_to_the_largest_that_was_measured(make_gpu_config, rows, wins):
    """benchmarks/train.py --graph: 162M, 16 rows of 2,048 tokens."""
    model = SHAPES["162M"]["model"]
    config = make_gpu_config(model=model, sequence_length=2048, batch_size=rows)
    with torch.device("meta"):
        loss = SummedLoss(HybridModel(model), config)
    assert decide(config, GPU, loss.layer_flops) == (wins, "")


def test_micro_batches_of_a_large_batch_are_no_reason_for_advice(make_gpu_config):
    config = make_gpu_config(batch_size=64, micro_batch_size=2)
    assert decide(config, GPU, lambda rows: float(rows > 2) * 1e13) == (False, "")
    several = Ranks(GPU.device, 0, 2)
    split = make_gpu_config(batch_size=64, micro_batch_size=2, num_workers=2)
    graph, told = decide(split, several, lambda rows: float(rows > 32) * 1e13)
    assert (graph, "may be faster" in told) == (False, True)


@pytest.mark.parametrize(
    ("changes", "ranks", "reason"),
    [
        ({"micro_batch_size": 2}, 1, "without micro_batch_size"),
        ({"deterministic": True}, 1, "deterministic"),
        ({"precision": "fp8", "model": NEMOTRON_H_4B}, 1, "precision fp8"),
        ({"num_workers": 2}, 2, "several processes"),
        ({"num_workers": 2, "shard_ranks": 2}, 2, "several processes"),
    ],
)
def test_auto_says_what_keeps_a_small_model_from_a_graph(make_gpu_config, changes, ranks, reason):
    graph, told = decide(make_gpu_config(**changes), Ranks(GPU.device, 0, ranks), small)
    assert not graph
    assert reason in told


@pytest.mark.parametrize("wanted", [True, False])
def test_a_setting_is_obeyed(make_gpu_config, wanted):
    assert decide(make_gpu_config(cuda_graph=wanted), GPU, large) == (wanted, "")


def test_a_step_that_cannot_be_a_graph_stays_plain_and_says_so_once(monkeypatch, make_batch):
    parameter: Any = nn.Parameter(torch.ones(2))
    told: list[str] = []

    def gradients(batch: Batch) -> torch.Tensor:
        parameter.grad = torch.ones(2) if parameter.grad is None else parameter.grad + 1
        return batch.tokens.sum()

    def refused(self, batch):
        parameter.grad = torch.full((2,), 9.0)  # a half-made capture
        raise CorpusmillError("the step cannot be captured", "set cuda_graph to false")

    monkeypatch.setattr(StepGraph, "_captured", refused)
    monkeypatch.setattr(step_graph, "_memory", lambda: (0, 0, 1))
    graph = StepGraph(gradients, [parameter], told.append)
    for number in range(PLAIN_STEPS + 3):
        parameter.grad = None
        assert graph(make_batch(number)) == 3 * number
        assert torch.equal(parameter.grad, torch.ones(2))
    assert told == ["no CUDA graph: the step cannot be captured"]
    strict = StepGraph(gradients, [parameter])
    for number in range(PLAIN_STEPS):
        strict(make_batch(number))
    with pytest.raises(CorpusmillError, match="set cuda_graph to false"):
        strict(make_batch(PLAIN_STEPS))


@pytest.mark.parametrize(
    ("free", "reason"),
    [
        (10.9, "it needs 11.0 GB, and 10.9 GB are free"),
        (11.1, "the step cannot be captured"),  # not too little memory: it was tried
    ],
)
def test_a_graph_needs_the_memory_of_two_steps_and_some(monkeypatch, make_batch, free, reason):
    def refused(self, batch):
        raise CorpusmillError("the step cannot be captured")

    told: list[str] = []
    gigabytes = iter([(1, 1, 30), (2, 6, free)])  # a step takes 5
    uses = (tuple(int(value * 1e9) for value in row) for row in gigabytes)
    monkeypatch.setattr(step_graph, "_memory", lambda: next(uses))
    monkeypatch.setattr(StepGraph, "_captured", refused)
    graph = StepGraph(lambda batch: batch.tokens.sum(), [], told.append)
    for number in range(PLAIN_STEPS + 2):
        assert graph(make_batch(number)) == 3 * number
    assert told == [f"no CUDA graph: {reason}"]


def test_a_graph_that_is_given_up_holds_no_memory(monkeypatch, make_batch):
    held: list[weakref.ref[torch.Tensor]] = []

    def captured(self, batch):
        pool = [torch.ones(2), torch.ones(()), torch.ones(3)]
        held.extend(map(weakref.ref, pool))
        memory = replace(batch, targets=pool[2])
        return Captured(cast("torch.cuda.CUDAGraph", Replays()), memory, [pool[0]], pool[1])

    class Replays:
        def replay(self) -> None: ...

    def gradients(batch: Batch) -> torch.Tensor:
        parameter.grad = torch.zeros(2)
        return batch.tokens.sum()

    parameter: Any = nn.Parameter(torch.ones(2))
    told: list[str] = []
    monkeypatch.setattr(step_graph, "_memory", lambda: (0, 0, 1))
    monkeypatch.setattr(StepGraph, "_captured", captured)
    monkeypatch.setattr(Batch, "take", lambda self, batch: True)
    graph = StepGraph(gradients, [parameter], told.append)
    for number in range(PLAIN_STEPS + 1):
        graph(make_batch(number))
    assert told
    assert "off those of a plain step" in told[0]
    assert not graph.in_use
    gc.collect()
    assert [reference() for reference in held] == [None] * 3


@pytest.fixture
def make_batch():
    def make(value: int) -> Batch:
        tokens = torch.full((1, 3), value)
        return Batch(tokens, tokens[:, 1:] > 0, tokens[:, 1:].int(), torch.ones(()))

    return make


def test_the_log_has_the_note_once(
    write_shards, random_documents, make_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "decide", lambda *_: (False, "no CUDA graph: of this"))
    told = []
    result = training.train(
        make_config(steps=4, log_every=2),
        write_shards(random_documents),
        tmp_path / "run",
        on_step=lambda record: told.append(record.note),
    )
    assert told == [record.note for record in read_records(result.log)]
    assert told == ["no CUDA graph: of this", None, None, None]


@pytest.mark.gpu
@pytest.mark.parametrize("changes", [{}, {"compile": True}, {"reset_at_documents": True}])
@pytest.mark.parametrize("graph", [True, "auto"])
def test_a_graph_gives_the_losses_of_plain_steps(
    write_shards, random_documents, make_config, tmp_path, changes, graph, monkeypatch
):
    shards = write_shards(random_documents)
    curves = []
    replays: list[int] = []
    replay = StepGraph._replayed

    def counted(self, made):
        replays.append(1)
        return replay(self, made)

    monkeypatch.setattr(StepGraph, "_replayed", counted)
    for setting in (False, graph):
        config = make_config(steps=12, device="cuda", cuda_graph=setting, **changes)
        log = training.train(config, shards, tmp_path / str(setting)).log
        curves.append([json.loads(line)["loss"] for line in log.read_text().splitlines()])
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)
    assert len(set(curves[1])) == 12  # every batch was read
    assert len(replays) == 12 - PLAIN_STEPS


@pytest.mark.gpu
def test_a_capture_that_fails_leaves_the_run_on_its_own_stream(make_batch):
    device = torch.device("cuda")
    parameter = nn.Parameter(torch.ones(2, device=device))

    def gradients(batch: Batch) -> torch.Tensor:
        loss = (parameter * batch.tokens.float().mean()).sum()
        loss.item()  # waits for the GPU, which no capture can
        loss.backward()
        return loss.detach()

    told: list[str] = []
    stream = torch.cuda.current_stream()
    graph = StepGraph(gradients, [parameter], told.append)
    for number in range(PLAIN_STEPS + 3):
        parameter.grad = None
        assert graph(make_batch(number).to(device)).item() == 2 * number
        assert parameter.grad is not None
        assert parameter.grad.tolist() == [number, number]
        assert torch.cuda.current_stream() == stream
    assert len(told) == 1
    assert "cannot be captured" in told[0]
    assert torch.rand(2, device=device).min() >= 0  # random numbers are for captures no more


@pytest.mark.gpu
def test_a_graph_that_reads_an_old_batch_is_refused(
    write_shards, random_documents, make_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(Batch, "take", lambda self, batch: True)
    shards = write_shards(random_documents)
    config = make_config(steps=12, device="cuda", cuda_graph=True)
    with pytest.raises(CorpusmillError, match=r"off those of a plain step.*cuda_graph to false"):
        training.train(config, shards, tmp_path / "run")
    auto = make_config(steps=12, device="cuda")
    plain = make_config(steps=12, device="cuda", cuda_graph=False)
    notes, curves = [], []
    for name, config in (("auto", auto), ("plain", plain)):
        log = training.train(config, shards, tmp_path / name).log
        curves.append([record.loss for record in read_records(log)])
        notes += [record.note for record in read_records(log) if record.note]
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)
    assert [note.split(":")[0] for note in notes] == ["no CUDA graph"]
