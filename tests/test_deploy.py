"""The job files: bash reads the scripts, the manifest is a RayJob, and their commands are valid."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpusmill.cli import app
from corpusmill.commands.exit_codes import NOT_VERIFIED, QUARANTINED, TIME_UP, USER_ERROR
from typer.main import get_command

DEPLOY = Path(__file__).parent.parent / "deploy"


@pytest.mark.parametrize("name", ["nightly.sh", "ray-job.sh", "slurm.sbatch"])
def test_a_script_is_read_by_bash_and_says_how_it_is_used(name):
    assert subprocess.run(["bash", "-n", DEPLOY / name]).returncode == 0
    told = subprocess.run(["bash", DEPLOY / name], capture_output=True, text=True)
    assert told.returncode != 0
    assert "usage:" in told.stderr


def test_the_manifest_is_a_rayjob_of_fixed_size():
    job = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"]["backoffLimit"] > 0  # a new cluster goes on where the last one was
    for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"] > 0


def test_the_cron_job_runs_once_at_a_time_and_repeats_no_mistake():
    job = yaml.safe_load((DEPLOY / "cronjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    spec = job["spec"]["jobTemplate"]["spec"]
    codes = [rule["onExitCodes"]["values"] for rule in spec["podFailurePolicy"]["rules"][1:]]
    assert codes == [[USER_ERROR, QUARANTINED, NOT_VERIFIED, TIME_UP]]
    (container,) = spec["template"]["spec"]["containers"]
    command: Any = get_command(app)
    known = {option for parameter in command.commands["run"].params for option in parameter.opts}
    options = {word.split("=")[0] for word in container["command"] if word.startswith("--")}
    assert {"--max-hours", "--metrics"} <= options <= known


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (2, False), (5, True)])
def test_slurm_queues_a_run_again_whose_time_was_up(tmp_path, code, requeued):
    """Slurm's own commands are not here. These ones stand for them and note how they are called."""
    for name, does in {
        "scontrol": f'echo "$@" >> {tmp_path}/calls; echo node-1',
        "getent": 'echo "10.0.0.1 STREAM node-1"',
        "srun": f'echo "srun $@" >> {tmp_path}/calls; exit {code}',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    run = subprocess.run(
        ["bash", DEPLOY / "slurm.sbatch", "mine.yaml", "/shared/out", "--max-hours", "23"],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "SLURM_JOB_NODELIST": "node-[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "4",
            "SLURM_JOB_ID": "77",
        },
    )
    assert run.returncode == code
    calls = (tmp_path / "calls").read_text()
    assert (
        "--min-nodes 2 --num-cpus 4 -- corpusmill run mine.yaml --output /shared/out "
        "--ray-address 10.0.0.1:6379 --max-hours 23"
    ) in calls
    assert ("requeue 77" in calls) == requeued


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_options_of_corpusmill_in_job_files_exist(path):
    command: Any = get_command(app)
    known = {option for parameter in command.commands["run"].params for option in parameter.opts}
    for line in re.findall(r"(?:corpusmill\"?|cli\.py) run (.*)", path.read_text()):
        assert set(re.findall(r"(?<!\S)(--[a-z-]+)", line)) <= known


def test_nightly_runs_and_verifies_and_leaves_a_running_one_alone(tmp_path):
    command = tmp_path / "corpusmill"
    command.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    command.chmod(0o755)
    nightly = ["bash", DEPLOY / "nightly.sh", "mine.yaml", tmp_path / "out", "--workers", "1"]
    environment = {"PATH": "/usr/bin:/bin", "CORPUSMILL": str(command)}
    assert subprocess.run(nightly, env=environment).returncode == 0
    calls = [f"run mine.yaml --output {tmp_path}/out --workers 1", f"verify {tmp_path}/out"]
    assert (tmp_path / "calls").read_text().splitlines() == calls
    held = subprocess.run(
        ["flock", tmp_path / "out.lock", *nightly], env=environment, capture_output=True, text=True
    )
    assert (held.returncode, "still running" in held.stdout) == (0, True)
    assert (tmp_path / "calls").read_text().splitlines() == calls
