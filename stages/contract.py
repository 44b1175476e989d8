"""The contracts between stages and the pipeline that runs them.

A **map stage** looks at documents one batch at a time: a frozen configuration with `apply(table) -> Outcome`. It is pure and
deterministic; consecutive map stages are fused into one task, so that a document is read and written once.

A **global stage** needs to see all documents (dedup, quality buckets, blend): a frozen configuration whose `passes` generator yields
one `Pass` after the other and is sent each pass's result. Every pass is again shard-in, shard-out with bounded memory.

Neither knows how, where or with how many workers it runs.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact

DOCUMENTS = "documents"
EXCLUDED = "excluded"


class Outcome(NamedTuple):
    """kept: the rows that go on, with the stage's declared columns. excluded: the others, with `schema.EXCLUSION`."""

    kept: pa.Table
    excluded: pa.Table


@runtime_checkable
class MapStage(Protocol):
    """reads: `records` for a stage that reads raw input files (through `stages.readers`), `documents` for Parquet document shards."""

    name: ClassVar[str]
    version: ClassVar[int]
    reads: ClassVar[str]

    def adds(self) -> tuple[pa.Field, ...]:
        """The columns that the stage adds to the document schema."""
        ...

    def depends_on(self) -> str:
        """What decides the output besides the configuration: digests of models and prompts. Empty if nothing does.

        Raises ModelError or RecipeError if something that the stage needs is missing, before any shard is started.
        """
        ...

    def apply(self, table: pa.Table) -> Outcome:
        """Every row of `table` ends in exactly one of the two tables."""
        ...


@dataclass(frozen=True)
class Inputs:
    """What a global stage reads. documents: the shards of its main input. named: further inputs by name (blend sources, a trained
    model's folder). folder: where the stage writes."""

    folder: str
    documents: tuple[Artifact, ...] = ()
    named: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """One shard-in, shard-out step. shards: shard name -> what it reads. work: picklable; writes through the Shard and returns its
    account. final: whether its counts are the stage's account. holds_engine: whether workers keep a model between shards.
    cpus, gpus: what one worker needs (gpus are taken only where the cluster has some). told: what one shard alone has to know besides its
    inputs (`Shard.told`), by shard name; what all of them have to know belongs into `work`, which goes into every task."""

    name: str
    shards: Mapping[str, tuple[Artifact, ...]]
    work: Callable[[Shard], list[Counts]]
    final: bool = False
    holds_engine: bool = False
    depends_on: str = ""  # further text that decides the output, e.g. digests of models and prompts
    cpus: float = 1
    gpus: float = 0
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PassResult:
    """The receipts of a pass, by shard name; quarantined shards are not among them."""

    receipts: Mapping[str, Receipt]

    def outputs(self, where: str = "") -> tuple[Artifact, ...]:
        """The artifacts that the pass wrote (those in `<folder>/<where>/`), in shard order."""
        return tuple(
            output
            for name in sorted(self.receipts)
            for output in self.receipts[name].outputs
            if not where or output.path.rsplit("/", 1)[0].endswith(f"/{where}")
        )


Passes = Generator[Pass, PassResult, None]


@runtime_checkable
class GlobalStage(Protocol):
    """May have `reads`, too: `documents` where its main input is Parquet document shards only, `tokens` where it is those of pack. And
    `free_settings`: the keys (nested ones with dots) that decide no byte of its output, such as a server's address; a run goes on with
    other values of them."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def depends_on(self) -> str:
        """As for a map stage: digests of the models and prompts that decide the output."""
        ...

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        """Inputs beside the main one: name -> stage folders, files or globs. They arrive expanded in `Inputs.named`."""
        ...

    def passes(self, inputs: Inputs) -> Passes:
        """Yield passes in order; each `yield` returns the PassResult. The pass marked `final` writes the stage's documents
        below `documents/` and what it drops below `excluded/`."""
        ...
