"""The comparison of all runs: as JSON, as a table of text, and as a picture."""

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa
from corpusmill.evaluation.comparison import ACCURACY, Difference, Figure, by_key, compare
from corpusmill.manifests import storage
from corpusmill.manifests.shard import Shard
from corpusmill.stages.ablate.picture import picture
from corpusmill.stages.ablate.runs import CURVES, read_run
from corpusmill.stages.ablate.stage import Ablate

COMPARISON, SUMMARY, PICTURE = "comparison.json", "summary.txt", "ablation.svg"


def write_comparison(settings: Ablate, shard: Shard) -> None:
    """Read what all runs left, and write the comparison."""
    curves = {}
    items = {}
    for file in shard.inputs:
        if f"/{CURVES}/" in file.path:
            curves[file.stem] = json.loads(storage.read_bytes(file.path))
        else:
            items[file.stem] = pa.concat_tables(shard.read(file))
    runs = [read_run(curves[name], items[name]) for name in sorted(curves)]
    order = list(settings.arms)
    runs.sort(key=lambda run: (order.index(run.arm), run.seed))
    figures = compare(runs, settings.compared_with, settings.last)
    facts = {
        "baseline": settings.compared_with,
        "seeds": sorted({run.seed for run in runs}),
        "tokens": next(iter(curves.values()))["tokens"],
        "epochs": {one["arm"]: one["epochs"] for one in curves.values()},
        "figures": [figure.as_json() for figure in figures],
    }
    shard.file("", COMPARISON, json.dumps(facts, indent=1).encode() + b"\n")
    shard.file("", SUMMARY, ("\n".join(table(figures)) + "\n").encode())
    shard.file("", PICTURE, picture(figures).encode())


def table(figures: Sequence[Figure]) -> Iterator[str]:
    """A line for each figure of each arm."""
    wide = max(len(figure.arm) for figure in figures)
    yield (
        f"{'':{wide}}  {'value':>8} {'±':>7}  {'difference':>10} {'±':>7} {'spread':>7}"
        "    95 % of seeds and items; spread between the last readings"
    )
    for key, arms in by_key(figures):
        if key.metric == ACCURACY and all(figure.verdict in ("", "unclear") for figure in arms):
            continue  # at chance: in the JSON only
        seeds = sorted({figure.seeds for figure in arms})  # of a failed run there is none
        named = " / ".join(filter(None, key))
        yield f"{named} ({arms[0].items:,} items, {' or '.join(map(str, seeds))} seeds)"
        for figure in arms:
            yield (
                f"{figure.arm:{wide}}  {figure.value:8.4f} {_number(figure.half_width)}  "
                f"{_difference(figure.difference)}  {figure.verdict}"
            ).rstrip()


def _difference(found: Difference | None) -> str:
    if found is None:
        return ""
    return f"{found.value:+10.4f} {_number(found.half_width)} {_number(found.spread)}"


def _number(value: float | None) -> str:
    return f"{'-':>7}" if value is None else f"{value:7.4f}"
