"""Searches for a mixture: the proposal of `mix`, its proxy runs, and how well they are foretold."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests import storage
from corpusmill.report.reading.run import Run
from corpusmill.report.sections.ablations import MEAN, METRICS, TEXT
from corpusmill.stages.blend.proposed import PROPOSAL
from corpusmill.stages.mix.page import RUNS, doubt_about

SHARE, PREDICTED = "share_", "predicted_"
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Source:
    """Shares of the tokens, and how often the blend repeats the source."""

    name: str
    natural: float
    proposed: float
    low: float
    high: float
    epochs: float


@dataclass(frozen=True)
class Domain:
    """Bits per byte of a held-out text. weight: in the objective. natural, proposed: as the
    regression predicts them. points: of each run, predicted from the other runs and measured;
    none if an older version of `mix` ran.
    """

    name: str
    weight: float
    natural: float
    proposed: float
    rank: float
    points: Points


@dataclass(frozen=True)
class Proxy:
    """A proxy run. shares: the largest first. predicted, measured: its objective."""

    name: str
    shares: list[tuple[str, float]]
    predicted: float | None
    measured: float


@dataclass(frozen=True)
class Check:
    """By how much the proposal differs from the natural mixture. predicted: None for what the
    objective leaves out. half_width: 95 %, of `measured`; None if unknown.
    """

    task: str
    predicted: float | None
    measured: float
    half_width: float | None
    verdict: str


@dataclass(frozen=True)
class Mixing:
    """tokens: of a run. rank: of the objective. gain: its value, low and high. doubt: what speaks
    against the proposal.
    """

    name: str
    tokens: int
    rank: float
    gain: dict[str, float]
    doubt: str
    sources: list[Source]
    domains: list[Domain]
    proxies: list[Proxy]
    check: list[Check]


def mixings(run: Run) -> list[Mixing]:
    """The finished searches of a run."""
    found = []
    for stage in run.of("mix"):
        files = [storage.join(stage.manifest.folder, name) for name in (PROPOSAL, RUNS)]
        if all(map(storage.exists, files)):  # `verify` reports what is missing
            proposal, runs = (storage.read_bytes(file).decode() for file in files)
            found.append(_mixing(stage.name, json.loads(proposal), runs))
    return found


def _mixing(name: str, facts: Mapping[str, Any], runs: str) -> Mixing:
    rows = list(csv.DictReader(io.StringIO(runs)))
    weights = {domain: one["weight"] for domain, one in facts["domains"].items()}
    sources = [
        Source(one, of["natural"], facts["weights"][one], of["low"], of["high"], of["epochs"])
        for one, of in facts["sources"].items()
    ]
    domains = [
        Domain(
            *(one, of["weight"], of["natural"], of["proposed"], of["rank_correlation"]),
            [
                (float(row[PREDICTED + one]), float(row[one]))
                for row in rows
                if PREDICTED + one in row
            ],
        )
        for one, of in facts["domains"].items()
    ]
    proxies = [_proxy(row, weights) for row in rows]
    proxies.sort(key=lambda proxy: proxy.measured)
    return Mixing(
        name,
        facts["tokens_of_a_run"],
        facts["rank_correlation"],
        facts["gain"],
        doubt_about(facts),
        sources,
        domains,
        proxies,
        _check(domains, facts["check"]),
    )


def _check(domains: Sequence[Domain], figures: Sequence[Mapping[str, Any]]) -> list[Check]:
    """Each domain that is bits per byte, and the mean of the texts."""
    predicted = {one.name: one.proposed - one.natural for one in domains}
    whole = [one for one in figures if one["metric"] in METRICS and not one["domain"]]
    texts = [one["task"] for one in whole if one["metric"] == TEXT and one["task"] != MEAN]
    if texts and predicted.keys() >= set(texts):
        predicted[MEAN] = sum(predicted[name] for name in texts) / len(texts)
    return [
        Check(
            one["task"],
            predicted.get(one["task"]),
            one["difference"]["value"],
            one["difference"]["half_width"],
            one["verdict"],
        )
        for one in whole
    ]


def _proxy(row: Mapping[str, str], weights: Mapping[str, float]) -> Proxy:
    shares = [
        (key.removeprefix(SHARE), float(value))
        for key, value in row.items()
        if key.startswith(SHARE) and key not in weights
    ]
    shares.sort(key=lambda share: -share[1])

    def objective(before: str, names: Iterable[str]) -> float:
        return sum(weights[name] * float(row[before + name]) for name in names)

    known = all(PREDICTED + name in row for name in weights)
    return Proxy(
        row["run"], shares, objective(PREDICTED, weights) if known else None, objective("", weights)
    )
