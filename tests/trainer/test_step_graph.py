"""A run whose steps are a CUDA graph is the run without, or it is refused; auto goes on without."""

import json
from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer import step_graph
from corpusmill.trainer import train as training
from corpusmill.trainer.loader import Batch
from corpusmill.trainer.presets import NEMOTRON_H_4B
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.records import read_records
from corpusmill.trainer.step_graph import PLAIN_STEPS, StepGraph, decide
from torch import nn

GPU = Ranks(torch.device("cuda"))


@pytest.fixture
def make_gpu_config(make_config):
    return lambda **changes: make_config(device="auto", **changes)


def test_auto_is_the_default_and_takes_a_graph_for_a_small_model(make_gpu_config):
    assert make_gpu_config().cuda_graph == "auto"
    assert decide(make_gpu_config(), GPU, tried=True) == (True, "")


def test_auto_leaves_a_large_model_and_a_cpu_alone_and_says_nothing(make_gpu_config):
    large = make_gpu_config(model=NEMOTRON_H_4B, sequence_length=8192, batch_size=2)
    assert decide(large, GPU, tried=True) == (False, "")
    assert decide(make_gpu_config(), Ranks(torch.device("cpu")), tried=True) == (False, "")
    assert decide(make_gpu_config(), GPU, tried=False) == (False, "")


@pytest.mark.parametrize(
    ("changes", "ranks", "reason"),
    [
        ({"micro_batch_size": 2}, 1, "without micro_batch_size"),
        ({"deterministic": True}, 1, "deterministic"),
        ({"num_workers": 2}, 2, "several processes"),
        ({"num_workers": 2, "shard_ranks": 2}, 2, "several processes"),
    ],
)
def test_auto_says_what_keeps_a_small_model_from_a_graph(make_gpu_config, changes, ranks, reason):
    graph, told = decide(make_gpu_config(**changes), Ranks(GPU.device, 0, ranks), tried=True)
    assert not graph
    assert reason in told


@pytest.mark.parametrize("wanted", [True, False])
def test_a_setting_is_obeyed(make_gpu_config, wanted):
    large = make_gpu_config(
        model=NEMOTRON_H_4B, sequence_length=8192, batch_size=2, cuda_graph=wanted
    )
    assert decide(large, GPU, tried=False) == (wanted, "")


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


def test_too_little_memory_keeps_steps_plain(monkeypatch, make_batch):
    told: list[str] = []
    uses = iter([(10, 10, 100), (10, 60, 100)])  # a step takes 50
    monkeypatch.setattr(step_graph, "_memory", lambda: next(uses))
    graph = StepGraph(lambda batch: batch.tokens.sum(), [], told.append)
    for number in range(PLAIN_STEPS + 1):
        assert graph(make_batch(number)) == 3 * number
    assert told == ["no CUDA graph: it needs 0.0 GB, and 0.0 GB are free"]


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
