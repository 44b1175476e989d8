"""The results of `mix`: as JSON that `blend` reads, as a table of runs, and as text."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from corpusmill.evaluation.comparison import Figure, compare
from corpusmill.manifests.shard import Shard
from corpusmill.stages.ablate.page import table
from corpusmill.stages.ablate.runs import read_run
from corpusmill.stages.blend.proposed import PROPOSAL
from corpusmill.stages.mix.stage import NATURAL, PROPOSED, Mix
from corpusmill.stages.mix.work import losses_of, read_json

SUMMARY, RUNS = "summary.txt", "runs.csv"
DOUBTFUL = 0.7  # rank correlation below which the regression says little


def write_results(settings: Mix, shard: Shard) -> None:
    """Put together what the passes found."""
    design, proposal, *rest = shard.inputs
    found = read_json(proposal)
    arms = read_json(design)["arms"]
    curves = {file.stem: read_json(file) for file in rest if file.name.endswith(".json")}
    items = {file.stem: file for file in rest if file.name.endswith(".parquet")}
    runs = [one for one in curves.values() if one["arm"] in arms]
    figures: list[Figure] = []
    if items:
        checked = [
            read_run(curves[name], pa.concat_tables(shard.read(items[name])))
            for name in sorted(items)
        ]
        figures = compare(checked, NATURAL, settings.last)
    found.pop("arms", None)  # keys of documents, of use to the check alone
    predicted = found.pop("predicted")
    found["check"] = [figure.as_json() for figure in figures if figure.arm == PROPOSED]
    shard.file("", PROPOSAL, json.dumps(found, indent=1).encode() + b"\n")
    shard.file("", RUNS, _runs(settings, runs, arms, predicted).encode())
    text = [*summary(found), *(["", *table(figures)] if figures else [])]
    shard.file("", SUMMARY, ("\n".join(text) + "\n").encode())


def _runs(
    settings: Mix,
    runs: Sequence[Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, Any]],
    predicted: Mapping[str, Sequence[float]],
) -> str:
    """A line for each run: its shares, the figures of the objective, and those predicted for it
    from the other runs.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    sources = list(next(iter(arms.values()))["shares"])
    foretold = [f"predicted_{name}" for name in settings.importance]
    rows.writerow(["run", *(f"share_{name}" for name in sources), *settings.importance, *foretold])
    for run in sorted(runs, key=lambda one: str(one["arm"])):
        arm = run["arm"]
        numbers = [*arms[arm]["shares"].values(), *losses_of(settings, run), *predicted[arm]]
        rows.writerow([arm, *(f"{number:.5f}" for number in numbers)])
    return text.getvalue()


def summary(found: Mapping[str, Any]) -> Iterator[str]:
    """The proposal for people."""
    wide = max(map(len, [*found["sources"], *found["domains"], "objective"]))
    yield (
        f"{found['runs']} runs of {found['tokens_of_a_run']:,} tokens; "
        "intervals: 90 % of the bootstrap over runs"
    )
    yield ""
    yield f"{'source':{wide}}  {'natural':>8}  {'proposed':>8}  {'interval':>17}  {'epochs':>6}"
    for name, one in found["sources"].items():
        interval = f"{one['low']:.2%} - {one['high']:.2%}"
        yield (
            f"{name:{wide}}  {one['natural']:>8.2%}  {found['weights'][name]:>8.2%}  "
            f"{interval:>17}  {one['epochs']:>6.2f}"
        )
    yield ""
    yield (
        f"{'held out':{wide}}  {'weight':>8}  {'natural':>8}  {'proposed':>8}  rank correlation"
        "    bits per byte as predicted"
    )
    for name, one in found["domains"].items():
        yield (
            f"{name:{wide}}  {one['weight']:>8.2f}  {one['natural']:>8.4f}  "
            f"{one['proposed']:>8.4f}  {one['rank_correlation']:>16.2f}"
        )
    natural, proposed = (
        sum(one["weight"] * one[which] for one in found["domains"].values())
        for which in (NATURAL, PROPOSED)
    )
    yield (
        f"{'objective':{wide}}  {'':8}  {natural:>8.4f}  {proposed:>8.4f}  "
        f"{found['rank_correlation']:>16.2f}"
    )
    gain = found["gain"]
    yield f"predicted gain {gain['value']:.4f} ({gain['low']:.4f} to {gain['high']:.4f})"
    if doubt := doubt_about(found):
        yield doubt


def doubt_about(found: Mapping[str, Any]) -> str:
    """What speaks against a proposal. Empty if nothing does."""
    if found["rank_correlation"] < DOUBTFUL:
        return "The regression hardly orders the runs: train each longer, or train more runs."
    if found["gain"]["low"] <= 0:
        return "The gain may be none: it is not sure that the proposal is better."
    return ""
