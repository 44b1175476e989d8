"""Render: draw documents as page images, so that a vision-language model learns to read.

Every page is a row: its image, and the text that stands on it. The lineage names the document and
the span of its text. So held-out documents stay held out, and every image can be traced. Looks
(font, size, columns, colours, rotation, noise) are drawn by a seed from the document's id.

With `charts`, pictures of bars, small tables and shapes are drawn instead. The names of values
come from the text. The row's `question` asks about the picture, and its text is the answer.

The unit of the account is the page: a document with three pages counts once, and twice as a repeat.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib import metadata
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.schema import (
    EXCLUSION,
    IMAGE,
    LETTERS,
    LICENCE,
    QUESTION,
    conform,
    extended,
    seed_for,
    synthetic_id,
)
from corpusmill.manifests.settings import Share
from corpusmill.manifests.shard import Shard
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
from corpusmill.stages.readers.documents import count_reasons, input_shards
from corpusmill.stages.readers.licences import with_licences
from corpusmill.stages.render.chart import check_room
from corpusmill.stages.render.chart_pages import DIGITS, chart_pages
from corpusmill.stages.render.chart_settings import Charts
from corpusmill.stages.render.drawn import Page
from corpusmill.stages.render.fonts import Face, coverage, draws, find_faces
from corpusmill.stages.render.lines import page_text
from corpusmill.stages.render.look import Paper, draw_look
from corpusmill.stages.render.page import fill, image, letters, shows
from corpusmill.trainer.token_shards import is_held_out
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

FONT = pa.field("font", pa.string())  # the family of the page's prose; null without text
LICENSED = extended(LICENCE)
DROPPED = extended(LICENCE, *EXCLUSION)
BATCH_ROWS = 64
RENDERED = "rendered"


class Render(GlobalStage):
    """Draw documents as page images with their text."""

    name: ClassVar[str] = "render"
    version: ClassVar[int] = 6
    reads: ClassVar[Reads] = Reads.DOCUMENTS
    account: ClassVar[Account] = Account.ONE_TO_MANY

    fonts: tuple[str, ...] = Field(default=("package:models/fonts",), min_length=1)
    """Folders and files with .ttf, .otf or .ttc fonts, such as /usr/share/fonts.

    The default has four families that come with corpusmill, for Latin letters.
    """
    families: Literal["all", "training", "held_out"] = "all"
    """Which font families are used. held_out: those that `training` leaves out."""
    held_out_share: Share = 0.25
    """Share of the families that is held out."""
    paper: Paper = Paper()
    """Size and roughness of the pages."""
    max_pages: PositiveInt | None = 4
    """Pages or charts of a document at most. Null: all of it."""
    min_characters: PositiveInt = 20
    """A page with less text is left out."""
    formulas: Literal["drawn", "source"] = "drawn"
    """drawn: LaTeX between `$`, `$$`, `\\(`, `\\[` and in equation environments as formulas.
    source: as it stands in the text. That of a page's text is the source, either way.
    """
    charts: Charts | None = None
    """Draw charts with a question and its answer. Null: pages of the text."""
    seed: NonNegativeInt = 0
    """Moves every draw."""

    @model_validator(mode="after")
    def _charts_fit(self) -> Self:
        if self.charts is not None:
            check_room(self.charts, self.paper)
        return self

    def adds(self) -> tuple[pa.Field, ...]:
        return (IMAGE, FONT, *LETTERS, LICENCE, *([] if self.charts is None else [QUESTION]))

    def depends_on(self) -> str:
        """The fonts, Pillow's version and matplotlib's. Raises CorpusmillError without a font."""
        versions = [metadata.version("pillow")]
        if self.formulas == "drawn" and self.charts is None:
            versions.append(f"matplotlib {metadata.version('matplotlib')}")
        return " ".join([*versions, *(face.digest for face in self.faces())])

    def faces(self) -> list[Face]:
        """The fonts to draw with. Raises CorpusmillError if there is none."""
        found = find_faces(self.fonts)
        if self.families == "all":
            return found
        wanted = self.families == "held_out"
        chosen = [face for face in found if is_held_out(face.family, self.held_out_share) == wanted]
        if not chosen:
            there = ", ".join(sorted({face.family for face in found}))
            raise RecipeError(
                f"none of the font families ({there}) is in families: {self.families}",
                "add fonts, or change held_out_share",
            )
        return chosen

    def passes(self, inputs: Inputs) -> Passes:
        shards = {
            name: (artifact,)
            for name, artifact in input_shards(inputs.documents, self.name).items()
        }
        yield Pass(self.name, shards, partial(render, self), final=True)


def render(settings: Render, shard: Shard) -> list[Counts]:
    """The work of one shard."""
    faces = settings.faces()
    schema = extended(*settings.adds())
    draw = pages if settings.charts is None else chart_pages
    account = Counts(settings.name)
    with (
        shard.parquet(DOCUMENTS, schema) as output,
        shard.parquet(EXCLUDED, DROPPED) as excluded_output,
    ):
        done = 0
        for artifact in shard.inputs:
            for group in shard.read(artifact):
                documents = conform(with_licences(group), LICENSED)
                for batch in documents.to_batches(max_chunksize=BATCH_ROWS):
                    kept, dropped = [], []
                    for document in batch.to_pylist():
                        rows = [
                            _row(document, page, settings)
                            for page in draw(
                                document["id"], document["text"] or "", settings, faces
                            )
                        ]
                        kept += rows
                        account.repeats += max(0, len(rows) - 1)
                        if not rows:
                            dropped.append(_excluded(document, faces, settings))
                    output.write(pa.Table.from_pylist(kept, schema=schema))
                    excluded_output.write(pa.Table.from_pylist(dropped, schema=DROPPED))
                    count_reasons(account, [row["reason"] for row in dropped])
                    done += batch.num_rows
                    shard.report(done)
    account.kept, account.text_bytes = output.rows, output.text_bytes
    account.rows_in = shard.rows_read
    return [account]


def pages(name: str, text: str, settings: Render, faces: Sequence[Face]) -> Iterator[Page]:
    """The pages of a document. Pages with letters that no font has are left out."""
    paper = settings.paper
    start = number = drawn = 0
    drawable = coverage(tuple(faces))
    while start < len(text) and (settings.max_pages is None or drawn < settings.max_pages):
        rng = np.random.default_rng(seed_for(name, "page", number, settings.seed))
        number += 1
        able = drawable.able(text[start : start + paper.most_letters])
        look = draw_look(rng, able or faces, paper)
        placed = fill(text, start, look, paper, settings.formulas == "drawn")
        if not placed:
            return
        begin, start = start, max(placed[-1].line.end, start + 1)
        written = page_text([item.line for item in placed])
        if len(written.strip()) < settings.min_characters or not shows(placed, look):
            continue
        drawn += 1
        yield Page(
            number - 1,
            begin,
            start,
            written,
            look.face.family,
            image(placed, look, paper),
            letters(placed, look, paper),
        )


def _row(document: dict[str, Any], page: Page, settings: Render) -> dict[str, Any]:
    paper = settings.paper.model_dump_json()
    if settings.charts is not None:
        paper += settings.charts.model_dump_json()
    elif settings.formulas == "drawn":
        paper += "formulas"
    name = synthetic_id(
        document["id"],
        page.start,
        page.end,
        settings.name,
        page.font,
        paper,
        settings.seed,
        page.number,
    )
    return {
        **document,
        "id": name,
        "text": page.text,
        "n_tokens": None,
        "kind": RENDERED,
        "lineage": {"parent": document["id"], "start": page.start, "end": page.end},
        "image": page.image,
        "font": page.font or None,
        "letters": page.letters.text,
        "letter_x": page.letters.x,
        "letter_y": page.letters.y,
        **({} if page.chart is None else {QUESTION.name: page.chart.question}),
    }


def _excluded(document: dict[str, Any], faces: Sequence[Face], settings: Render) -> dict[str, Any]:
    """A document that gave no page, with the reason."""
    text = document["text"] or ""
    missing = next(
        (
            letter
            for letter in sorted(set(text))
            if not letter.isspace() and not any(draws(face.path, letter) for face in faces)
        ),
        None,
    )
    if settings.charts is not None and not coverage(tuple(faces)).able(DIGITS):
        reason, detail = "render.no_font", "no font has all digits"
    elif missing is not None:
        reason, detail = "render.no_font", f"no font has {missing!r} (U+{ord(missing):04X})"
    elif settings.charts is not None:
        reason, detail = "render.no_chart", "too few names, or no room for them"
    else:
        reason, detail = "render.too_short", f"{len(text)} characters"
    return {**document, "stage": Render.name, "reason": reason, "detail": detail}
