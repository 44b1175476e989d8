"""What drawing gives: a page or a chart, and where in the document it comes from."""

from dataclasses import dataclass

from corpusmill.stages.render.chart import Chart
from corpusmill.stages.render.page import Letters
from corpusmill.stages.render.shapes import Scene


@dataclass(frozen=True)
class Page:
    """A drawn page and its place in the document's text. Of a chart, the text is the answer.

    font: a family; empty if no text stands on it.
    """

    number: int
    start: int
    end: int
    text: str
    font: str
    image: bytes
    letters: Letters
    chart: Chart | Scene | None = None
