"""A run is killed at every step, and at every file of a checkpoint: the result has the same bytes.

The kernel ends the process, so nothing can be tidied up. Each run starts where the killed one
before it left off. One process imports the trainer, and its forks are killed.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from corpusmill.trainer import checkpoint
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.parts import TEXT
from corpusmill.trainer.train import train
from corpusmill.vision.build import parts
from corpusmill.vision.config import VisionConfig, VisionTrainConfig

from tests.vision.image_shards import documents
from tests.vision.image_shards import write_shards as write_image_shards

STEPS = 7
ENCODER: dict[str, Any] = {"hidden_size": 32, "layers": 1, "heads": 2, "ffn_size": 64}

PROGRAM = """
import os, signal, sys
import pandas, torch._dynamo  # else every fork would import them
from pathlib import Path
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer.checkpoint import read_state
from corpusmill.trainer.train import train
from corpusmill.vision.build import parts
from corpusmill.vision.config import VisionTrainConfig

whole, folder, place, first, last, *shards = sys.argv[1:]
settings = build_settings(VisionTrainConfig, read_state(Path(whole)).config)
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
    paths = list(map(Path, shards))
    train(settings.training(), paths, Path(folder), on_step, parts(settings))

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
    config = make_config(steps=STEPS, checkpoint_every=2, **changes)
    assert_killing_changes_nothing(config, write_shards(random_documents), tmp_path, place, last)


def test_so_does_one_whose_rows_hold_several_images(make_config, tmp_path):
    vision = VisionConfig(tile_size=56, max_tiles=4, tile_tags=False, **ENCODER)
    shards = write_image_shards(tmp_path / "pack", documents(1, 40, vision), vision)
    changes = {"pack": "best_fit", "reset_at_documents": True, "sequence_length": 80}
    text = make_config(steps=STEPS, checkpoint_every=2, micro_batch_size=2, **changes)
    config = VisionTrainConfig(**text.model_dump(), vision=vision, letter_weight=0.3)
    assert_killing_changes_nothing(config, shards, tmp_path, "step", STEPS)


def assert_killing_changes_nothing(
    config: TrainConfig, shards: list[Path], folder: Path, place: str, last: int
) -> None:
    """Train in one go, and again with so many kills."""
    kind = parts(config) if isinstance(config, VisionTrainConfig) else TEXT
    whole = train(config, shards, folder / "whole", parts=kind)
    arguments = [str(whole.checkpoint), str(folder / "killed"), place, "1", str(last)]
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, *map(str, shards)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout.split() == ["-9"] * last
    found = checkpoint.latest(folder / "killed" / "checkpoints")
    assert found is not None
    assert found.name == whole.checkpoint.name
    assert files(found) == files(whole.checkpoint)
    assert losses(folder / "killed" / "log.jsonl") == losses(whole.log)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def losses(log: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]
