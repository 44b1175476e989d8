"""Blend: mix corpora by weights into evenly shuffled shards. Each source has an epoch cap.

A source is documents (a stage's folder, or raw files), a weight, a cap, and perhaps a choice of
quality levels, kinds and prompts. Weights are shares of tokens (Nemotron-H, arXiv 2504.03624,
section 2.2.3: sources of like quality get like weight, better ones more). Documents are taken
whole. A document that is taken e times appears in epochs 0 to e-1. A fractional epoch takes the
documents with the smallest keys (hash of id and seed). So shares are exact to within one
document, and a larger blend contains the smaller one.

There may be several phases, each with its own weights (`presets`). Their shards lie in one folder,
in order. In a phase, every prefix of the stream has the phase's shares (`order`).

    measure  each input file: tokens and key of every document, and the sources that claim it
    plan     quotas from the sums, then for each source the keys at which its phases and shards end
    shuffle  each input file: copies of its documents, sorted by output shard
    blend    each output shard: its rows from everywhere, mixed so that prefixes have the shares

If there are many shards, a pass `collect-shuffle` comes between. So no output shard opens them all
(`stages.shuffle.exchange`).

The account: `rows_in` counts a document once for each copy, and once if there is none. A
document is excluded if no source wants it (`blend.not_selected`), if the quota of its source is
full (`blend.over_quota`), or if it has no text (`blend.empty`). Excluded rows carry no text.
The blend changes no document, so id and origin lead back to it.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.blend.copies import (
    merge,
    send_copies,
)
from corpusmill.stages.blend.measure import measure
from corpusmill.stages.blend.plan import supplies_of, write_plan
from corpusmill.stages.blend.presets import phases_of
from corpusmill.stages.blend.proposed import proposal_of, with_proposed_weights
from corpusmill.stages.blend.quotas import allot_phases
from corpusmill.stages.blend.settings import BlendSettings
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes
from corpusmill.stages.shuffle.exchange import exchange
from corpusmill.stages.shuffle.streams import StreamFiles
from corpusmill.stages.tokenizer import loaded as tokens


class Blend(BlendSettings, GlobalStage):
    """Mix corpora by weights."""

    name: ClassVar[str] = "blend"
    version: ClassVar[int] = 6
    account: ClassVar[Account] = Account.ONE_TO_MANY

    def depends_on(self) -> str:
        """Digests of the tokenizer and of the proposed weights.

        Raises InputError or RecipeError if these are for another blend.
        """
        digest = tokens.load(self.tokenizer).digest if self.tokenizer else ""
        if self.weights is None:
            return digest
        with_proposed_weights(self)
        return digest + hashlib.sha256(proposal_of(self.weights)).hexdigest()

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {name: source.patterns for name, source in self.sources.items()}

    def passes(self, inputs: Inputs) -> Passes:
        config = with_proposed_weights(self)
        phases = phases_of(config)
        files = _files(self, inputs)
        claimants = tuple(sorted({names for _, names in files.values()}))
        named = {
            f"{claimants.index(names)}-{name}": artifact
            for name, (artifact, names) in files.items()
        }
        measured = yield Pass(
            name="measure",
            shards={name: (artifact,) for name, artifact in named.items()},
            work=partial(measure, self, claimants),
        )
        weighed = {name: receipt.outputs[0] for name, receipt in sorted(measured.receipts.items())}
        supply = {name: Counts(f"source:{name}") for name in sorted(self.sources)}
        for receipt in measured.receipts.values():
            for counts in receipt.counts:
                if counts.stage.startswith("source:"):
                    supply[counts.stage.removeprefix("source:")].add(counts)
        quotas = allot_phases(phases, supplies_of(config, supply), self.tokens)
        asked = [sorted((name, quota.tokens) for name, quota in one.items()) for one in quotas]
        planned = yield Pass(
            name="plan",
            shards={"plan": tuple(weighed.values())},
            work=partial(write_plan, config, phases, quotas, supply),
            depends_on=str(asked),
        )
        plan = planned.outputs()[0]
        names = _shard_names(json.loads(storage.read_bytes(plan.path)))
        shuffled = yield Pass(
            name="shuffle",
            shards={name: (named[name], weighed[name], plan) for name in weighed},
            work=partial(send_copies, self, claimants),
            depends_on=f"shards={len(names)}",
        )
        parts = yield from exchange("shuffle", shuffled.outputs(), StreamFiles(len(names)))
        yield Pass(
            name="blend",
            shards={
                "plan": (plan,),
                **{name: (plan, *parts(number)) for number, name in enumerate(names)},
            },
            work=merge,
            final=True,
        )


def _shard_names(plan: Mapping[str, Any]) -> list[str]:
    """The names of the output shards. They end with their number, and sort by phase."""
    phases = [phase for phase, one in enumerate(plan["phases"]) for _ in range(one["shards"])]
    if len(plan["phases"]) == 1:
        return [f"{number:05d}" for number in range(len(phases))]
    return [f"phase-{phase + 1:02d}-{number:05d}" for number, phase in enumerate(phases)]


def _files(config: Blend, inputs: Inputs) -> dict[str, tuple[Artifact, tuple[str, ...]]]:
    """Shard name -> the file and the sources that read it.

    Sources with equal reader settings share one reading.
    """
    found: dict[tuple[str, str], tuple[Artifact, list[str]]] = {}
    for name, source in sorted(config.sources.items()):
        if not inputs.named[name]:
            raise RecipeError(f"the blend's source {name} has no files", "check its input")
        for artifact in inputs.named[name]:
            found.setdefault((artifact.path, repr(source.reader)), (artifact, []))[1].append(name)
    files: dict[str, tuple[Artifact, tuple[str, ...]]] = {}
    twins: dict[str, int] = {}  # files with the same bytes under several paths
    for _, (artifact, names) in sorted(found.items()):
        stem = f"{artifact.stem}-{artifact.digest[:12]}"
        twins[stem] = twins.get(stem, -1) + 1
        files[f"{stem}-{twins[stem]}"] = (artifact, tuple(names))
    return files
