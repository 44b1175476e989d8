"""The blend's plan: quotas and draws of every source.

It is written as `plan.json`, for people and for later passes.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard, read_parquet
from corpusmill.stages.blend.quotas import Quota, Supply, exact
from corpusmill.stages.blend.settings import BlendSettings
from corpusmill.stages.quota import Weights, draw

PLAN = "plan.json"
# Text of an output shard, if the blend does not set the number of shards.
SHARD_BYTES = 256 << 20


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
    config: BlendSettings, quotas: Mapping[str, Quota], supply: Mapping[str, Counts], shard: Shard
) -> list[Counts]:
    """Find where each source's quota ends, and write the plan: shares asked and reached, epochs,
    tokens.
    """
    names = sorted(config.sources)
    epochs = {name: quotas[name].epochs_of(supply[name].tokens) for name in names}

    def read() -> Iterator[Weights]:
        for artifact in shard.inputs:
            for table in read_parquet(artifact, ["group", "key", "weight"]):
                yield table["group"].to_numpy(), table["key"].to_numpy(), table["weight"].to_numpy()

    draws = draw(read, {group: epochs[name][1] for group, name in enumerate(names)})
    sources: dict[str, dict[str, Any]] = {}
    for group, name in enumerate(names):
        source, available, (whole, _), drawn = (
            config.sources[name],
            supply[name],
            epochs[name],
            draws[group],
        )
        taken = whole * available.tokens + drawn.weight
        sources[name] = {
            "category": source.category,
            "weight": source.weight,
            "max_epochs": source.max_epochs,
            "asked_share": float(quotas[name].asked_share),
            "available_documents": available.kept,
            "available_tokens": available.tokens,
            "documents": whole * available.kept + drawn.documents,
            "tokens": taken,
            "epochs": taken / available.tokens if available.tokens else 0.0,
            "capped": quotas[name].capped,
            "whole_epochs": whole,
            "threshold": f"{drawn.threshold:x}",
        }
    total = sum(record["tokens"] for record in sources.values())
    text_bytes = sum(supply[name].text_bytes * sources[name]["epochs"] for name in names)
    categories: dict[str, dict[str, Any]] = {}
    for record in sources.values():
        record["share"] = record["tokens"] / total if total else 0.0
        sums = categories.setdefault(
            record["category"], {"tokens": 0, "asked_share": 0.0, "share": 0.0}
        )
        for key in sums:
            sums[key] += record[key]
    plan = {
        "asked_tokens": config.tokens,
        "tokens": total,
        "documents": sum(record["documents"] for record in sources.values()),
        "shards": config.shards or max(1, round(text_bytes / SHARD_BYTES)),
        "seed": config.seed,
        "sources": sources,
        "categories": categories,
    }
    shard.file(
        "work/plan",
        PLAN,
        (json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(),
    )
    return []
