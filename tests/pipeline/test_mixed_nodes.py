"""A cluster that grows during a pass, and whose nodes differ: work goes where it fits.

The GPU is one by name only (`ray start --num-gpus=1`): the work notes what it was given.
"""

import threading
from contextlib import closing

import pyarrow.parquet as pq
import pytest
from corpusmill.pipeline import ray_runner
from corpusmill.pipeline.execute import execute
from corpusmill.pipeline.ray_runner import RayRunner

from tests.pipeline.sample_stages import Placed, write_documents
from tests.pipeline.test_execute import job
from tests.ray_nodes import TOKEN, Node, free_port

SHARDS = 12


def urls(folder):
    return {url for path in folder.iterdir() for url in pq.read_table(path)["url"].to_pylist()}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_that_joins_gets_work_and_engines_run_where_the_gpus_are(tmp_path, monkeypatch):
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ray_runner, "LOOKED_SECONDS", 0.1)
    documents = write_documents(tmp_path, {f"s{number:02}": ["one"] for number in range(SHARDS)})
    port = free_port()
    nodes = [
        Node(
            *(TOKEN, "--head", "--include-dashboard=false"),
            *("--node-ip-address=127.0.0.1", f"--port={port}"),
        )
    ]

    def join():
        nodes.append(Node(TOKEN, f"--address=127.0.0.1:{port}", "--num-gpus=1"))
        nodes[1].wait_for("Ray runtime started")
        (tmp_path / "processor").touch()

    joining = threading.Thread(target=join)
    try:
        nodes[0].wait_for("Ray runtime started")
        with closing(RayRunner(f"127.0.0.1:{port}")) as runner:
            joining.start()
            (tmp_path / "gpu").touch()
            stage = Placed(go_on=str(tmp_path))
            manifest = execute(job(stage, tmp_path / "out", documents), runner)
            assert runner._cpus == 2
        assert (manifest.shards, manifest.quarantined) == (SHARDS, [])
        head, gpu = (node.folder.name for node in nodes)
        assert {url.split()[0] for url in urls(tmp_path / "out" / "processor")} == {head, gpu}
        assert urls(tmp_path / "out" / "documents") == {f"{gpu} - 0"}
    finally:
        joining.join()
        for node in nodes:
            node.kill()
            node.folder.cleanup()
