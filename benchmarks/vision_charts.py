"""Charts for `benchmarks/vision.py`: a question about a picture, and its answer.

What no training saw: the documents that names come from, the rows of values, and in one of the two
sets the font families. Scores are exact matches. Beside them stand two levels that need no picture
or no question:

- `constant`: the answer that is most frequent in the set, given always.
- `any bar`: a value of the picture, whichever. All values of a picture differ, so this is the mean
  of 1 / bars.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpusmill.benchmarks.vision_reading import blank_like, read_all
from corpusmill.stages.render.stage import Render, chart_pages
from corpusmill.vision.reading import PageReader

MOST = 6  # tokens of an answer


@dataclass(frozen=True)
class HeldOutChart:
    """A chart with its question; `text` is the answer."""

    image: bytes
    text: str
    font: str
    source: str
    question: str
    kind: str
    values: tuple[int, ...]


def held_out_charts(
    rows: Sequence[Mapping[str, Any]], render: Mapping[str, Any], families: str, count: int
) -> list[HeldOutChart]:
    """A chart of each of `count` pieces at most. Work of one process."""
    charts = {"values": "held_out"}
    settings = Render(**{**render, "families": families, "max_pages": 1, "charts": charts})
    faces = settings.faces()
    found: list[HeldOutChart] = []
    for row in rows:
        for page in chart_pages(row["id"], row["text"], settings, faces):
            chart = page.chart
            assert chart is not None
            found.append(
                HeldOutChart(
                    page.image,
                    page.text,
                    page.font,
                    row["source"],
                    chart.question,
                    chart.kind,
                    chart.values,
                )
            )
        if len(found) == count:
            break
    return found


def chance(charts: Sequence[HeldOutChart]) -> dict[str, float]:
    """Exact matches of an answerer without a picture, and of one without a question."""
    [(_, most)] = Counter(chart.text for chart in charts).most_common(1)
    return {
        "constant": round(most / len(charts), 4),
        "any bar": round(sum(1 / len(chart.values) for chart in charts) / len(charts), 4),
    }


def score(read: Sequence[str], charts: Sequence[HeldOutChart]) -> dict[str, Any]:
    """exact: share of right answers. near: share that are at most one off, as a bar of few pixels
    may be read.
    """
    exact = [text.strip() == chart.text for text, chart in zip(read, charts, strict=True)]
    near = [
        text.strip().isdecimal() and abs(int(text) - int(chart.text)) <= 1
        for text, chart in zip(read, charts, strict=True)
    ]
    return {
        "charts": len(charts),
        "exact": round(sum(exact) / len(charts), 4),
        "near": round(sum(near) / len(charts), 4),
        **chance(charts),
    }


def scores_by_kind(read: Sequence[str], charts: Sequence[HeldOutChart]) -> dict[str, Any]:
    """Scores of all charts, and of each kind alone."""
    scores = {"all": score(read, charts)}
    for kind in sorted({chart.kind for chart in charts}):
        chosen = [number for number, chart in enumerate(charts) if chart.kind == kind]
        scores[kind] = score([read[n] for n in chosen], [charts[n] for n in chosen])
    return scores


def answers(
    reader: PageReader, charts: Sequence[HeldOutChart], images: Sequence[bytes]
) -> list[str]:
    """What the model answers to the charts' questions with these images."""
    return read_all(reader, images, MOST, [chart.question for chart in charts])


def controls(reader: PageReader, charts: Sequence[HeldOutChart]) -> dict[str, Any]:
    """The questions with a blank image, and with the image of the chart before."""
    images = [chart.image for chart in charts]
    blank = [blank_like(images[0])] * len(charts)
    other = images[-1:] + images[:-1]
    return {
        "blank": score(answers(reader, charts, blank), charts),
        "other image": score(answers(reader, charts, other), charts),
    }
