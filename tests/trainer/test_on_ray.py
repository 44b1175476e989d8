"""Workers of Ray Train train as one process does, and are started again if one dies."""

import json
import os
import signal
from pathlib import Path

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.on_ray import run_on_ray, worker_resources
from corpusmill.trainer.train import train

pytest.importorskip("ray.train")


@pytest.fixture(scope="module")
def _cluster():
    """A Ray of two processors. Its sockets need a short path."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def losses(log: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_two_workers_have_the_losses_of_one_process_even_if_one_dies(
    write_shards, random_documents, make_config, tmp_path
):
    shards, killed = write_shards(random_documents), tmp_path / "killed"

    def kill_once(record):
        if record.step == 5 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    config = make_config(num_workers=2, shard_ranks=2, micro_batch_size=1)
    path = run_on_ray(config, shards, tmp_path / "two", kill_once)
    assert killed.exists()
    assert path == tmp_path / "two" / "checkpoints" / "step-00000006"
    alone = config.model_copy(update={"num_workers": 1, "shard_ranks": 1})
    one = train(alone, shards, tmp_path / "one")
    assert losses(tmp_path / "two" / "log.jsonl") == pytest.approx(losses(one.log), rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_a_worker_s_error_is_told_in_its_own_words(
    write_shards, random_documents, make_config, tmp_path
):
    small = make_config().model.model_copy(update={"vocab_size": 8})
    config = make_config(num_workers=2, model=small)
    with pytest.raises(CorpusmillError, match="the model knows 8"):
        run_on_ray(config, write_shards(random_documents), tmp_path / "run", restarts=0)


@pytest.mark.parametrize(
    ("device", "machines", "gpu"),
    [
        ("auto", [{"CPU": 8.0}], 0),
        ("auto", [{"CPU": 8.0, "GPU": 2.0}], 1),
        ("cpu", [{"CPU": 4.0, "GPU": 2.0}], 0),
        ("cuda", [{"CPU": 2.0, "GPU": 1.0}, {"CPU": 3.0, "GPU": 1.0}], 1),
    ],
)
def test_a_worker_takes_a_gpu_if_the_cluster_has_one(make_config, device, machines, gpu):
    config = make_config(num_workers=2, device=device, threads=2)
    assert worker_resources(config, machines) == {"CPU": 2, "GPU": gpu}


@pytest.mark.parametrize(
    ("device", "machines", "message"),
    [
        ("cuda", [{"CPU": 8.0}], r"GPUs: 0\) has room for 0 of 2 .*device to cpu"),
        ("auto", [{"CPU": 8.0, "GPU": 1.0}], r"room for 1 of 2 workers \(CPUs: 2, a GPU\)"),
        ("cpu", [{"CPU": 3.0}, {"CPU": 1.0}], "machines: 2, CPUs: 4, .* room for 1 of 2 workers"),
    ],
)
def test_a_cluster_without_room_is_refused_not_waited_for(make_config, device, machines, message):
    config = make_config(num_workers=2, device=device, threads=2)
    with pytest.raises(CorpusmillError, match=message):
        worker_resources(config, machines)
