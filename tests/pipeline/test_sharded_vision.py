"""A model that reads images, sharded over two processes, has the losses of one, and resumes."""

import json

import pytest
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer import checkpoint
from corpusmill.trainer.workers import run as train
from corpusmill.vision.build import load_model, load_parts, parts
from corpusmill.vision.config import VisionTrainConfig

from tests.pipeline.small_reader import MODEL, TILING, VISION
from tests.stages.small_corpus import documents, run, small_tokenizer, write_shard

TRAINING = {
    "model": MODEL,
    "vision": VISION,
    "pack": "pad",
    "sequence_length": 96,
    "batch_size": 4,
    "micro_batch_size": 1,
    "steps": 6,
    "warmup_steps": 1,
    "learning_rate": 3e-3,
    "eval_fraction": 0.3,
    "log_every": 1,
    "checkpoint_every": 2,
    "threads": 1,
    "device": "cpu",
}
SHARDED = {"num_workers": 2, "shard_ranks": 2}


class Interrupted(Exception):
    """Stands for a lost machine."""


def interrupt(record):
    if record.step == 5:
        raise Interrupted


def losses(log):
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Charts, and as many rows without an image: whole micro-batches have none."""
    folder = tmp_path_factory.mktemp("sharded")
    named = write_shard(folder / "named/00000.parquet", documents("doc", 12))
    paper = {"width": 112, "height": 112, "min_font_size": 12, "max_font_size": 14}
    run("render", {"charts": {}, "paper": paper, "max_pages": 2}, folder / "charts", named)
    settings = {
        "tokenizer": small_tokenizer(folder / "tokenizer"),
        "images": TILING,
        "max_document_tokens": 97,
    }
    text = write_shard(folder / "text/00000.parquet", documents("text", 20))
    run("pack", settings, folder / "pack-images", str(folder / "charts"))
    run("pack", settings, folder / "pack-text", text)
    return sorted(folder.glob("pack-*/documents/*.parquet"))


SHARED = {"pack": "best_fit", "reset_at_documents": True}  # rows of several documents


@pytest.mark.parametrize(
    ("learns", "rows"), [("all", {}), ("letters", {}), ("projector", {}), ("all", SHARED)]
)
def test_two_processes_have_the_losses_of_one_and_one_goes_on(shards, tmp_path, learns, rows):
    weight = 0.0 if learns == "letters" else 0.3
    settings = {**TRAINING, "learns": learns, "letter_weight": weight, **rows}
    alone = build_settings(VisionTrainConfig, settings)
    sharded = build_settings(VisionTrainConfig, {**settings, **SHARDED})
    whole = train(alone, shards, tmp_path / "whole", parts=parts(alone))
    with pytest.raises(Interrupted):
        train(sharded, shards, tmp_path / "moved", interrupt, parts(sharded))
    left = checkpoint.latest(tmp_path / "moved/checkpoints")
    assert left is not None
    assert (left / checkpoint.SHARDED).exists()
    load_parts(left, load_model(whole.checkpoint)[0])  # the next phase can start from it
    moved = train(alone, shards, tmp_path / "moved", parts=parts(alone))
    assert losses(moved.log) == pytest.approx(losses(whole.log), rel=1e-4)
    assert moved.last is not None
    assert whole.last is not None
    assert moved.last.held_out_loss == pytest.approx(whole.last.held_out_loss, rel=1e-4)
    ours, theirs = (load_model(result.checkpoint)[0] for result in (moved, whole))
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if not name.endswith("k_proj.bias"):  # softmax cancels it: its gradient is rounding alone
            assert (one - other).norm() <= 1e-3 * other.norm() + 1e-6, name
