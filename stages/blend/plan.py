"""The blend's plan: quotas and draws of every source in every phase, and the cuts of the shards.

It is written as `plan.json`, for people and for later passes.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.blend.placing import Ends, cuts_of_shards
from corpusmill.stages.blend.quotas import PhaseWeights, Quota, Supply, exact
from corpusmill.stages.blend.settings import BlendSettings
from corpusmill.stages.quota import draw_each, read_weights

PLAN = "plan.json"
# Text of an output shard, if the blend does not set the number of shards.
SHARD_BYTES = 256 << 20

Quotas = Sequence[Mapping[str, Quota]]  # of each phase


def supplies_of(config: BlendSettings, counted: Mapping[str, Counts]) -> dict[str, Supply]:
    """What each source has, from the sums of the measuring pass."""
    return {
        name: Supply(
            weight=exact(source.weight),
            tokens=counted[name].tokens,
            max_epochs=None if source.max_epochs is None else exact(source.max_epochs),
        )
        for name, source in config.sources.items()
    }


def write_plan(
    config: BlendSettings,
    phases: Sequence[PhaseWeights],
    quotas: Quotas,
    supply: Mapping[str, Counts],
    shard: Shard,
) -> list[Counts]:
    """Find where each source's quotas end and where its shards begin, and write the plan: shares
    asked and reached, epochs, tokens.
    """
    names = sorted(config.sources)

    split = [_epochs(quotas, name, supply[name].tokens) for name in names]
    read = partial(read_weights, shard.inputs)
    draws = draw_each(read, {group: [rest for _, rest in ends] for group, ends in enumerate(split)})
    # Tokens of each source up to the end of each phase.
    sums = np.array(
        [
            [
                whole * supply[name].tokens + one.weight
                for (whole, _), one in zip(split[group], draws[group], strict=True)
            ]
            for group, name in enumerate(names)
        ],
        np.int64,
    )
    tokens = np.diff(sums, axis=1, prepend=0).T.tolist()
    sources = {}
    for group, name in enumerate(names):
        whole, drawn = split[group][-1][0], draws[group][-1]
        sources[name] = {
            **_asked(config, phases, quotas, name),
            "available_documents": supply[name].kept,
            "available_tokens": supply[name].tokens,
            "documents": whole * supply[name].kept + drawn.documents,
            "tokens": int(sums[group, -1]),
            "epochs": int(sums[group, -1]) / max(1, supply[name].tokens),
            "share": int(sums[group, -1]) / max(1, int(sums[:, -1].sum())),
        }
    total = sum(record["tokens"] for record in sources.values())
    text_bytes = sum(supply[name].text_bytes * sources[name]["epochs"] for name in names)
    wanted = config.shards or max(1, round(text_bytes / SHARD_BYTES))
    shards = [max(1, round(wanted * sum(given) / max(1, total))) for given in tokens]
    ends = Ends(
        np.array([[whole for whole, _ in ends] for ends in split], np.int64).T,
        np.array(
            [[one.threshold for one in draws[group]] for group in range(len(names))], np.uint64
        ).T,
    )
    cuts = cuts_of_shards(read, names, config.seed, ends, tokens, shards)
    plan = {
        "asked_tokens": config.tokens,
        "tokens": total,
        "documents": sum(record["documents"] for record in sources.values()),
        "shards": sum(shards),
        "seed": config.seed,
        "sources": sources,
        "categories": _categories(sources),
        "phases": [
            {
                "name": phase.name,
                "length": float(phase.length),
                "tokens": sum(tokens[number]),
                "shards": shards[number],
                "sources": {
                    name: {
                        "asked_share": float(quotas[number][name].asked_share),
                        "capped": quotas[number][name].capped,
                        "tokens": tokens[number][group],
                        "share": tokens[number][group] / max(1, sum(tokens[number])),
                        "whole_epochs": split[group][number][0],
                        "threshold": f"{draws[group][number].threshold:x}",
                        "cuts": [f"{cut.threshold:x}" for cut in cuts[number][group]],
                        "tokens_before_cuts": [cut.weight for cut in cuts[number][group]],
                    }
                    for group, name in enumerate(names)
                },
            }
            for number, phase in enumerate(phases)
        ],
    }
    shard.file(
        "work/plan",
        PLAN,
        (json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(),
    )
    return []


def _epochs(quotas: Quotas, name: str, available: int) -> list[tuple[int, int]]:
    """Where a source ends in each phase: whole epochs, and tokens of the next."""
    sums = np.cumsum([quota[name].tokens for quota in quotas]).tolist()
    return [divmod(tokens, available) if available else (0, 0) for tokens in sums]


def _asked(
    config: BlendSettings, phases: Sequence[PhaseWeights], quotas: Quotas, name: str
) -> dict[str, Any]:
    """What the settings ask of a source, over all phases."""
    source = config.sources[name]
    shares = zip(phases, quotas, strict=True)
    return {
        "category": source.category,
        "weight": source.weight,
        "max_epochs": source.max_epochs,
        "asked_share": float(
            sum(phase.length * quota[name].asked_share for phase, quota in shares)
        ),
        "capped": any(quota[name].capped for quota in quotas),
    }


def _categories(sources: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in sources.values():
        sums = found.setdefault(record["category"], {"tokens": 0, "asked_share": 0.0, "share": 0.0})
        for key in sums:
            sums[key] += record[key]
    return found
