"""Records go to the services that the settings name, and the loss is drawn."""

import importlib.util
import xml.etree.ElementTree as ElementTree

import pytest
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.records import StepRecord
from corpusmill.trainer.tracking import POINTS, draw_loss
from corpusmill.trainer.train import train

SVG = "{http://www.w3.org/2000/svg}"


class Interrupted(Exception):
    """Stands for a lost machine."""


def test_a_run_leaves_a_picture_of_its_losses(
    write_shards, random_documents, make_config, tmp_path
):
    config = make_config(eval_fraction=0.3, eval_every=3)
    train(config, write_shards(random_documents), tmp_path / "run")
    picture = ElementTree.parse(tmp_path / "run" / "loss.svg").getroot()
    (line,) = picture.iter(f"{SVG}polyline")
    assert len(line.attrib["points"].split()) == 6  # steps
    assert len(list(picture.iter(f"{SVG}circle"))) == 2  # held-out losses


def test_the_picture_of_a_long_run_shows_means_and_falls_where_the_loss_falls(tmp_path):
    steps = POINTS * 3
    records = [StepRecord(n + 1, steps, 9.0 - n / steps, 1e-3, 1.0, 1.0) for n in range(steps)]
    draw_loss(records, tmp_path / "loss.svg")
    (line,) = ElementTree.parse(tmp_path / "loss.svg").getroot().iter(f"{SVG}polyline")
    heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert len(heights) == POINTS
    assert heights == sorted(heights)  # down the page


def test_a_service_without_its_package_is_refused_before_the_first_step(
    write_shards, random_documents, make_config, tmp_path
):
    if importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed")
    config = make_config(track=["wandb"])
    with pytest.raises(CorpusmillError, match="pip install wandb"):
        train(config, write_shards(random_documents), tmp_path / "run")


def test_tensorboard_has_every_step_once_after_a_resume(
    write_shards, random_documents, make_config, tmp_path
):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shards, config = write_shards(random_documents), make_config(track=["tensorboard"])

    def interrupt(record):
        if record.step == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(config, shards, tmp_path / "run", interrupt)
    train(config, shards, tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]


def test_weights_and_biases_takes_the_records(
    write_shards, random_documents, make_config, tmp_path, monkeypatch
):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    train(make_config(track=["wandb"]), write_shards(random_documents), tmp_path / "run")
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))
