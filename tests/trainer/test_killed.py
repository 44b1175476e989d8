"""A run is killed at every step, and at every file of a checkpoint: the result has the same bytes.

The kernel ends the process, so nothing can be tidied up. Each run starts where the killed one
before it left off. One process imports the trainer, and its forks are killed.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from corpusmill.trainer import checkpoint
from corpusmill.trainer.train import train

STEPS = 7

PROGRAM = """
import os, signal, sys
import pandas, torch._dynamo  # else every fork would import them
from pathlib import Path
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer.checkpoint import read_state
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.train import train

whole, folder, place, first, last, *shards = sys.argv[1:]
config = build_settings(TrainConfig, read_state(Path(whole)).config)
flush, flushed = os.fsync, 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying_flush(handle):
    global flushed
    flushed += 1
    if flushed == number:
        die()
    flush(handle)

def run(on_step=None):
    train(config, list(map(Path, shards)), Path(folder), on_step)

for number in range(int(first), int(last) + 1):
    child = os.fork()
    if not child:
        if place == "file":
            os.fsync = dying_flush
            run()
        else:
            run(lambda record: die() if record.step == number else None)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
run()
"""


@pytest.mark.parametrize(
    ("place", "last", "changes"),
    [
        ("step", STEPS, {}),
        # Six files and folders of the first checkpoint, one of the next.
        ("file", 7, {"deterministic": True, "optimizer": "muon", "micro_batch_size": 2}),
    ],
)
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bytes(
    write_shards, random_documents, make_config, tmp_path, place, last, changes
):
    shards = write_shards(random_documents)
    config = make_config(steps=STEPS, checkpoint_every=2, **changes)
    whole = train(config, shards, tmp_path / "whole")
    arguments = [str(whole.checkpoint), str(tmp_path / "killed"), place, "1", str(last)]
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, *map(str, shards)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout.split() == ["-9"] * last
    found = checkpoint.latest(tmp_path / "killed" / "checkpoints")
    assert found is not None
    assert found.name == whole.checkpoint.name
    assert files(found) == files(whole.checkpoint)
    assert losses(tmp_path / "killed" / "log.jsonl") == losses(whole.log)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def losses(log: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]
