"""The verb mix: the source that teaches what is asked for gets more weight, and blend takes it."""

import csv
import json

import numpy as np
import pytest
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.manifests.looking.verify import verify
from corpusmill.pipeline.forecast import forecast_blend
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.mix import work
from corpusmill.stages.mix.proposal import rank_correlation

from tests.evaluation.tiny_models import TINY
from tests.stages.ablate.arms import TRAIN, gauge, lists, sums, write_lines


def run(verb, folder, settings, *inputs):
    return run_step(Step(verb, verb, (), settings), inputs, str(folder), InlineRunner())


def write_rows(path, texts):
    """Rows with ids of their own: else ids, and so what is learnt, depend on the folder."""
    rows = [{"id": f"row {number}", "text": text} for number, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pooled(folder, max_epochs=1, **texts):
    """The output of pack, of a blend of all texts of some sources."""
    sources = {
        name: {
            "input": str(write_rows(folder / f"{name}.jsonl", found)),
            "reader": {"source": name},
            "max_epochs": max_epochs,
        }
        for name, found in texts.items()
    }
    blend = {"sources": sources, "tokens": 10**12, "tokenizer": str(TINY), "shards": 2}
    run("blend", folder / "pool", blend)
    run("pack", folder / "packed", {"tokenizer": str(TINY)}, str(folder / "pool"))
    return sources


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Twice as many lists as sums."""
    folder = tmp_path_factory.mktemp("pool")
    pooled(folder, lists=lists(0, 40), sums=sums(0, 20))
    return folder


def mix(tmp_path, pool, output="mix", **settings):
    given = {"train": TRAIN, "gauge": gauge(tmp_path), "runs": 10, **settings}
    manifest = run("mix", tmp_path / output, given, str(pool / "packed"))
    return manifest, json.loads((tmp_path / output / "proposal.json").read_text())


def test_the_source_that_is_asked_for_gets_more_weight(tmp_path, pool):
    manifest, found = mix(tmp_path, pool, objective={"sums": 1})
    natural = {name: one["natural"] for name, one in found["sources"].items()}
    assert natural["lists"] > 0.6
    assert found["weights"]["sums"] > natural["sums"] + 0.2
    assert found["sources"]["sums"]["low"] > natural["sums"]
    assert found["rank_correlation"] > 0.8
    assert found["gain"]["low"] > 0
    # Rows of the pool: each run reads all, and uses some.
    (counts,) = manifest.totals
    assert counts.rows_in == 10 * 60
    assert counts.kept + counts.unused["not_in_mixture"] == counts.rows_in
    assert {parent.path for parent in manifest.parents} >= {str(pool / "packed")}
    assert not verify(str(tmp_path / "mix")).problems
    with (tmp_path / "mix/runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert float(rows[0]["share_sums"]) == pytest.approx(natural["sums"], abs=0.05)
    measured, foretold = (
        [float(row[f"{kind}sums"]) for row in rows] for kind in ("", "predicted_")
    )
    assert rank_correlation(np.array(foretold), np.array(measured)) == pytest.approx(
        found["domains"]["sums"]["rank_correlation"]
    )

    # Asked for the other one, the same runs say the opposite.
    again, other = mix(tmp_path, pool, objective={"lists": 1})
    assert again.work.reused == 13  # measures, the design and all runs
    assert other["weights"]["lists"] > natural["lists"]

    # More runs train alone.
    more, _ = mix(tmp_path, pool, runs=12, objective={"lists": 1})
    assert more.work.made == 5  # the design, two runs, the proposal and the results

    summary = (tmp_path / "mix/summary.txt").read_text()
    assert "12 runs of 3,072 tokens" in summary


def test_a_stopped_stage_goes_on_to_the_same_proposal(tmp_path, pool):
    _, whole = mix(tmp_path, pool, "whole", runs=6)
    mix(tmp_path, pool, "broken", runs=6)
    for name in ("receipts/train/run-0003-0.json", "manifest.json"):
        (tmp_path / "broken" / name).unlink()
    manifest, broken = mix(tmp_path, pool, "broken", runs=6)
    assert manifest.work.made == 1
    assert broken == whole


def test_the_check_trains_both_mixtures(tmp_path, pool):
    manifest, found = mix(tmp_path, pool, runs=6, objective={"sums": 1}, check=[3, 4])
    (sums_of_proposed,) = [one for one in found["check"] if one["task"] == "sums"]
    assert sums_of_proposed["seeds"] == 2
    assert sums_of_proposed["difference"]["value"] < 0
    assert manifest.totals[0].rows_in == (6 + 4) * 60
    assert "proposed" in (tmp_path / "mix/summary.txt").read_text()


def test_blend_takes_the_proposal(tmp_path, pool):
    _, found = mix(tmp_path, pool, runs=6, objective={"sums": 1})
    sources = {name: {"input": str(pool / f"{name}.jsonl")} for name in ("lists", "sums")}
    settings = {"sources": sources, "tokenizer": str(TINY), "weights": str(tmp_path / "mix")}
    manifest = run("blend", tmp_path / "blend", settings)
    plan = json.loads((tmp_path / "blend/plan.json").read_text())
    for name, weight in found["weights"].items():
        assert plan["sources"][name]["asked_share"] == pytest.approx(weight)
        assert plan["sources"][name]["share"] == pytest.approx(weight, abs=0.05)
    assert str(tmp_path / "mix") in {parent.path for parent in manifest.parents}
    forecast = forecast_blend(Step("blend", "blend", (), settings), str(tmp_path / "other"))
    asked = {line.source: line.asked_share for line in forecast.lines}
    assert asked == pytest.approx(found["weights"])

    other = {**settings, "sources": {"lists": sources["lists"]}}
    with pytest.raises(CorpusmillError, match="the blend has no source 'sums'"):
        run("blend", tmp_path / "less", other)
    nowhere = {**settings, "weights": str(tmp_path)}
    with pytest.raises(CorpusmillError, match=r"holds no proposal\.json; run mix first"):
        run("blend", tmp_path / "nowhere", nowhere)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"runs": 5}, "runs is 5, too few for a regression on 2 sources; set mix.runs"),
        ({"objective": {"summs": 1}}, "objective weighs 'summs'.*did you mean 'sums'"),
        # 64 tokens are less than any document, whichever the draw takes first.
        (
            {"train": {**TRAIN, "steps": 1, "batch_size": 1}},
            "a run of 64 tokens is too short for whole documents",
        ),
        ({"check": [1, 1]}, "check holds one seed twice"),
    ],
)
def test_settings_that_give_no_proposal_are_refused(tmp_path, pool, settings, says):
    with pytest.raises(CorpusmillError, match=says):
        mix(tmp_path, pool, **settings)


def test_a_pool_that_is_too_small_is_refused_before_it_is_read(tmp_path, pool):
    with pytest.raises(CorpusmillError, match=r"the pool has .* tokens; 2,560,000 are"):
        mix(tmp_path, pool, train={**TRAIN, "steps": 10_000})
    assert not (tmp_path / "mix/receipts/measure").exists()


def test_a_pool_with_copies_is_refused(tmp_path):
    pooled(tmp_path, max_epochs=4, lists=lists(0, 8), sums=sums(0, 4))
    with pytest.raises(CorpusmillError, match=r"holds copies of documents.*leave out max_epochs"):
        mix(tmp_path, tmp_path)


def test_only_a_check_asks_for_whole_documents_of_the_proposal(tmp_path, pool, monkeypatch):
    """A proposal of too short a mixture is one still."""
    taken = work._taken

    def refused(settings, available, shares, measured):
        if len(shares) == 2:
            raise RecipeError("one mixture is too short")
        return taken(settings, available, shares, measured)

    monkeypatch.setattr(work, "_taken", refused)
    _, found = mix(tmp_path, pool, runs=6)
    assert sum(found["weights"].values()) == pytest.approx(1)
    with pytest.raises(CorpusmillError, match="one mixture is too short"):
        mix(tmp_path, pool, runs=6, check=[1])


def test_a_domain_without_text_is_refused(tmp_path, pool):
    empty = gauge(tmp_path)
    empty["held_out"]["code"] = [str(write_lines(tmp_path / "none.jsonl", [""]))]
    with pytest.raises(CorpusmillError, match=r"task code has no item.*none\.jsonl"):
        mix(tmp_path, pool, gauge=empty)


def test_one_source_is_refused(tmp_path):
    pooled(tmp_path, lists=lists(0, 20))
    with pytest.raises(CorpusmillError, match=r"the input has one source \(lists\)"):
        mix(tmp_path, tmp_path)


def test_documents_are_refused(tmp_path, pool):
    given = {"train": TRAIN, "gauge": gauge(tmp_path)}
    with pytest.raises(CorpusmillError, match="is no token shard; give the output folder of pack"):
        run("mix", tmp_path / "mix", given, str(pool / "pool"))
    assert not storage.exists(str(tmp_path / "mix/manifest.json"))
