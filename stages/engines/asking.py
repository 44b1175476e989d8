"""What all stages share that ask an engine about documents."""

from typing import ClassVar

from corpusmill.stages.contract import GlobalStage, Reads
from corpusmill.stages.engines import FREE_SETTINGS, EngineConfig
from corpusmill.stages.engines.embedded import EmbeddedEngine


class AskingStage(GlobalStage):
    """A stage whose rows are answers of a language model."""

    reads: ClassVar[Reads] = Reads.DOCUMENTS
    free_settings: ClassVar[tuple[str, ...]] = FREE_SETTINGS

    engine: EngineConfig = EmbeddedEngine()
    """The model that answers."""

    def refuse_early(self, here: bool) -> None:
        if here:
            self.engine.refuse_machine()
