"""Rewrite documents with a language model. The quality level of a document chooses the prompts.

Nemotron-CC (Su et al. 2024, arXiv 2412.02595, section 2.3) rephrases low-quality pages in an
encyclopedia's style. It makes five things of high-quality pages: the same rephrasing,
question-answer pairs, a condensed version, their knowledge as textbook prose, and their
knowledge as a list. Prompts are files (`prompts/`), and the model is an engine
(`stages.engines`). A line of the recipe swaps either. Medium levels have no route by default,
but any level can have one.

Account: the unit is the planned row (`stages.synthesize.planned_rows`). Documents without a
route do not enter it.
"""

import heapq
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import DOCUMENT, EXCLUSION, LEVELS, conform, extended, seed_for
from corpusmill.manifests.settings import Share
from corpusmill.manifests.shard import ParquetOutput, Shard, read_parquet
from corpusmill.manifests.storage import Artifact
from corpusmill.prompts import loader
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.contract import (
    DOCUMENTS,
    EXCLUDED,
    Account,
    GlobalStage,
    Inputs,
    Pass,
    Passes,
    Reads,
)
from corpusmill.stages.engines import EngineConfig
from corpusmill.stages.engines.transformers import TransformersEngine
from corpusmill.stages.readers.documents import count_reasons
from corpusmill.stages.synthesize import postfilters
from corpusmill.stages.synthesize.planned_rows import SCHEMA, Finished, PlannedRow, Planner
from pydantic import NonNegativeInt, PositiveInt

UNSCORED = "unscored"  # the route of documents that no classifier has given a level
_NAME = re.compile(r"[a-z0-9_]+")


def published_routes() -> dict[str, tuple[str, ...]]:
    """Nemotron-CC section 2.3: low is rephrased, high gets all five prompts, medium levels none."""
    return {
        "low": ("rephrase",),
        "high": ("rephrase", "diverse_qa", "distill", "extract_knowledge", "knowledge_list"),
    }


class Synthesize(GlobalStage):
    """Rephrase and expand documents with a language model, each prompt routed by level."""

    name: ClassVar[str] = "synthesize"
    version: ClassVar[int] = 1
    account: ClassVar[Account] = Account.ONE_TO_MANY
    reads: ClassVar[Reads] = Reads.DOCUMENTS
    free_settings: ClassVar[tuple[str, ...]] = tuple(
        f"engine.{key}"
        for key in (
            "url",
            "api_key_variable",
            "in_flight",
            "gpu_memory_utilization",
            "kv_cache_gib",
            "cpus",
        )
    )

    engine: EngineConfig = TransformersEngine()
    """The model that writes."""
    routes: dict[str, tuple[str, ...]] = published_routes()
    """Level -> prompts, each by its shipped name or the path of a prompt file.

    `unscored` routes documents without a level. Default: Nemotron-CC, section 2.3.
    """
    samples: PositiveInt = 1
    """Answers for each request."""
    seed: int = 0
    """Moves every draw."""
    batch_size: PositiveInt = 1024
    """Requests handed to the engine at a time."""
    min_joined_share: Share = 0.5
    """Joined answers are kept if at least this share of a document's tokens has a usable answer."""
    max_documents: NonNegativeInt | None = None
    """Ask about at most so many documents, drawn by a seeded hash over all shards. Null: all."""

    def depends_on(self) -> str:
        """Identities of the model, its tokenizer and the prompts.

        Raises CorpusmillError if one of them cannot work.
        """
        planner = self.planner()
        prompts = self.prompts()
        for prompt in {
            prompt.name: prompt for routed in prompts.values() for prompt in routed
        }.values():
            planner.room(prompt)
        digests = {level: [prompt.digest for prompt in routed] for level, routed in prompts.items()}
        return json.dumps(
            [self.engine.kind, self.engine.identity(), planner.tokenizer.digest, digests],
            sort_keys=True,
        )

    def passes(self, inputs: Inputs) -> Passes:
        shards = _shards(inputs.documents)
        quotas: dict[str, int] = {}
        if self.max_documents is not None:
            counted = yield Pass(name="count", shards=shards, work=partial(count_routed, self))
            available = {name: receipt.counts[0].kept for name, receipt in counted.receipts.items()}
            quotas = share_out(available, self.max_documents)
        yield Pass(
            name=self.name,
            shards=shards,
            work=partial(synthesize, self),
            final=True,
            holds_engine=True,
            depends_on=json.dumps(self.max_documents),
            shard_settings={name: str(quotas.get(name, 0)) for name in shards}
            if self.max_documents is not None
            else {},
            cpus=self.engine.cpus,
            gpus=self.engine.gpus,
        )

    def prompts(self) -> dict[str, list[Prompt]]:
        """Level -> prompts. Raises RecipeError for an unknown level, prompt or post-filter."""
        routed: dict[str, list[Prompt]] = {}
        files: dict[str, str] = {}
        for level, names in self.routes.items():
            if level not in (*LEVELS, UNSCORED):
                raise RecipeError(
                    f"synthesize.routes: there is no level {level!r}",
                    f"levels are {', '.join(LEVELS)} and {UNSCORED}",
                )
            routed[level] = [loader.load(name) for name in dict.fromkeys(names)]
            for prompt in routed[level]:
                postfilters.check(prompt)
                if not _NAME.fullmatch(prompt.name):
                    raise RecipeError(
                        f"{prompt.path}: the name {prompt.name!r} cannot name a folder",
                        "use a-z, 0-9 and _ only",
                    )
                if files.setdefault(prompt.name, prompt.digest) != prompt.digest:
                    raise RecipeError(
                        f"two routed prompts are named {prompt.name!r}",
                        "give one of them another name",
                    )
        if not any(routed.values()):
            raise RecipeError("synthesize.routes names no prompt", "route at least one level")
        return routed

    def planner(self) -> Planner:
        return Planner(
            self.engine.tokenizer(), self.engine.context_length(), self.samples, self.seed
        )


