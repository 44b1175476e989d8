"""Blend: mix corpora by weights into evenly shuffled shards. Each source has an epoch cap.

A source is documents (a stage's folder, or raw files), a weight, a cap, and perhaps a choice of
quality levels, kinds and prompts. Weights are shares of tokens (Nemotron-H, arXiv 2504.03624,
section 2.2.3: sources of like quality get like weight, better ones more). Documents are taken
whole. A document that is taken e times appears in epochs 0 to e-1. A fractional epoch takes the
documents with the smallest keys (hash of id and seed). So shares are exact to within one
document, and a larger blend contains the smaller one.

    measure  each input file: tokens and key of every document, and the sources that claim it
    plan     quotas from the sums, then for each source the key at which its quota ends
    shuffle  each input file: copies of its documents, sorted by output shard
    blend    each output shard: its rows from everywhere, in the order of a hash

If there are many shards, a pass `collect-shuffle` comes between. So no output shard opens them all
(`stages.shuffle.exchange`).

The account: `rows_in` counts a document once for each copy, and once if there is none. A
document is excluded if no source wants it (`blend.not_selected`), if the quota of its source is
full (`blend.over_quota`), or if it has no text (`blend.empty`). Excluded rows carry no text.
The blend changes no document, so id and origin lead back to it.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.blend.copies import UNCLAIMED, Claimants, merge, read_claimed, send_copies
from corpusmill.stages.blend.plan import supplies_of, write_plan
from corpusmill.stages.blend.quotas import allot
from corpusmill.stages.blend.settings import BlendSettings, BlendSource
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes
from corpusmill.stages.quota import WEIGHED, keys_of
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.shuffle.exchange import exchange
from corpusmill.stages.shuffle.streams import StreamFiles
from corpusmill.stages.tokenizer import loaded as tokens
from numpy.typing import NDArray


class Blend(BlendSettings, GlobalStage):
    """Mix corpora by weights."""

    name: ClassVar[str] = "blend"
    version: ClassVar[int] = 2
    account: ClassVar[Account] = Account.ONE_TO_MANY

    def depends_on(self) -> str:
        return tokens.load(self.tokenizer).digest if self.tokenizer else ""

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        return {name: source.patterns for name, source in self.sources.items()}

    def passes(self, inputs: Inputs) -> Passes:
        files = _files(self, inputs)
        claimants = tuple(sorted({names for _, names in files.values()}))
        named = {
            f"{claimants.index(names)}-{name}": artifact
            for name, (artifact, names) in files.items()
        }
        measured = yield Pass(
            name="measure",
            shards={name: (artifact,) for name, artifact in named.items()},
            work=partial(_measure, self, claimants),
        )
        weighed = {name: receipt.outputs[0] for name, receipt in sorted(measured.receipts.items())}
        supply = {name: Counts(f"source:{name}") for name in sorted(self.sources)}
        for receipt in measured.receipts.values():
            for counts in receipt.counts:
                if counts.stage.startswith("source:"):
                    supply[counts.stage.removeprefix("source:")].add(counts)
        quotas = allot(supplies_of(self, supply), self.tokens)
        planned = yield Pass(
            name="plan",
            shards={"plan": tuple(weighed.values())},
            work=partial(write_plan, self, quotas, supply),
            depends_on=str([(name, quota.tokens) for name, quota in sorted(quotas.items())]),
        )
        plan = planned.outputs()[0]
        shards = int(json.loads(storage.read_bytes(plan.path))["shards"])
        shuffled = yield Pass(
            name="shuffle",
            shards={name: (named[name], weighed[name], plan) for name in weighed},
            work=partial(send_copies, self, claimants),
            depends_on=f"shards={shards}",
        )
        parts = yield from exchange("shuffle", shuffled.outputs(), StreamFiles(shards))
        yield Pass(
            name="blend",
            shards={"plan": (plan,), **{f"{shard:05d}": parts(shard) for shard in range(shards)}},
            work=merge,
            final=True,
        )


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


def _measure(config: Blend, claimants: Claimants, shard: Shard) -> list[Counts]:
    """Write a row of `WEIGHED` for each document and source that claims it. If none does, write
    one row with the reason.
    """
    names, tables = read_claimed(config, claimants, shard)
    group_of = {name: group for group, name in enumerate(sorted(config.sources))}
    accounts = {group_of[name]: Counts(f"source:{name}") for name in names}
    accounts[UNCLAIMED] = Counts("unclaimed")
    offset = 0
    with shard.parquet("work/measure", WEIGHED) as output:
        for table in tables:
            sizes = pc.fill_null(pc.binary_length(table["text"]), 0).to_numpy().astype(np.int64)
            usable = pc.is_null(table["reason"]).to_numpy() & (sizes > 0)
            claims = {
                group_of[name]: usable & _wanted(config.sources[name], table) for name in names
            }
            claimed = np.logical_or.reduce(list(claims.values()))
            counts = _token_counts(config, table, claimed)
            keys = keys_of(table["id"].to_pylist(), config.seed)
            written = []
            for group, mask in {**claims, UNCLAIMED: ~claimed}.items():
                rows = np.flatnonzero(mask)
                columns: dict[str, Any] = {
                    "row": rows + offset,
                    "group": np.full(len(rows), group, dtype=np.int16),
                    "key": keys[rows],
                    "weight": counts[rows].astype(np.int64),
                    "n_tokens": counts[rows],
                    "text_bytes": sizes[rows],
                }
                account = accounts[group]
                account.rows_in += len(rows)
                if group == UNCLAIMED:
                    reasons = [
                        _reason(table["reason"][row].as_py(), sizes[row]) for row in rows.tolist()
                    ]
                    columns |= {"reason": reasons, "detail": table["detail"].take(pa.array(rows))}
                    count_reasons(account, reasons)
                else:
                    account.kept += len(rows)
                    account.tokens += int(counts[rows].sum(dtype=np.int64))
                    account.text_bytes += int(sizes[rows].sum())
                part = {
                    field.name: columns.get(field.name, pa.nulls(len(rows), field.type))
                    for field in WEIGHED
                }
                written.append(pa.table(part, schema=WEIGHED))
            output.write(
                pa.concat_tables(written).sort_by([("row", "ascending"), ("group", "ascending")])
            )
            offset += table.num_rows
            shard.report(offset)
    return list(accounts.values())


def _wanted(source: BlendSource, table: pa.Table) -> NDArray[np.bool_]:
    wanted = np.ones(table.num_rows, dtype=bool)
    for column, choice in (
        ("level", source.levels),
        ("kind", source.kinds),
        ("prompt", source.prompts),
    ):
        if choice:
            wanted &= pc.is_in(table[column], value_set=pa.array(choice)).to_numpy()
    return wanted


def _reason(read_reason: str | None, size: int) -> str:
    return read_reason or (f"{Blend.name}.not_selected" if size else f"{Blend.name}.empty")


def _token_counts(config: Blend, table: pa.Table, wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Tokens of each document: from its column, or else counted. 0 if no source wants the document.

    Raises RecipeError if a wanted document has no count and there is no tokenizer.
    """
    counts = pc.fill_null(table["n_tokens"], 0).to_numpy().astype(np.int32)
    counts[~wanted] = 0
    uncounted = wanted if config.recount else wanted & pc.is_null(table["n_tokens"]).to_numpy()
    rows = np.flatnonzero(uncounted)
    if len(rows):
        if config.tokenizer is None:
            raise RecipeError(
                f"document {table['id'][int(rows[0])]} has no n_tokens",
                "set the blend's tokenizer: weights are shares of tokens",
            )
        counts[rows] = tokens.load(config.tokenizer).count(
            table["text"].take(pa.array(rows)).to_pylist()
        )
    return counts
