"""The verb ablate: arms are told apart, runs are kept, and unequal comparisons are refused."""

import json

import pyarrow.parquet as pq
import pytest
from corpusmill.evaluation.gauge import named
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.looking.trace import trace
from corpusmill.manifests.looking.verify import verify
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.report.page import render
from corpusmill.stages.ablate import runs

from tests.stages.ablate.arms import TRAIN, filtered, gauge, lists, packed, sums


@pytest.fixture(scope="module")
def arms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arms")
    return {
        "lists": str(packed(folder / "lists", lists(0, 30))),
        "sums": str(packed(folder / "sums", sums(0, 30))),
    }


def ablate(tmp_path, arms, output="out", **settings):
    train = {**TRAIN, **settings.pop("train", {})}
    given = {
        "arms": arms,
        "train": train,
        "gauge": gauge(tmp_path),
        "seeds": [0, 1],
        "readings": 4,
        "last": 2,
        **settings,
    }
    return run_step(Step("ablate", "ablate", (), given), (), str(tmp_path / output), InlineRunner())


def comparison(folder):
    found = json.loads((folder / "comparison.json").read_text())
    return {(one["arm"], one["task"]): one for one in found["figures"]}, found


def test_each_arm_is_better_on_its_own_kind_of_text(tmp_path, arms):
    manifest = ablate(tmp_path, arms, seeds=[0, 1, 2])
    figures, found = comparison(tmp_path / "out")
    assert found["baseline"] == "lists"
    assert found["tokens"] == 12 * 4 * 64
    assert figures["sums", "sums"]["verdict"] == "better"
    assert figures["sums", "lists"]["verdict"] == "worse"
    assert figures["sums", "sums"]["difference"]["value"] < -0.3
    assert figures["lists", "sums"]["difference"] is None
    # Two arms and three seeds; each read its documents.
    (counts,) = manifest.totals
    assert (counts.rows_in, counts.tokens) == (180, 6 * found["tokens"])
    assert {parent.path.rsplit("/", 1)[-1] for parent in manifest.parents} >= {"lists", "sums"}
    assert not verify(str(tmp_path / "out")).problems
    row = pq.read_table(f"{arms['sums']}/documents", columns=["id"])["id"][0].as_py()
    (seen,) = trace(str(tmp_path / "out"), row).sightings
    assert (seen.step, seen.stage) == ("sums", "pack")
    summary = (tmp_path / "out" / "summary.txt").read_text()
    assert "sums / bits_per_byte (4 items, 3 seeds)" in summary
    assert (tmp_path / "out" / "ablation.svg").read_text().count("<circle") >= 3


def test_held_out_text_of_a_stage_folder_is_measured_and_not_counted(tmp_path, arms):
    settings = gauge(tmp_path)
    ablate(tmp_path, arms, output="files", seeds=[0], gauge=settings)
    settings["held_out"]["sums"] = [str(filtered(tmp_path / "filtered", sums(40, 44)))]
    manifest = ablate(tmp_path, arms, output="folder", seeds=[0], gauge=settings)
    assert manifest.totals[0].rows_in == 60  # of the arms
    assert comparison(tmp_path / "folder") == comparison(tmp_path / "files")
    assert not verify(str(tmp_path / "folder")).problems


def test_a_new_seed_and_a_new_arm_train_alone(tmp_path, arms):
    first = ablate(tmp_path, arms, seeds=[0])
    again = ablate(tmp_path, arms, seeds=[0])
    assert (again.digest, again.work.made) == (first.digest, 0)
    more = ablate(tmp_path, {**arms, "more": arms["sums"]}, seeds=[0, 1])
    assert (more.work.made, more.work.reused) == (5, 2)  # four runs and the comparison
    figures, _ = comparison(tmp_path / "out")
    # The same data and the same seeds: the same model.
    assert figures["more", "lists"]["value"] == figures["sums", "lists"]["value"]


def test_an_interrupted_run_goes_on_to_the_same_figures(tmp_path, arms, monkeypatch):
    ablate(tmp_path, arms, output="whole", seeds=[0])
    calls = []

    def break_once(lines):
        calls.append(1)
        if len(calls) == 3:
            raise OSError("the machine is lost")
        return named(lines)

    monkeypatch.setattr(runs, "named", break_once)
    ablate(tmp_path, arms, output="broken", seeds=[0])
    assert len(calls) == 9  # four of each arm, and one again
    for name in ("curves/lists-0.json", "curves/sums-0.json", "comparison.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"train": {"steps": None, "epochs": 1}}, "train.epochs gives arms of different size"),
        ({"train": {"steps": 1000}}, "the arm lists has"),
        ({"baseline": "raw"}, "baseline is 'raw'"),
        ({"seeds": [1, 1]}, "seeds holds one seed twice"),
        ({"last": 5}, "last is 5, of 4 readings"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, arms, settings, says):
    with pytest.raises(CorpusmillError, match=says):
        ablate(tmp_path, arms, **settings)


def test_a_folder_that_is_no_pack_is_refused(tmp_path, arms):
    with pytest.raises(CorpusmillError, match="is no token shard"):
        ablate(tmp_path, {**arms, "odd": arms["sums"] + "/../sums.jsonl"})


def test_the_report_shows_the_comparison(tmp_path, arms):
    ablate(tmp_path, arms, output="out/ablate", seeds=[0])
    text = render(str(tmp_path / "out"))
    assert "ablate: what the arms are worth" in text
    assert "3,072 tokens each, 1 seeds; differences to lists" in text
    assert "<title>sums -" in text  # the mark of its better arm in the picture
