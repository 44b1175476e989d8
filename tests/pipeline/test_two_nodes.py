"""Two Ray nodes work on one run over S3. One is killed in the middle: the bytes of one machine.

Each node is a `ray start` of its own, with folders of its own. The killed node and its workers get
a SIGKILL while a shard is under way on it.
"""

import os
import secrets
import subprocess
import sys
import time
import zlib

import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.receipt import list_receipts

from tests.command_line import ROOT, corpusmill
from tests.object_store import object_store
from tests.pipeline.test_s3 import CRAWL, INPUTS, RECIPE, assert_same, data_of, written
from tests.ray_nodes import Node, free_port

PARTS = 6


def recipe_for(place, folder):
    """The recipe with its inputs at `place`. The crawl is cut into six files of whole records."""
    for name in INPUTS[1:]:
        storage.copy(str(ROOT / name), f"{place}/{name}")
    records = records_of((ROOT / CRAWL).read_bytes())
    for part in range(PARTS):
        storage.write_bytes(f"{place}/crawl/part-{part}.warc.gz", b"".join(records[part::PARTS]))
    recipe = RECIPE.read_text().replace(f"package:{CRAWL}", f"{place}/crawl")
    return written(recipe.replace("package:samples", f"{place}/samples"), folder)


def records_of(data):
    """The gzip members of a WARC file, one for each record."""
    records = []
    while data:
        member = zlib.decompressobj(wbits=31)
        member.decompress(data)
        size = len(data) - len(member.unused_data)
        records.append(data[:size])
        data = member.unused_data
    return records


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_node_that_is_killed_changes_no_byte(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    nodes = []
    log, started = [], time.monotonic()

    def say(text):
        log.append(f"{time.monotonic() - started:6.1f} s  {text}")
        print(log[-1], flush=True)

    with object_store() as (variables, _):
        recipe = recipe_for("s3://bucket/in", tmp_path)
        alone = corpusmill(
            *("run", recipe, "--output", tmp_path / "out", "--runner", "inline"), cwd=tmp_path
        )
        assert alone.returncode == 0, alone.stderr
        variables = {**variables, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        try:
            nodes.append(
                Node(
                    *(variables, "--head", "--include-dashboard=false"),
                    *("--node-ip-address=127.0.0.1", f"--port={address.split(':')[1]}"),
                )
            )
            nodes[0].wait_for("Ray runtime started")
            nodes.append(Node(variables, f"--address={address}"))
            nodes[1].wait_for("Ray runtime started")
            command = ["run", str(recipe), "--output", "s3://bucket/out", "--ray-address", address]
            run = subprocess.Popen(
                [sys.executable, "-m", "corpusmill.cli", *command, "--log", "lines"],
                cwd=tmp_path,
                env={**os.environ, **variables},
                stderr=subprocess.PIPE,
                text=True,
            )
            say("two nodes of one processor each; the run begins")
            while not (_receipts() >= 2 and nodes[1].kill_at_work()):
                assert run.poll() is None, run.communicate()[1]
                time.sleep(0.05)
            say(f"{_receipts()} shards are done, the second node was killed at work")
            _, errors = run.communicate(timeout=600)
            assert run.returncode == 0, errors
            say("the run has ended with exit code 0")
        finally:
            for node in nodes:
                node.kill()
                node.folder.cleanup()
        lost = [line for line in errors.splitlines() if "is tried again" in line]
        print("\n".join(lost))
        assert lost
        assert_same(data_of("s3://bucket/out"), data_of(str(tmp_path / "out")))
        assert corpusmill("verify", "s3://bucket/out", cwd=tmp_path).returncode == 0


def _receipts():
    folder = "s3://bucket/out/extract"
    return len(list_receipts(folder)) if storage.exists(folder) else 0
