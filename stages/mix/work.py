"""What the passes of `mix` do: write the design, train on a mixture, write the proposal."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from corpusmill.evaluation.comparison import GOLD, TEXT
from corpusmill.evaluation.task import TextTask
from corpusmill.manifests import storage
from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.ablate.runs import measured_run
from corpusmill.stages.ablate.small_runs import TaskFiles
from corpusmill.stages.blend.proposed import PROPOSAL
from corpusmill.stages.mix.design import Floats, mixtures
from corpusmill.stages.mix.pool import Taken, takings, write_mixture
from corpusmill.stages.mix.proposal import least_runs, propose
from corpusmill.stages.mix.stage import NATURAL, PROPOSED, Mix

DESIGN = "design.json"


def write_design(settings: Mix, available: Mapping[str, int], shard: Shard) -> None:
    """Write the mixtures, and what each of them takes. available: tokens of each source."""
    natural, caps = shares_and_caps(settings, available)
    shares = mixtures(natural, caps, settings.runs, settings.seed)
    taken = _taken(settings, available, shares, shard.inputs)
    arms = {f"run-{number:04d}": arm_of(one, available) for number, one in enumerate(taken)}
    _write_json(shard, "design", DESIGN, {"available": dict(available), "arms": arms})


def shares_and_caps(settings: Mix, available: Mapping[str, int]) -> tuple[Floats, Floats]:
    """The natural share of each source and the largest one, in the order of `available`."""
    tokens = np.array(list(available.values()), float)
    asked = settings.blend_tokens(sum(available.values()))
    return tokens / tokens.sum(), np.minimum(1.0, settings.max_epochs * tokens / asked)


def _taken(
    settings: Mix, available: Mapping[str, int], shares: Floats, measured: Sequence[Artifact]
) -> list[dict[str, Taken]]:
    wanted = [
        {
            name: int(share * settings.tokens_of_a_run)
            for name, share in zip(available, row, strict=True)
        }
        for row in shares.tolist()
    ]
    found = takings(measured, available, wanted)
    least = min(sum(one.tokens for one in taken.values()) for taken in found)
    if 2 * least < settings.tokens_of_a_run:
        raise RecipeError(
            f"a run of {settings.tokens_of_a_run:,} tokens is too short for whole documents: "
            f"one mixture holds {least:,}",
            "set mix.train.tokens or mix.train.steps higher, or pack shorter documents",
        )
    return found


def arm_of(taken: Mapping[str, Taken], available: Mapping[str, int]) -> dict[str, Any]:
    """What a run must know of its mixture. Documents are whole, so shares differ a little from
    those of the design.
    """
    total = sum(one.tokens for one in taken.values())
    return {
        "shares": {name: one.tokens / total for name, one in taken.items()},
        "epochs": {name: round(one.tokens / available[name], 3) for name, one in taken.items()},
        "taken": {name: (one.whole, one.threshold) for name, one in taken.items()},
    }


def train_mixture(settings: Mix, tasks: TaskFiles, shard: Shard) -> list[Counts]:
    """Train on one mixture. Returns the account of the pool's rows."""
    facts = json.loads(shard.shard_settings)
    number = facts["files"]
    files, measured = shard.inputs[:number], shard.inputs[number : 2 * number]
    shards, taken = write_mixture(
        shard, files, measured, facts["taken"], Path(shard.scratch, "shards")
    )
    result = measured_run(settings, tasks, shard, shards, facts)
    account = Counts(Mix.name, rows_in=shard.rows_read, kept=taken, tokens=result.tokens)
    account.leave_out("not_in_mixture", shard.rows_read - taken)
    return [account]


def losses_of(settings: Mix, curves: Mapping[str, Any]) -> list[float]:
    """The figures of a run that the objective weighs, each the mean of its last readings.

    Raises CorpusmillError if a run has none, or none that is a number.
    """
    metrics = {
        task.name: TEXT if isinstance(task, TextTask) else GOLD
        for task in settings.gauge.chosen_tasks()
    }
    found = []
    for name in settings.importance:
        values = [
            value
            for reading in curves["readings"][-settings.last :]
            for task, domain, metric, value in reading["figures"]
            if (task, domain, metric) == (name, "", metrics[name])
        ]
        if not values or not np.isfinite(values).all():
            raise CorpusmillError(
                f"{curves['arm']} has no figure of {name}",
                "lower train.learning_rate if its loss is not a number, or check the held-out text",
            )
        found.append(float(np.mean(values)))
    return found


def write_proposal(settings: Mix, available: Mapping[str, int], shard: Shard) -> None:
    """Fit the regression to what the runs measured, and write the proposal."""
    design, *rest = shard.inputs
    curves = [read_json(file) for file in rest if file.name.endswith(".json")]
    measured = [file for file in rest if file.name.endswith(".parquet")]
    if len(curves) < least_runs(len(available)):
        raise CorpusmillError(
            f"only {len(curves)} runs ended well, too few for a regression",
            "read why in receipts/train, then run the same command again",
        )
    arms = read_json(design)["arms"]
    shares = np.array([list(arms[one["arm"]]["shares"].values()) for one in curves])
    losses = np.array([losses_of(settings, one) for one in curves])
    objective = np.array(list(settings.importance.values()))
    natural, caps = shares_and_caps(settings, available)
    found = propose(shares, losses, objective, caps, natural, settings.seed)
    weights = _rounded(found.weights)
    asked = settings.blend_tokens(sum(available.values()))
    facts = {
        "weights": dict(zip(available, weights.tolist(), strict=True)),
        "sources": {
            name: {
                "natural": natural[place],
                "low": found.low[place],
                "high": found.high[place],
                "cap": caps[place],
                "epochs": weights[place] * asked / available[name],
            }
            for place, name in enumerate(available)
        },
        "domains": {
            name: {
                "weight": weight,
                "natural": found.domains[0, place],
                "proposed": found.domains[1, place],
                "rank_correlation": found.ranks[place],
            }
            for place, (name, weight) in enumerate(settings.importance.items())
        },
        "gain": dict(zip(("value", "low", "high"), found.gain, strict=True)),
        "rank_correlation": found.rank,
        "predicted": {
            one["arm"]: row for one, row in zip(curves, found.left_out.tolist(), strict=True)
        },
        "runs": len(curves),
        "tokens_of_a_run": settings.tokens_of_a_run,
    }
    if settings.check:
        both = _taken(settings, available, np.stack([natural, weights]), measured)
        facts["arms"] = {
            name: arm_of(taken, available)
            for name, taken in zip((NATURAL, PROPOSED), both, strict=True)
        }
    _write_json(shard, "propose", PROPOSAL, facts)


def _rounded(weights: Floats) -> Floats:
    """To a hundredth of a per cent, 1 in all."""
    rounded = np.round(weights, 4)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return np.round(rounded, 4)


def read_json(file: Artifact) -> Any:
    return json.loads(storage.read_bytes(file.path))


def _write_json(shard: Shard, room: str, name: str, facts: Mapping[str, Any]) -> None:
    shard.file(f"work/{room}", name, json.dumps(facts, indent=1).encode() + b"\n")
