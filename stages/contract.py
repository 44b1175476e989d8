"""The contract between stages and the pipeline that runs them.

A **map stage** looks at documents one batch at a time: `apply(table) -> Outcome`, pure and
deterministic. Consecutive map stages run as one task, so a document is read and written once.

A **global stage** needs to see all documents (dedup, quality buckets, blend): its generator
`passes` yields one `Pass` after the other and is sent each pass's result. Every pass is again
shard-in, shard-out with bounded memory.

Neither knows how, where or with how many workers it runs.
"""

from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from corpusmill.manifests.receipt import Counts, Receipt
from corpusmill.manifests.schema import excluded
from corpusmill.manifests.settings import Settings
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact

DOCUMENTS = "documents"
EXCLUDED = "excluded"


class Account(StrEnum):
    """What becomes of a row that a stage reads. The executor and `verify` check every run with it.

    ONE_TO_ONE: it ends once, among the kept, excluded or failed rows. ONE_TO_MANY: it ends at least
    once, and copies or parts of it are counted as repeats. MANY_TO_ONE: rows become a model or a
    tokenizer; those that were used count as kept, and no documents are written.
    """

    ONE_TO_ONE = "one_to_one"
    ONE_TO_MANY = "one_to_many"
    MANY_TO_ONE = "many_to_one"


class Reads(StrEnum):
    """What a stage takes as its main input.

    RECORDS: raw files, through `stages.readers`. DOCUMENTS: document shards of another stage.
    TOKENS: token shards of pack. CHECKPOINT: a trained model. ANY: documents, raw or not, or
    nothing.
    """

    RECORDS = "records"
    DOCUMENTS = "documents"
    TOKENS = "tokens"
    CHECKPOINT = "checkpoint"
    ANY = "any"


class Outcome(NamedTuple):
    """What a map stage makes of a batch.

    kept: the rows that go on, with the stage's declared columns. excluded: the others, with
    `schema.EXCLUSION`.
    """

    kept: pa.Table
    excluded: pa.Table

    @classmethod
    def keeping(cls, table: pa.Table) -> "Outcome":
        """All rows go on."""
        return cls(table, excluded(table.slice(0, 0), "", [], []))


@dataclass(frozen=True)
class Inputs:
    """What a stage reads.

    documents: the files of its main input. named: further inputs by name (the sources of a blend).
    folder: where the stage writes.
    """

    folder: str
    documents: tuple[Artifact, ...] = ()
    named: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pass:
    """One step from shards to shards.

    shards: shard name -> what it reads. work: picklable. It writes through the Shard and returns
    its account. final: whether it writes the stage's documents (below `documents/`) and what the
    stage drops (below `excluded/`). holds_engine: workers keep a model between shards. together:
    how many shards such a worker does beside each other, in threads.
    depends_on: further text that decides the output. cpus, gpus: what one worker needs (gpus count
    only if the cluster has some). shard_settings: shard name -> what this shard alone must know
    besides its inputs (`Shard.shard_settings`). What all shards must know belongs in `work`, which
    goes into every task.
    """

    name: str
    shards: Mapping[str, tuple[Artifact, ...]]
    work: Callable[[Shard], list[Counts]]
    final: bool = False
    holds_engine: bool = False
    together: int = 1
    depends_on: str = ""
    cpus: float = 1
    gpus: float = 0
    shard_settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PassResult:
    """The receipts of a pass, by shard name; quarantined shards are not among them."""

    receipts: Mapping[str, Receipt]

    def outputs(self, where: str = "") -> tuple[Artifact, ...]:
        """What the pass wrote in `<folder>/<where>/`, in shard order. Empty `where`: everything."""
        return tuple(
            output
            for name in sorted(self.receipts)
            for output in self.receipts[name].outputs
            if not where or output.path.rsplit("/", 1)[0].endswith(f"/{where}")
        )


Passes = Generator[Pass, PassResult, None]
# What the generator returns goes into the manifest as `measures`. None: nothing.
MeasuredPasses = Generator[Pass, PassResult, Mapping[str, Any] | None]


class Stage(Settings):
    """A stage and its settings. The defaults are the published values.

    name: the verb. version: raise it when the same settings give other bytes. account: what becomes
    of a row. unit: what its account counts. free_settings: keys (nested ones with dots) that decide
    no byte of the output, such as a server's address. A run goes on with other values of them.
    leaves_texts_if: what makes a stage that `edits_texts` leave them alone. Empty: nothing does.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[Reads] = Reads.ANY
    account: ClassVar[Account] = Account.ONE_TO_ONE
    unit: ClassVar[str] = "documents"
    free_settings: ClassVar[tuple[str, ...]] = ()
    leaves_texts_if: ClassVar[str] = ""

    @property
    def fused(self) -> "tuple[Stage, ...]":
        """The stages that run together: this one, or several map stages in one task."""
        return (self,)

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names under which its passes count rows."""
        return (self.name,)

    def adds(self) -> tuple[pa.Field, ...]:
        """The columns that the stage adds to the document schema."""
        return ()

    def edits_texts(self) -> bool:
        """Whether it changes the column `text`. It then refuses pairs, whose second text it does
        not see (`stages.columns.linked`).
        """
        return False

    def depends_on(self) -> str:
        """What decides the output besides the settings: digests of models and prompts.

        Raises ModelError or RecipeError before any shard starts, if something that the stage needs
        is missing.
        """
        return ""

    def refuse_early(self, here: bool) -> None:
        """Raises CorpusmillError if no input can make the settings work.

        Called before any stage of a run starts, so folders of earlier stages may not be there yet.
        here: the stage will run on this machine, whose devices and packages can be looked at.
        """

    def doubt_after(self, before: "Stage") -> str:
        """Why it may not be able to read what `before` will write, and what to do. Empty: nothing.

        Asked before any stage of a recipe runs, if the step reads the folder of `before`. The
        display shows it.
        """
        return ""

    def named_inputs(self) -> Mapping[str, tuple[str, ...]]:
        """Inputs beside the main one: name -> stage folders, files or globs (`Inputs.named`)."""
        return {}

    def counted_inputs(self, inputs: Inputs) -> tuple[Artifact, ...]:
        """The files whose rows its account counts: the main input, or all further ones without."""
        return inputs.documents or tuple(file for files in inputs.named.values() for file in files)


class MapStage(Stage):
    """A stage that looks at one batch of documents at a time."""

    @abstractmethod
    def apply(self, table: pa.Table) -> Outcome:
        """Put every row of `table` into exactly one of the two tables."""

    def check(self, account: Counts, failures: Mapping[str, str]) -> None:
        """Look at the account of a whole shard. failures: reason -> the detail of its first row.

        Raises CorpusmillError if it shows that the stage's settings cannot work. The shard then
        fails.
        """


class GlobalStage(Stage):
    """A stage that runs in passes over shards."""

    @abstractmethod
    def passes(self, inputs: Inputs) -> MeasuredPasses:
        """Yield the passes in order. Each `yield` returns the pass's PassResult.

        Return what the manifest is to hold as `measures`: plain data, by name.
        """
