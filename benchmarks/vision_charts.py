"""Charts for `benchmarks/vision.py`: a question about a picture, and its answer.

What no training saw: the documents that names come from, the rows of values, the sets of shapes and
colours, and in one of the two sets the font families. Scores are exact matches. Beside them stand
two levels that anyone reaches who does not see, or does not understand:

- `constant`: to each beginning of a question, such as `How many`, the answer that is most frequent
  in the set. It needs no picture.
- `any option`: a value of the chart, whichever. Of shapes: a shape that is there, a colour of those
  that are alike, a number that occurs. It needs no heights, names, sizes or places.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from corpusmill.benchmarks.vision_reading import blank_like, read_all
from corpusmill.stages.render.chart_pages import chart_pages
from corpusmill.stages.render.stage import Render
from corpusmill.vision.reading import PageReader

MOST = 8  # tokens of an answer: of a vocabulary of 496, `triangle` takes five


@dataclass(frozen=True)
class HeldOutChart:
    """A chart with its question; `text` is the answer."""

    image: bytes
    text: str
    font: str
    source: str
    question: str
    kind: str
    options: tuple[str, ...]


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
                    chart.options,
                )
            )
        if len(found) == count:
            break
    return found


def chance(charts: Sequence[HeldOutChart]) -> dict[str, float]:
    """Exact matches of an answerer without a picture, and of one that picks an option."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for chart in charts:
        answers[" ".join(chart.question.split()[:2])][chart.text] += 1
    most = sum(max(seen.values()) for seen in answers.values())
    picked = sum(chart.options.count(chart.text) / len(chart.options) for chart in charts)
    return {
        "constant": round(most / len(charts), 4),
        "any option": round(picked / len(charts), 4),
    }


def score(read: Sequence[str], charts: Sequence[HeldOutChart]) -> dict[str, Any]:
    """exact: share of right answers. near: share that are right, or numbers at most one off, as a
    bar of few pixels may be read.
    """
    pairs = [(text.strip(), chart.text) for text, chart in zip(read, charts, strict=True)]
    exact = [text == answer for text, answer in pairs]
    near = [
        text == answer
        or (text.isdecimal() and answer.isdecimal() and abs(int(text) - int(answer)) <= 1)
        for text, answer in pairs
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