def count_routed(settings: Synthesize, shard: Shard) -> list[Counts]:
    """Count the shard's documents that have a route. This is the work of the counting pass."""
    routed = sum(1 for _ in _routed_ids(settings, shard))
    return [Counts("routed", rows_in=routed, kept=routed)]


def synthesize(settings: Synthesize, shard: Shard) -> list[Counts]:
    """The work of one shard. Its shard setting is the number of documents to take; empty: all."""
    prompts, planner, model = settings.prompts(), settings.planner(), settings.engine.identity()
    taken = None
    if shard.shard_settings:
        taken = set(
            heapq.nsmallest(
                int(shard.shard_settings),
                _routed_ids(settings, shard),
                key=lambda name: (seed_for(name, settings.seed), name),
            )
        )
    counts, read = Counts(settings.name), Counts(settings.name)
    with ExitStack() as stack:
        outputs = {
            (level, prompt.name): stack.enter_context(
                shard.parquet(
                    f"{DOCUMENTS}/level={level}/kind=synthetic/prompt={prompt.name}", SCHEMA
                )
            )
            for level, routed in prompts.items()
            for prompt in routed
        }
        dropped = stack.enter_context(shard.parquet(EXCLUDED, extended(*EXCLUSION, of=SCHEMA)))
        windows = _windows(settings, prompts, planner, shard, taken, read)
        before = 0  # documents seen in earlier windows
        with ThreadPoolExecutor(1) as ahead:
            # While the engine answers one window, the next one is cut and rendered. So a GPU does
            # not wait for tokenisation.
            upcoming = ahead.submit(next, windows, None)
            while planned := upcoming.result():
                done, window = planned
                upcoming = ahead.submit(next, windows, None)
                asked = [request for row in window for request in row.asked]
                # Documents of a window count as their requests are answered, so that a long window
                # shows life.
                answered = partial(_report_share, shard, before, done, len(asked))
                completions = iter(settings.engine.generate(asked, answered))
                wait([upcoming])
                for row in window:
                    row.answers = [next(completions) for _ in row.asked]
                _write(
                    [planner.finish(row, model, settings.min_joined_share) for row in window],
                    outputs,
                    dropped,
                    counts,
                )
                shard.report(done)
                before = done
    counts.add(read)
    counts.rows_in = shard.rows_read
    return [counts]


