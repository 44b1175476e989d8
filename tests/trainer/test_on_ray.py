"""Workers of Ray Train train as one process does, and are started again if one dies."""

import json
import os
import signal
from pathlib import Path

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.on_ray import run_on_ray
from corpusmill.trainer.train import train

pytest.importorskip("ray.train")


@pytest.fixture(scope="module", autouse=True)
def _cluster(tmp_path_factory):
    """A Ray of two processors. Its sockets need a short path."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def losses(log: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


@pytest.mark.slow
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
def test_a_worker_s_error_is_told_in_its_own_words(
    write_shards, random_documents, make_config, tmp_path
):
    small = make_config().model.model_copy(update={"vocab_size": 8})
    config = make_config(num_workers=2, model=small)
    with pytest.raises(CorpusmillError, match="the model knows 8"):
        run_on_ray(config, write_shards(random_documents), tmp_path / "run", restarts=0)
