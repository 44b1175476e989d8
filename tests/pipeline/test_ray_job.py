"""`deploy/ray-job.sh` submits a recipe to a Ray cluster by its job server."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from corpusmill.manifests.manifest import read_manifest

from tests.command_line import ROOT
from tests.ray_nodes import Node, free_port


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_submitted_job_runs_the_recipe_and_says_how_it_ended(tmp_path):
    (tmp_path / "recipe").mkdir()
    (tmp_path / "page.txt").write_text("The old bridge over the river was closed for repairs. " * 8)
    recipe = tmp_path / "recipe" / "mine.yaml"
    recipe.write_text(
        f"name: mine\ninputs: [{tmp_path}/page.txt]\nstages:\n- extract: {{languages: []}}\n"
    )
    dashboard, token = free_port(), secrets.token_hex(16)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {"PATH": path, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    head = Node(
        *(variables, "--head", f"--port={free_port()}", "--include-dashboard=true"),
        *("--node-ip-address=127.0.0.1", f"--dashboard-port={dashboard}"),
    )
    try:
        head.wait_for("Ray runtime started")

        def submit(*options):
            return subprocess.run(
                ["bash", ROOT / "deploy" / "ray-job.sh", recipe, tmp_path / "out", *options],
                env={
                    **os.environ,
                    **variables,
                    "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
                },
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=500,
            )

        done = submit()
        assert done.returncode == 0, done.stdout + done.stderr
        assert "succeeded" in done.stdout
        assert read_manifest(str(tmp_path / "out" / "extract")).totals[0].kept == 1
        other = submit("--set", "extract.languages=[en]")
        assert other.returncode != 0
        assert "was made with other settings" in other.stdout
    finally:
        head.kill()
        head.folder.cleanup()