def _report_share(shard: Shard, before: int, done: int, asked: int, answers: int) -> None:
    """Report the share of a window's documents that `answers` of its requests stand for."""
    shard.report(before + (done - before) * answers // max(asked, 1))


def share_out(available: Mapping[str, int], most: int) -> dict[str, int]:
    """Divide `most` documents over shards in proportion to what each has. The sum is exact."""
    total = sum(available.values())
    if total <= most:
        return dict(available)
    quotas = {name: most * count // total for name, count in available.items()}
    remainders = sorted(available, key=lambda name: (-(most * available[name] % total), name))
    for name in remainders[: most - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def _windows(
    settings: Synthesize,
    prompts: Mapping[str, list[Prompt]],
    planner: Planner,
    shard: Shard,
    taken: set[str] | None,
    read: Counts,
) -> Iterator[tuple[int, list[PlannedRow]]]:
    """(documents seen so far, planned rows) in document order, about `batch_size` requests a time.

    read: the account of the documents that are read. This function fills it.
    """
    window: list[PlannedRow] = []
    requests = seen = 0
    for document in _documents(prompts, shard, taken, read):
        seen += 1
        rows = planner.plan(document, prompts[document["level"] or UNSCORED])
        for number, planned in enumerate(rows):
            read.repeats += number > 0
            window.append(planned)
            requests += len(planned.asked)
            # Rows that need no request take memory too.
            if max(requests, len(window)) >= settings.batch_size:
                yield seen, window
                window, requests = [], 0
    if window:
        yield seen, window


def _documents(
    prompts: Mapping[str, list[Prompt]], shard: Shard, taken: set[str] | None, read: Counts
) -> Iterator[dict[str, Any]]:
    """The documents with a route. If `taken` is given, only those among them."""
    wanted = [level for level, routed in prompts.items() if routed]
    columns = [name for name in DOCUMENT.names if name not in ("origin", "lineage")]
    for artifact in shard.inputs:
        levels = _levels(artifact)
        if not any(level in wanted for level in levels):
            shard.count_rows(artifact, levels.total())
            read.leave_out(f"{Synthesize.name}.not_routed", levels.total())
            continue
        for group in shard.read(artifact):
            group = conform(group, DOCUMENT).select(columns)
            routed = pc.is_in(pc.fill_null(group["level"], UNSCORED), pa.array(wanted))
            read.leave_out(f"{Synthesize.name}.not_routed", _count(pc.invert(routed)))
            group = group.filter(routed)
            if taken is not None:
                drawn = pc.is_in(group["id"], pa.array(sorted(taken), pa.string()))
                read.leave_out(f"{Synthesize.name}.not_drawn", _count(pc.invert(drawn)))
                group = group.filter(drawn)
            for batch in group.to_batches(max_chunksize=256):
                yield from batch.to_pylist()


def _count(mask: pa.ChunkedArray) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _levels(artifact: Artifact) -> Counter[str]:
    """How many documents of each level a file holds."""
    found: Counter[str] = Counter()
    for table in read_parquet(artifact, ["level"]):
        for entry in table["level"].value_counts().to_pylist():
            found[entry["values"] or UNSCORED] += entry["counts"]
    return found


def _routed_ids(settings: Synthesize, shard: Shard) -> Iterator[str]:
    for artifact in shard.inputs:
        for table in read_parquet(artifact, ["id", "level"]):
            for name, level in zip(
                table["id"].to_pylist(), table["level"].to_pylist(), strict=True
            ):
                if settings.routes.get(level or UNSCORED):
                    yield name


def _write(
    finished: list[Finished],
    outputs: Mapping[tuple[str, str], ParquetOutput],
    dropped: ParquetOutput,
    counts: Counts,
) -> None:
    """Write the rows of a window, by level and prompt or as excluded, and count them."""
    kept: dict[tuple[str, str], list[dict[str, Any]]] = {}
    excluded = []
    for item in finished:
        rejection = item.rejection
        if rejection is None:
            kept.setdefault((item.row["level"] or UNSCORED, item.row["prompt"]), []).append(
                item.row
            )
            counts.kept += 1
            counts.text_bytes += len(item.row["text"].encode())
            counts.tokens += item.text_tokens
            continue
        excluded.append(
            {
                **item.row,
                "stage": Synthesize.name,
                "reason": rejection.reason,
                "detail": rejection.detail,
            }
        )
        count_reasons(counts, [rejection.reason])
    for place, rows in kept.items():
        outputs[place].write(pa.Table.from_pylist(rows, schema=SCHEMA))
    if excluded:
        dropped.write(pa.Table.from_pylist(excluded, schema=extended(*EXCLUSION, of=SCHEMA)))


def _shards(artifacts: tuple[Artifact, ...]) -> dict[str, tuple[Artifact, ...]]:
    """Files of one name make one shard, so each output is written once. A classified shard has one
    file for each level.

    Raises RecipeError if there is nothing to read.
    """
    if not artifacts:
        raise RecipeError(
            "synthesize has nothing to read",
            "give it the folder of a finished stage, e.g. OUT/classify",
        )
    shards: dict[str, list[Artifact]] = {}
    for artifact in sorted(
        artifacts, key=lambda item: (item.path.rpartition(f"/{DOCUMENTS}/")[2], item.digest)
    ):
        shards.setdefault(artifact.stem or "shard", []).append(artifact)
    return {name: tuple(files) for name, files in sorted(shards.items())}
