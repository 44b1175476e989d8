"""The trainer as a stage with remote input and output.

Its local files stay until the receipt is written.
"""

import importlib.util
import json
import tempfile

import pytest
from corpusmill.manifests import finding, storage
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.shard import Shard
from corpusmill.pipeline import task
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner

MODEL = {
    "pattern": "M-*-",
    "hidden_size": 32,
    "ffn_size": 48,
    "attention_heads": 2,
    "key_value_heads": 1,
    "head_dim": 16,
    "mamba_heads": 4,
    "mamba_head_dim": 16,
    "mamba_groups": 1,
    "mamba_state": 8,
    "vocab_size": 4096,
    "chunk_size": 32,
}
SETTINGS = {
    "model": MODEL,
    "sequence_length": 64,
    "batch_size": 2,
    "steps": 4,
    "warmup_steps": 1,
    "checkpoint_every": 2,
    "threads": 1,
}


@pytest.fixture
def packed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "local"))
    (tmp_path / "local").mkdir()
    rows = "".join(
        f'{{"id": "d{i}", "text": "{"one two three four five " * 20}{i}"}}\n' for i in range(40)
    )
    (tmp_path / "in.jsonl").write_text(rows)
    bucket = f"memory://{tmp_path.name}"
    run_step(
        Step("extract", "extract"),
        (str(tmp_path / "in.jsonl"),),
        f"{bucket}/extract",
        InlineRunner(),
    )
    pack = Step("pack", "pack", (), {"tokenizer": "package:models/tiny"})
    run_step(pack, (f"{bucket}/extract",), f"{bucket}/pack", InlineRunner())
    return bucket


def test_a_run_killed_before_its_receipt_neither_fetches_nor_trains_again(
    packed, tmp_path, monkeypatch
):
    local = tmp_path / "local"
    trained, fetched = [], []
    report, copy = Shard.report, storage.copy

    def reporting(shard, done, *rest):
        trained.append(done)
        report(shard, done, *rest)

    def copying(path, target):
        fetched.append(path)
        return copy(path, target)

    def run():
        trained.clear()
        fetched.clear()
        run_step(
            Step("train", "train", (), SETTINGS),
            (f"{packed}/pack",),
            f"{packed}/train",
            InlineRunner(),
        )

    monkeypatch.setattr(Shard, "report", reporting)
    monkeypatch.setattr(storage, "copy", copying)
    with monkeypatch.context() as killed:
        killed.setattr(task, "write_receipt", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert trained == [1, 2, 3, 4]
    assert any(path.startswith("memory://") for path in fetched)
    assert list(local.glob("corpusmill-*"))

    run()
    assert trained == []
    assert not any(path.startswith("memory://") for path in fetched)
    assert storage.exists(f"{packed}/train/checkpoint/state.json")
    assert not list(local.glob("corpusmill-*"))


def test_log_picture_and_tensorboard_files_lie_in_the_stage_folder(packed):
    track = ["tensorboard"] if importlib.util.find_spec("tensorboard") else []
    step = Step("train", "train", (), {**SETTINGS, "track": track})
    run_step(step, (f"{packed}/pack",), f"{packed}/train", InlineRunner())
    names = [name for name in finding.files_below(f"{packed}/train") if "tensorboard" in name]
    assert storage.exists(f"{packed}/train/log.jsonl")
    assert storage.exists(f"{packed}/train/loss.svg")
    assert len(names) == len(track)


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_model_of_several_ranks_is_exported_and_started_from(packed, tmp_path):
    ranks = {"num_workers": 2, "shard_ranks": 2, "device": "cpu"}
    first = Step("train", "train", (), {**SETTINGS, **ranks})
    run_step(first, (f"{packed}/pack",), f"{packed}/first", InlineRunner())
    assert storage.exists(f"{packed}/first/checkpoint/.metadata")
    export = Step(
        "export", "export", (), {"tokenizer": f"{packed}/pack/tokenizer", "dtype": "float32"}
    )
    manifest = run_step(export, (f"{packed}/first",), f"{packed}/export", InlineRunner())
    assert manifest.totals[-1].kept == 23
    again = Step("train", "train", (), {**SETTINGS, "init_from": f"{packed}/export"})
    run_step(again, (f"{packed}/pack",), f"{packed}/second", InlineRunner())

    def losses(name: str) -> list[float]:
        lines = storage.read_bytes(f"{packed}/{name}/log.jsonl").decode().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    assert losses("second")[0] < losses("first")[0]
    other = {**SETTINGS, "model": {**MODEL, "ffn_size": 64}, "init_from": f"{packed}/export"}
    with pytest.raises(ModelError, match="ffn_size is 48, not 64"):
        run_step(
            Step("train", "train", (), other),
            (f"{packed}/pack",),
            f"{packed}/third",
            InlineRunner(),
        )
