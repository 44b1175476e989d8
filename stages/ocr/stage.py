"""Read scanned pages with a model that takes images, and write their text as documents.

    scan -> pages -> text layer, or image -> blank, or pieces -> one request each -> text in order

A PDF file with a text layer is read without the model, as `extract` does. Of a mixed file, pages
keep their order. Every piece of a document says which page and box it comes from.

Account: a scan ends once: as a document, as an excluded row with its reason, or not used because
it is no scan (other records of a crawl, other excluded rows).
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.manifests.settings import Share
from corpusmill.manifests.storage import Artifact
from corpusmill.prompts import loader
from corpusmill.prompts.loader import Prompt
from corpusmill.stages.contract import GlobalStage, Inputs, MeasuredPasses, Pass, Reads
from corpusmill.stages.engines import FREE_SETTINGS
from corpusmill.stages.engines.page_reader import PageEngine
from corpusmill.stages.ocr import estimate
from corpusmill.stages.ocr.asked_pages import Limits
from corpusmill.stages.ocr.documents import SCHEMA
from corpusmill.stages.ocr.page_images import Cutting, Looking
from corpusmill.stages.ocr.scans import ScanReader, grouped
from corpusmill.stages.ocr.shard_work import COUNTED, count_pieces, read_shard
from corpusmill.stages.synthesize import postfilters, usage
from corpusmill.stages.synthesize.estimate import Line
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt


class Ocr(GlobalStage):
    """Read scanned pages and PDF files with a model that takes images."""

    name: ClassVar[str] = "ocr"
    version: ClassVar[int] = 5
    reads: ClassVar[Reads] = Reads.RECORDS
    free_settings: ClassVar[tuple[str, ...]] = FREE_SETTINGS

    engine: PageEngine
    """The model that reads: embedded (our own reader) or openai (a server)."""
    prompt: str = "read_page"
    """The prompt file, by its shipped name or its path. The image stands where it has {document}.
    Our own reader sees the image alone."""
    cut: Cutting = Cutting()
    """How pages become images."""
    reader: ScanReader = ScanReader()
    """How files are read."""
    min_deviation: NonNegativeFloat = 4.0
    """A page without ink whose grey levels (of 256) have a lower standard deviation is blank, and
    not asked about."""
    min_layer_characters: NonNegativeInt = 100
    """A PDF page that is mostly pictures is read as an image if its text layer has fewer
    characters. Libraries stamp a line on each page of a scan."""
    min_read_share: Share = 0.9
    """A document is kept if at least this share of its pieces is read or has a text layer. Blank
    pages do not count. A piece that is answered with nothing counts as read."""
    max_pages: PositiveInt = 1000
    """A file with more pages is excluded."""
    page_seconds: float = Field(default=60, ge=0, le=86_400)
    """Processor time for a look at one page, in seconds. 0 looks in the worker itself, without
    limits."""
    page_memory_mb: int = Field(default=4096, ge=512, le=16 << 20)
    """Memory of the process that looks at pages, in MB."""
    seed: int = 0
    """Moves every draw."""

    def adds(self) -> tuple[pa.Field, ...]:
        return tuple(column for column in SCHEMA if column.name not in DOCUMENT.names)

    def depends_on(self) -> str:
        """The model, the prompt, and the versions of what renders, decodes and cuts."""
        import numpy
        import PIL
        import scipy
        from corpusmill.stages.extract import language, pdf

        return json.dumps(
            [
                *(self.engine.kind, self.engine.identity(), self.loaded_prompt().digest),
                *(pdf.version(), f"pillow {PIL.__version__}", language.model_digest("")),
                *(f"numpy {numpy.__version__}", f"scipy {scipy.__version__}"),
            ]
        )

    def refuse_early(self, here: bool) -> None:
        if (self.cut.width is None) != (self.cut.height is None):
            raise RecipeError("ocr.cut has a width or a height alone", "set both, or none")
        if here:
            self.engine.refuse_machine()

    def passes(self, inputs: Inputs) -> MeasuredPasses:
        if not inputs.documents:
            raise RecipeError("ocr has nothing to read", "give it files, folders or globs")
        made = yield Pass(
            name=self.name,
            shards=grouped(inputs.documents),
            work=partial(read_shard, self),
            final=True,
            holds_engine=True,
            together=self.engine.streams,
            cpus=self.engine.cpus,
            gpus=self.engine.gpus,
        )
        counted = yield Pass("pieces", {"all": made.outputs()}, count_pieces)
        (written,) = counted.outputs(COUNTED)
        took = yield from usage.measure(made, self.engine)
        found: dict[str, Any] = json.loads(storage.read_bytes(written.path))
        return {"pages": found, "usage": took}

    def estimated(
        self, files: Sequence[Artifact], sample: int, used: Mapping[str, Mapping[str, int]]
    ) -> tuple[list[Line], int, int]:
        """What a run over these files will ask, as `estimate.lines` tells it."""
        return estimate.lines(self, files, sample, used.get(self.loaded_prompt().name, {}))

    def looking(self) -> Looking:
        return Looking(self.cut, self.min_deviation, self.min_layer_characters, self.max_pages)

    def limits(self) -> Limits:
        return Limits(self.page_seconds, self.page_memory_mb)

    def loaded_prompt(self) -> Prompt:
        """The prompt. Raises RecipeError if it cannot be used here."""
        prompt = loader.load(self.prompt)
        postfilters.check(prompt)
        if prompt.scores or prompt.properties:
            raise RecipeError(
                f"{prompt.path} grades texts, and reads none", "name another file in ocr.prompt"
            )
        return prompt
