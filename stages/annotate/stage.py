"""Grade a sample of documents with a language model. Cheap scorers learn from the grades.

FineWeb-Edu (Penedo et al. 2024, arXiv 2406.17557, section 4) let a large model grade 460,000 pages
for educational value, and trained a small one on them, which then scored the whole crawl. A rubric
is a prompt file with `properties`. The model answers with one JSON object that holds all of them.

Planning, engines, ledger and post-filters are those of `synthesize`. Account: a document ends once.
It is kept with its labels, or excluded because its answer could not be read, or not drawn.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.storage import Artifact
from corpusmill.prompts import loader
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.annotate import labels
from corpusmill.stages.annotate.shard_work import annotate_shard, plan
from corpusmill.stages.contract import Account, Inputs, MeasuredPasses, Pass
from corpusmill.stages.engines.asking import AskingStage
from corpusmill.stages.synthesize import estimate, postfilters, usage
from corpusmill.stages.synthesize.estimate import Line
from corpusmill.stages.synthesize.planner import Planner
from corpusmill.stages.synthesize.routed_documents import EVERY_KIND, asked
from pydantic import NonNegativeInt


class Annotate(AskingStage):
    """Grade a sample of documents with a language model, as targets for `classify-train`."""

    name: ClassVar[str] = "annotate"
    version: ClassVar[int] = 4
    account: ClassVar[Account] = Account.ONE_TO_ONE

    prompt: str = "educational"
    """The rubric: a prompt file with `properties`, by its shipped name or its path."""
    max_documents: NonNegativeInt | None = 10_000
    """Grade at most so many documents, drawn by a seeded hash over all shards. Null: all."""
    structured_outputs: bool = True
    """Let `openai` and `vllm` force the JSON that the rubric asks for. False: only ask for it."""
    seed: int = 0
    """Moves every draw."""

    def depends_on(self) -> str:
        """Identities of the model, its tokenizer and the prompt.

        Raises CorpusmillError if one of them cannot work.
        """
        planner, prompt = self.planner(), self.rubric()
        planner.room(prompt)
        return json.dumps(
            [self.engine.kind, self.engine.identity(), planner.tokenizer.digest, prompt.digest]
        )

    def passes(self, inputs: Inputs) -> MeasuredPasses:
        work = partial(annotate_shard, self)
        made = yield from asked(
            self.name, work, inputs.documents, EVERY_KIND, self.max_documents, self.engine
        )
        counted = yield Pass(
            name="labels",
            shards={"all": made.outputs()},
            work=partial(labels.count, self.rubric().properties),
        )
        (written,) = counted.outputs("work/labels")
        took = yield from usage.measure(made, self.engine)
        return {"labels": json.loads(storage.read_bytes(written.path)), "usage": took}

    def estimated(
        self, files: Sequence[Artifact], sample: int, used: Mapping[str, Mapping[str, int]]
    ) -> tuple[list[Line], int, int]:
        """What a run over these files will ask, as `estimate.lines` tells it."""
        planner, prompt = self.planner(), self.rubric()
        return estimate.lines(
            files,
            {kind: [prompt] for kind in EVERY_KIND},
            lambda document, _: [plan(document, prompt, planner)],
            planner.tokenizer,
            self.max_documents,
            sample,
            used,
        )

    def rubric(self) -> Prompt:
        """The prompt. Raises RecipeError if it asks for no properties, or cannot be used."""
        prompt = loader.load(self.prompt)
        postfilters.check(prompt)
        if not prompt.properties or "json_object" not in dict(prompt.postfilters):
            raise RecipeError(
                f"{prompt.path} is no rubric",
                "give it `properties`, and `json_object` among its postfilters",
            )
        if prompt.join_segments:
            raise RecipeError(
                f"{prompt.path} joins segments, but annotate asks once about a document",
                "set `join_segments: false` in it",
            )
        return prompt

    def planner(self) -> Planner:
        return Planner(
            self.engine.tokenizer(),
            self.engine.context_length(),
            1,
            self.seed,
            forces_schema=self.structured_outputs,
        )
