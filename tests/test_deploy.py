"""The job files: bash reads the scripts, the manifest is a RayJob, and their commands are valid."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpusmill.cli import app
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
    for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"] > 0


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
