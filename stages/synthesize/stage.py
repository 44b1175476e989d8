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

import json
import re
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import LEVELS
from corpusmill.manifests.settings import Share
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.prompts import loader
from corpusmill.prompts.loader import Order, Prompt
from corpusmill.stages.contract import (
    Account,
    Inputs,
    MeasuredPasses,
    Pass,
    PassResult,
)
from corpusmill.stages.engines.asking import AskingStage
from corpusmill.stages.synthesize import diversity, estimate, postfilters, usage
from corpusmill.stages.synthesize.estimate import Line
from corpusmill.stages.synthesize.judging import Judge
from corpusmill.stages.synthesize.planner import Planner
from corpusmill.stages.synthesize.routed_documents import UNSCORED, asked, by_kind
from corpusmill.stages.synthesize.shard_work import synthesize_shard
from pydantic import NonNegativeInt, PositiveInt

_NAME = re.compile(r"[a-z0-9_]+")


def published_routes() -> dict[str, tuple[str, ...]]:
    """Nemotron-CC section 2.3: low is rephrased, high gets all five prompts, medium levels none."""
    return {
        "low": ("rephrase",),
        "high": ("rephrase", "diverse_qa", "distill", "extract_knowledge", "knowledge_list"),
    }


class Synthesize(AskingStage):
    """Rephrase and expand documents with a language model, each prompt routed by level."""

    name: ClassVar[str] = "synthesize"
    version: ClassVar[int] = 9
    account: ClassVar[Account] = Account.ONE_TO_MANY
    free_settings: ClassVar[tuple[str, ...]] = ("diversity_rows", *AskingStage.free_settings)

    routes: dict[str, tuple[str, ...]] = published_routes()
    """Level -> prompts, each by its shipped name or the path of a prompt file.

    `unscored` routes documents without a level. Default: Nemotron-CC, section 2.3.
    """
    order: Order = "instruction_first"
    """Whether a request begins with the instruction or with the document.

    document_first: all prompts of a document share what the engine reads of it, if it caches
    prefixes (vLLM does). Then all prompts of a level get the same segments.
    """
    samples: PositiveInt = 1
    """Answers for each request."""
    seed: int = 0
    """Moves every draw."""
    min_joined_share: Share = 0.5
    """Joined answers are kept if at least this share of a document's tokens has a usable answer."""
    max_documents: NonNegativeInt | None = None
    """Ask about at most so many documents, drawn by a seeded hash over all shards. Null: all."""
    judge: Judge | None = None
    """Lets the engine grade each row that is kept. Null: no judge."""
    diversity_rows: NonNegativeInt = 1000
    """Rows of each prompt whose diversity is measured. 0: none."""

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
        judge = self.judge.loaded() if self.judge else None
        if judge:
            planner.room(judge)
        digests = {level: [prompt.digest for prompt in routed] for level, routed in prompts.items()}
        return json.dumps(
            [
                *(self.engine.kind, self.engine.identity(), planner.tokenizer.digest, digests),
                *([judge.digest] if judge else []),
            ],
            sort_keys=True,
        )

    def passes(self, inputs: Inputs) -> MeasuredPasses:
        work = partial(synthesize, self)
        kinds = tuple(by_kind(self.prompts()))
        made = yield from asked(
            self.name, work, inputs.documents, kinds, self.max_documents, self.engine
        )
        took = yield from usage.measure(
            made, self.engine, self.judge.loaded().name if self.judge else ""
        )
        found = yield from self._diversity(made.outputs())
        return {"usage": took, **found}

    def _diversity(
        self, outputs: Sequence[Artifact]
    ) -> Generator[Pass, PassResult, dict[str, Any]]:
        """Measure the rows of each prompt. Returns what the manifest holds of it."""
        looked_at = diversity.files(outputs)
        if not looked_at or not self.diversity_rows:
            return {}
        quoting = {
            prompt.name: postfilters.quotes_passage(prompt)
            for routed in self.prompts().values()
            for prompt in routed
        }
        measured = yield Pass(
            name="diversity",
            shards={"all": looked_at},
            work=partial(diversity.measure, self.diversity_rows, quoting),
            depends_on=str(self.diversity_rows),
        )
        (written,) = measured.outputs("work/diversity")
        return {"diversity": json.loads(storage.read_bytes(written.path))}

    def estimated(
        self, files: Sequence[Artifact], sample: int, used: Mapping[str, Mapping[str, int]]
    ) -> tuple[list[Line], int, int]:
        """What a run over these files will ask, as `estimate.lines` tells it."""
        planner, judge = self.planner(), self.judge.loaded() if self.judge else None
        asked = (by_kind(self.prompts()), planner.plan, planner.tokenizer, self.max_documents)
        return estimate.lines(files, *asked, sample, used, judge)

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
                if prompt.scores or prompt.properties:
                    raise RecipeError(
                        f"{prompt.path} grades texts, and makes none",
                        "name it in synthesize.judge" if prompt.scores else "name it in annotate",
                    )
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
            self.engine.tokenizer(),
            self.engine.context_length(),
            self.samples,
            self.seed,
            self.order,
        )


def synthesize(settings: Synthesize, shard: Shard) -> list[Counts]:
    """The work of one shard. Its shard setting is the number of documents to take; empty: all."""
    return synthesize_shard(
        shard,
        settings.name,
        settings.engine,
        settings.prompts(),
        settings.planner(),
        settings.min_joined_share,
        settings.judge,
    )
