"""Several processes train as one does: the same data, losses and checkpoints, and no hang."""

import json
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist
from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.trainer import checkpoint, ranks, workers
from corpusmill.trainer.parts import Gauging, Parts
from corpusmill.trainer.ranks import find_device
from corpusmill.trainer.train import train
from corpusmill.trainer.workers import run


class Interrupted(Exception):
    """Stands for a lost machine."""


def losses(log: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


def interrupt_at(step):
    def on_step(record):
        if record.step == step:
            raise Interrupted

    return on_step


@pytest.fixture
def shards(write_shards, random_documents):
    return write_shards(random_documents, prompts=[n % 3 for n in range(30)])


SPREAD = {"num_workers": 2, "micro_batch_size": 1, "eval_fraction": 0.3, "eval_sequences": 6}


@pytest.mark.parametrize(
    "changes",
    [
        {"shard_ranks": 1},
        {"shard_ranks": 2},
        {"shard_ranks": 2, "optimizer": "muon", "optimizer_dtype": "bfloat16"},
        {"shard_ranks": 2, "checkpoint_activations": ["mamba", "attention", "ffn"]},
        {"shard_ranks": 2, "gather_weights": "step"},
        {"shard_ranks": 2, "gather_weights": "step", "dtype": "bfloat16"},
        {"shard_ranks": 1, "loader_processes": 1},
    ],
)
def test_two_processes_have_the_losses_of_one(shards, make_config, tmp_path, changes):
    config = make_config(**SPREAD, **changes)
    two = run(config, shards, tmp_path / "two")
    one = run(
        config.model_copy(update={"num_workers": 1, "shard_ranks": 1}), shards, tmp_path / "1"
    )
    tolerance = 1e-4 if config.dtype == "auto" else 1e-3
    assert losses(two.log) == pytest.approx(losses(one.log), rel=tolerance)
    assert two.last is not None
    assert one.last is not None
    assert two.last.held_out_loss == pytest.approx(one.last.held_out_loss, rel=tolerance)
    assert two.last.gradient_norm == pytest.approx(one.last.gradient_norm, rel=10 * tolerance)


@pytest.mark.slow
def test_compiled_shards_have_the_losses_of_one_plain_process(shards, make_config, tmp_path):
    config = make_config(**SPREAD, shard_ranks=2, compile=True, steps=3)
    two = run(config, shards, tmp_path / "two")
    alone = {"num_workers": 1, "shard_ranks": 1, "compile": False}
    one = run(config.model_copy(update=alone), shards, tmp_path / "1")
    assert losses(two.log) == pytest.approx(losses(one.log), rel=1e-4)


@pytest.mark.parametrize(("first", "then"), [((2, 2), (1, 1)), ((1, 1), (2, 2)), ((2, 1), (2, 2))])
def test_a_checkpoint_resumes_on_another_number_of_ranks(
    shards, make_config, tmp_path, first, then
):
    def on(workers, sharded):
        return make_config(num_workers=workers, shard_ranks=sharded, micro_batch_size=1)

    whole = run(on(1, 1), shards, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(
            on(*first), shards, tmp_path / "moved", interrupt_at(5)
        )  # step 4 waits until step 2 is written
    begun = checkpoint.latest(tmp_path / "moved" / "checkpoints")
    assert begun is not None
    assert (begun / "model.safetensors").exists() == (first[1] == 1)
    moved = run(on(*then), shards, tmp_path / "moved")
    assert losses(moved.log) == pytest.approx(losses(whole.log), rel=1e-4)
    ours, _ = checkpoint.load_model(moved.checkpoint)
    theirs, _ = checkpoint.load_model(whole.checkpoint)
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (one - other).norm() <= 1e-3 * other.norm(), name


def test_a_rank_that_dies_ends_the_others_is_named_and_the_run_resumes(
    shards, make_config, tmp_path
):
    config = make_config(num_workers=2, shard_ranks=2, micro_batch_size=1, steps=20)
    children: list[psutil.Process] = []

    def kill(record):
        if record.step == 5:
            children.extend(psutil.Process().children())
            started = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
            os.kill(started[-1].pid, signal.SIGKILL)

    start = time.monotonic()
    with pytest.raises(CorpusmillError, match=r"rank \d was ended by SIGKILL.*the same command"):
        run(config, shards, tmp_path / "run", kill)
    assert time.monotonic() - start < 60
    assert not [child for child in children if child.is_running() and "spawn" in child.cmdline()]
    whole = run(config, shards, tmp_path / "whole")
    resumed = run(config, shards, tmp_path / "run")
    assert losses(resumed.log) == pytest.approx(losses(whole.log), rel=1e-4)


def test_an_error_of_the_ranks_is_told_once_and_in_its_own_words(shards, make_config, tmp_path):
    small = make_config().model.model_copy(update={"vocab_size": 8})
    with pytest.raises(CorpusmillError, match="the model knows 8"):
        run(make_config(num_workers=2, model=small), shards, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_workers": 3}, "3 workers cannot share a batch of 4"),
        ({"num_workers": 2, "micro_batch_size": 4}, "in micro-batches of 4"),
        ({"num_workers": 2, "shard_ranks": 4}, "shard_ranks 4 does not divide num_workers 2"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_before_anything_runs(make_config, changes, words):
    with pytest.raises(RecipeError, match=words):
        make_config(**changes)


def test_a_gpu_beyond_those_of_the_machine_is_refused():
    with pytest.raises(CorpusmillError, match=r"no device cuda:99 here.*set device to cpu or auto"):
        find_device("cuda:99")


def test_ranks_that_do_not_reach_each_other_are_told_what_to_set(
    shards, make_config, tmp_path, monkeypatch
):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "absent0")
    with pytest.raises(CorpusmillError, match=r"cannot reach each other.*set GLOO_SOCKET_IFNAME"):
        run(make_config(num_workers=2, micro_batch_size=1), shards, tmp_path / "run")


@pytest.fixture
def group_of_one():
    dist.init_process_group("gloo", store=dist.HashStore(), world_size=1, rank=0)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group_of_one")
def test_the_group_beside_nccl_tells_what_to_set_too(make_config, monkeypatch):
    """NCCL has found its way, and gloo does not."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(ranks, "init_device_mesh", lambda *_, **__: None)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "absent0")
    with (
        pytest.raises(CorpusmillError, match="set GLOO_SOCKET_IFNAME"),
        ranks.joined(make_config(num_workers=2)),
    ):
        pass


@pytest.mark.usefixtures("group_of_one")
def test_only_the_waits_of_the_patient_group_are_long(monkeypatch):
    asked = []
    new_group = dist.new_group

    def watched(**rest):
        asked.append(rest["timeout"])
        return new_group(**rest)

    monkeypatch.setattr(dist, "new_group", watched)
    group = ranks._patient_group()
    assert asked == [ranks.LINKING]
    assert group._get_backend(torch.device("cpu")).options._timeout == ranks.PATIENCE


def _late_first_rank(rank, port, config, shards, folder):
    """One of two ranks whose group takes a rank that is 8 s late for a dead one."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", world_size=2, rank=rank)
    dist.barrier()  # a slow machine may take its time until here
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=8))
    train(config, shards, folder, parts=Parts(gauging=Gauging(2, _slow_gauge)))
    dist.destroy_process_group()


def _slow_gauge(model, config):
    def measure(step, model):
        time.sleep(12 if step == 2 else 0)
        return {"answer": float(step)}

    return measure


def test_ranks_wait_for_a_gauge_longer_than_for_a_step(shards, make_config, tmp_path):
    config = make_config(num_workers=2, micro_batch_size=1, steps=3)
    torch.multiprocessing.spawn(
        _late_first_rank, (workers._free_port(), config, shards, tmp_path / "run"), nprocs=2
    )
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    figures = [json.loads(line)["figures"] for line in log]
    assert figures == [None, {"answer": 2.0}, {"answer": 3.0}]


def test_a_graph_without_a_gpu_is_refused(make_config):
    with pytest.raises(RecipeError, match=r"cuda_graph needs a GPU, and device is cpu"):
        make_config(cuda_graph=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_graph_where_auto_finds_no_gpu_is_refused(shards, make_config, tmp_path):
    config = make_config(cuda_graph=True, device="auto")
    with pytest.raises(CorpusmillError, match=r"cuda_graph needs a GPU, and this run is on cpu"):
        run(config, shards, tmp_path / "run")
