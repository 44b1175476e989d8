"""Ray's autoscaler adds nodes because work waits, a GPU node because a pass asks for one.

The autoscaler is the real one (version 2, KubeRay's). What gives it machines is Ray's own provider
for tests: a node is a raylet on this machine, and its GPU is one by name only.
"""

import json
import threading
import time
from contextlib import closing

import pytest
from corpusmill.pipeline import ray_runner
from corpusmill.pipeline.execute import execute
from corpusmill.pipeline.ray_runner import RayRunner

from tests.pipeline.sample_stages import Placed, write_documents
from tests.pipeline.test_execute import job
from tests.pipeline.test_mixed_nodes import urls
from tests.ray_nodes import TOKEN, Node, free_port

SHARDS = 3  # so few that a GPU node never comes for want of processors
HEAD = "f" * 51 + "00000"  # the id that the provider gives the head
# `fake_multinode` by name reads a file that Ray's wheel lacks.
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
NOTHING: dict[str, object] = {
    **{name: {} for name in ("auth", "docker", "file_mounts")},
    **{f"{name}_commands": [] for name in ("initialization", "setup", "head_setup")},
    **{f"{name}_commands": [] for name in ("worker_setup", "head_start_ray", "worker_start_ray")},
    **{name: [] for name in ("cluster_synced_files", "rsync_exclude", "rsync_filter")},
}


def cluster(address):
    """A head of one processor. Up to two nodes like it and two GPU nodes may come."""

    def node(most, **resources):
        return {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": most}

    return {
        "cluster_name": "test",
        "max_workers": 4,
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "gcs_address": address,
            "head_node_id": HEAD,
            "launch_multiple": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": node(0, CPU=1),
            "processor": node(2, CPU=1),
            "gpu": node(2, CPU=1, GPU=1),
        },
        "idle_timeout_minutes": 5,
        "upscaling_speed": 1.0,
        "file_mounts_sync_continuously": False,
        **NOTHING,
    }


def _go_on_when(conditions, folder):
    """Let the stage's passes end, one after the other: pass name -> when."""
    for name, condition in conditions.items():
        while not condition():
            time.sleep(0.2)
        (folder / name).touch()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_nodes_come_because_work_waits(tmp_path, monkeypatch):
    for name, value in TOKEN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ray_runner, "LOOKED_SECONDS", 0.5)
    documents = write_documents(tmp_path, {f"s{number:02}": ["one"] for number in range(SHARDS)})
    import ray  # it reads the token when it is imported

    address = f"{ray.util.get_node_ip_address()}:{free_port()}"
    (tmp_path / "cluster.json").write_text(json.dumps(cluster(address)))
    head = Node(
        {
            **TOKEN,
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        },
        *("--head", "--include-dashboard=false", f"--port={address.split(':')[1]}"),
        f"--autoscaling-config={tmp_path / 'cluster.json'}",
    )
    try:
        head.wait_for("Ray runtime started")
        with closing(RayRunner(address, gpus=1)) as runner:
            runner._look()
            assert ray.cluster_resources()["CPU"] == 1
            assert "GPU" not in ray.cluster_resources()
            conditions = {
                "processor": lambda: len(head.at_work()) >= 2,
                "gpu": lambda: runner._gpus >= 2,
            }
            threading.Thread(target=_go_on_when, args=(conditions, tmp_path), daemon=True).start()
            manifest = execute(
                job(Placed(go_on=str(tmp_path)), tmp_path / "out", documents), runner
            )
        assert (manifest.shards, manifest.quarantined) == (SHARDS, [])
        folder = head.folder.name
        assert urls(tmp_path / "out" / "processor") == {f"{folder} - -", f"{folder} processor -"}
        assert urls(tmp_path / "out" / "documents") == {f"{folder} gpu 0"}
    finally:
        head.kill()
        head.folder.cleanup()
