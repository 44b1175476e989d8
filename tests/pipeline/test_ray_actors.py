"""How many actors a pass has on Ray, and what becomes of those that never start."""

import pytest
from corpusmill.manifests.errors import EngineError
from corpusmill.pipeline import ray_runner
from corpusmill.pipeline.display import Display, showing
from corpusmill.pipeline.execute import execute
from corpusmill.pipeline.ray_runner import FAILED_STARTS, RayRunner

from tests.pipeline.lost_actors import STARTS, LostAtFirst
from tests.pipeline.sample_stages import Placed, write_documents
from tests.pipeline.test_execute import job


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    return tmp_path_factory.mktemp("starts")


@pytest.fixture(scope="module")
def runner(starts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STARTS, str(starts))
        patch.setattr(ray_runner, "_EngineWorker", LostAtFirst)
        patch.setattr(ray_runner, "LOOKED_SECONDS", 0.5)
        runner = RayRunner(workers=1)
        yield runner
        runner.close()


def run(runner, tmp_path):
    for name in ("processor", "gpu"):
        (tmp_path / name).touch()
    documents = write_documents(tmp_path, {"a": ["one"]})
    return execute(job(Placed(go_on=str(tmp_path)), tmp_path / "out", documents), runner)


def test_actors_lost_at_their_start_cost_no_shard(runner, starts, tmp_path):
    (starts / "lost").write_text(str(FAILED_STARTS - 1))
    manifest = run(runner, tmp_path)
    assert (manifest.shards, manifest.quarantined) == (1, [])
    assert len(list(starts.glob("start-*"))) == FAILED_STARTS


def test_actors_that_never_start_stop_the_stage(runner, starts, tmp_path):
    (starts / "lost").write_text("1000")
    with pytest.raises(EngineError, match="lost while they started"):
        run(runner, tmp_path)
    assert not list((tmp_path / "out" / "receipts").glob("gpu/*"))


class Said(Exception):
    """Ends a run that would wait for ever."""


class Ends(Display):
    def say(self, text: str) -> None:
        if "waits on" in text:
            raise Said(text)


def test_a_run_says_that_no_gpu_has_come(runner, starts, tmp_path, monkeypatch):
    (starts / "lost").write_text("0")
    monkeypatch.setattr(runner, "_coming_gpus", 1)  # none ever comes
    monkeypatch.setattr(ray_runner, "PATIENCE_SECONDS", 1.0)
    with pytest.raises(Said, match="no GPU has come"), showing(Ends()):
        run(runner, tmp_path)


@pytest.mark.parametrize(("address", "most"), [(None, 16), ("auto", 18)])
def test_few_actors_wait_for_room_on_a_cluster_and_none_on_this_machine(address, most):
    runner = RayRunner(address)
    runner._cpus, runner._gpus = 64, 16.0
    assert runner._most_actors({"num_cpus": 1, "num_gpus": 1}) == most
