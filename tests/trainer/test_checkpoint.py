"""Checkpoints are whole or absent. They are exact, and refused for another run."""

import json
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError, StorageError
from corpusmill.trainer import checkpoint, saving
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.optim import Optimizer
from corpusmill.trainer.ranks import Ranks
from corpusmill.trainer.saving import Saver
from safetensors.torch import load_file

Trained = tuple[HybridModel, Optimizer]
ALONE = Ranks(torch.device("cpu"))


@pytest.fixture
def trained(small_model, make_config):
    """A model and its optimiser after two steps."""
    model = HybridModel(small_model)
    initialise(model, 0)
    optimizer = Optimizer(model, make_config())
    for _ in range(2):
        model(torch.arange(16)[None]).square().mean().backward()
        optimizer.step(1e-3)
        optimizer.zero_grad()
    return model, optimizer


def save(
    folder: Path, trained: Trained, config: TrainConfig, step: int, shards: Sequence[str] = ()
) -> Path:
    """The checkpoint, when it is whole."""
    model, optimizer = trained
    with Saver(folder, model, optimizer, config, "digest", list(shards), ALONE) as saver:
        saver.save(step)
        path = saver.wait()
    assert path is not None
    return path


@pytest.fixture
def saved(trained: Trained, make_config, tmp_path):
    return save(tmp_path / "checkpoints", trained, make_config(), 2, ["a.parquet"])


def fresh(config: TrainConfig) -> Trained:
    model = HybridModel(config.model)
    initialise(model, 9)
    return model, Optimizer(model, config)


def test_a_checkpoint_brings_back_weights_step_and_random_state(
    saved, trained: Trained, make_config
):
    expected = torch.rand(3)  # what comes next after saving
    torch.manual_seed(123)
    model, optimizer = fresh(make_config())
    assert checkpoint.resume(saved, model, optimizer, make_config(), "digest") == 2
    assert torch.equal(torch.rand(3), expected)
    for (name, one), two in zip(trained[0].named_parameters(), model.parameters(), strict=True):
        assert torch.equal(one, two), name
    for name, mean in trained[1].moments().items():
        assert torch.equal(mean, optimizer.moments()[name]), name


def test_equal_states_give_equal_bytes(saved, trained: Trained, make_config, tmp_path):
    again = save(tmp_path / "again", trained, make_config(), 2, ["a.parquet"])
    files = sorted(path.name for path in saved.iterdir())
    assert files == [
        "model.safetensors",
        "optimizer.safetensors",
        "random.safetensors",
        "state.json",
    ]
    for name in files:
        assert (saved / name).read_bytes() == (again / name).read_bytes(), name


def test_another_configuration_is_refused_and_named(saved, make_config):
    config = make_config(learning_rate=1e-4)
    with pytest.raises(
        CorpusmillError, match=r"learning_rate was 0.003 and is now 0.0001.*another output folder"
    ):
        checkpoint.resume(saved, *fresh(config), config, "digest")


def test_values_that_change_no_result_may_differ(saved, make_config):
    config = make_config(log_every=7, keep=9, checkpoint_every=11)
    assert checkpoint.resume(saved, *fresh(config), config, "digest") == 2


def test_other_data_is_refused(saved, make_config):
    with pytest.raises(CorpusmillError, match="trained on other data"):
        checkpoint.resume(saved, *fresh(make_config()), make_config(), "another digest")


def test_only_the_latest_are_kept(trained: Trained, make_config, tmp_path):
    for step in (2, 4, 100_000_000, 6):
        save(tmp_path, trained, make_config(keep=3), step)
    assert [path.name for path in checkpoint.found(tmp_path)] == [
        "step-00000004",
        "step-00000006",
        "step-100000000",
    ]
    assert checkpoint.latest(tmp_path) == tmp_path / "step-100000000"


def test_half_written_folders_are_never_taken_and_are_cleaned_away(
    saved, trained: Trained, make_config
):
    folder = saved.parent
    (folder / ".writing-step-00000099").mkdir()
    (folder / ".removing-step-00000001").mkdir()
    assert checkpoint.latest(folder) == saved
    save(folder, trained, make_config(), 4)
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000002", "step-00000004"]


@contextmanager
def narrow_disk() -> Iterator[None]:
    """The system refuses to write more than 10 kB into any file, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_save_that_fails_leaves_the_earlier_checkpoint(saved, trained: Trained, make_config):
    with (
        narrow_disk(),
        pytest.raises(StorageError, match=r"cannot be written .*File too large.*; make room"),
    ):
        save(saved.parent, trained, make_config(), 4)
    assert checkpoint.latest(saved.parent) == saved


def test_a_damaged_tensor_file_is_named(saved, make_config):
    path = saved / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorpusmillError, match=r"optimizer.safetensors is damaged"):
        checkpoint.resume(saved, *fresh(make_config()), make_config(), "digest")


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(CorpusmillError, match=r"is not a checkpoint \(no state.json\)"):
        checkpoint.load_model(tmp_path)


def test_the_state_names_configuration_data_and_loader_position(saved, make_config):
    state = json.loads((saved / "state.json").read_text())
    assert state["step"] == 2
    assert state["sequences"] == 8  # two steps of four rows
    assert state["data_digest"] == "digest"
    assert state["shards"] == ["a.parquet"]
    assert state["config"]["model"]["pattern"] == "M*-"


def test_load_model_needs_nothing_but_the_checkpoint(saved, trained: Trained):
    model, config = checkpoint.load_model(saved)
    assert config.sequence_length == 16
    tokens = torch.arange(10)[None]
    assert torch.equal(model(tokens), trained[0](tokens))


def test_a_checkpoint_that_lacks_newer_settings_has_their_defaults(
    saved, trained: Trained, make_config
):
    path = saved / "state.json"
    state = json.loads(path.read_text())
    for name in ("precision", "optimizer", "checkpoint_activations", "z_loss"):
        del state["config"][name]
    path.write_text(json.dumps(state))
    assert checkpoint.resume(saved, *fresh(make_config()), make_config(), "digest") == 2
    with pytest.raises(CorpusmillError, match=r"z_loss was 0.0 and is now 0.1"):
        checkpoint.resume(saved, *fresh(make_config()), make_config(z_loss=0.1), "digest")


def test_steps_go_on_while_a_checkpoint_is_written(
    trained: Trained, make_config, tmp_path, monkeypatch
):
    model, optimizer = trained
    before = {name: value.clone() for name, value in checkpoint.weights_of(model).items()}
    go_on = threading.Event()
    write = saving.save_file

    def slow(*arguments, **options):
        assert go_on.wait(10)
        write(*arguments, **options)

    monkeypatch.setattr(saving, "save_file", slow)
    with Saver(tmp_path, model, optimizer, make_config(), "digest", [], ALONE) as saver:
        saver.save(2)
        assert checkpoint.found(tmp_path) == []
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()  # a step
        go_on.set()
        path = saver.wait()
    assert path is not None
    for name, stored in load_file(path / "model.safetensors").items():
        assert torch.equal(stored, before[name]), name


def test_a_save_that_failed_is_told_by_the_next(trained: Trained, make_config, tmp_path):
    (tmp_path / "checkpoints").write_text("a file in the way")
    with Saver(tmp_path / "checkpoints", *trained, make_config(), "digest", [], ALONE) as saver:
        saver.save(2)
        with pytest.raises(StorageError, match="cannot be written"):
            saver.save(4)
