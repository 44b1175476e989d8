"""Charts: bars and small tables, with a question about them and its answer.

A chart takes its names from a stretch of a document, as pages take their text. Values are drawn by
the chart's seed, all of them different. A bar is exactly its value times a whole number of pixels
high. The axis names 0 and its top, which no bar reaches. So a value stands nowhere in a picture of
bars, and can be read from it alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.render.chart_settings import ChartKind, Charts
from corpusmill.stages.render.fonts import draws_all, sized
from corpusmill.stages.render.lines import Line
from corpusmill.stages.render.look import Look, Paper
from corpusmill.stages.render.page import PlacedLine
from corpusmill.stages.render.shapes import LEAST_SIDE, WORD
from corpusmill.trainer.token_shards import is_held_out
from PIL import ImageDraw

SLOT = 1.9  # least width of a bar with the space around it, in font sizes
LINE = 1.3  # height of a line of text, in font sizes
LEAST_NAME = 2  # letters
LONGEST_NAME = 8
DIGIT = 0.6  # usual width, in font sizes
DRAWS = 10_000  # of a row of values, until one is on the wanted side


@dataclass(frozen=True)
class Bar:
    """A bar: pixels [left, right) x [top, bottom). (bottom - top) is its value times the unit."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Chart:
    """A chart before it is drawn. unit: pixels of one. labels: all text on it. rules: lines of
    axes and tables, as pixels (left, top, right, bottom), the last two included.
    """

    kind: ChartKind
    names: tuple[str, ...]
    values: tuple[int, ...]
    asked: int
    unit: int
    bars: tuple[Bar, ...]
    rules: tuple[tuple[int, int, int, int], ...]
    labels: tuple[PlacedLine, ...]

    @property
    def question(self) -> str:
        return f"What is the value of {self.names[self.asked]}?"

    @property
    def answer(self) -> str:
        return str(self.values[self.asked])

    @property
    def options(self) -> tuple[str, ...]:
        """The values: what someone could answer who does not read the names."""
        return tuple(map(str, self.values))


def check_room(charts: Charts, paper: Paper) -> None:
    """Raises RecipeError if the largest font leaves no room for two bars of a pixel a unit, or
    shapes would be too small to be told apart.
    """
    if "shapes" in charts.kinds and min(paper.width, paper.height) < LEAST_SIDE:
        raise RecipeError(
            f"a picture of {paper.width} x {paper.height} pixels is too small for shapes",
            f"make both sides of paper at least {LEAST_SIDE}, or leave shapes out of charts.kinds",
        )
    if charts.kinds == ("shapes",):
        return
    size = paper.max_font_size
    room = _Room(size, round(DIGIT * size * len(str(charts.highest))), paper, charts)
    if room.unit < 1 or room.most < 2 or room.rows < 2:
        raise RecipeError(
            f"a chart of {paper.width} x {paper.height} pixels with letters of "
            f"{paper.max_font_size} has no room for bars up to {charts.highest}",
            "make paper larger, or lower paper.max_font_size or charts.highest",
        )


@dataclass(frozen=True)
class _Room:
    """Where things stand on a chart with letters of `size` pixels."""

    size: int
    axis_width: int  # of the numbers beside the axis
    paper: Paper
    charts: Charts

    @property
    def margin(self) -> int:
        return max(2, self.size // 4)

    @property
    def line(self) -> int:
        return round(LINE * self.size)

    @property
    def left(self) -> int:
        """Of the axis."""
        return self.margin + self.axis_width + 2

    @property
    def width(self) -> int:
        """Of all bars."""
        return self.paper.width - self.margin - self.left - 1

    @property
    def most(self) -> int:
        """Bars with room for a name."""
        return min(self.charts.most_bars, int(self.width / (SLOT * self.size)))

    @property
    def bottom(self) -> int:
        """First pixel below the bars."""
        return self.paper.height - self.margin - self.line

    @property
    def unit(self) -> int:
        return (self.bottom - self.margin - self.line) // self.charts.highest

    @property
    def rows(self) -> int:
        """Of a table."""
        return min(self.charts.most_bars, (self.paper.height - 2 * self.margin) // self.line)


def chart(
    kind: ChartKind,
    text: str,
    start: int,
    look: Look,
    paper: Paper,
    charts: Charts,
    held_out_share: float,
    rng: np.random.Generator,
) -> tuple[Chart, int] | None:
    """A chart whose names begin words of the text behind `start`, and the end of its stretch.

    None if the rest of the text has too few words, or the font is too wide. Raises RecipeError if
    no row of values is on the wanted side.
    """
    font = sized(look.face.path, look.size)
    axis_width = round(font.getlength(str(charts.highest)))
    room = _Room(look.size, axis_width, paper, charts)
    # All values differ, so there are no more bars than values.
    most = min(room.rows if kind == "table" else room.most, charts.highest - 1)
    if most < 2:
        return None
    count = int(rng.integers(2, most + 1))
    slot = room.width // count
    name_width = paper.width // 2 if kind == "table" else slot - max(2, look.size // 5)
    found = list(_names(text, start, count, look, name_width))
    if len(found) < count:
        return None
    names = tuple(name for name, _ in found)
    values = _values(count, charts, held_out_share, rng)
    asked = int(rng.integers(count))
    if kind == "table":
        rules, labels = _table(names, values, look, room, rng)
        made = Chart(kind, names, values, asked, 0, (), rules, labels)
    else:
        rules, labels, bars = _bars(names, values, look, room, slot, rng, kind == "labelled_bars")
        made = Chart(kind, names, values, asked, room.unit, bars, rules, labels)
    return made, found[-1][1]


def _names(
    text: str, start: int, count: int, look: Look, width: float
) -> Iterator[tuple[str, int]]:
    """(name, end of its word) of the next words: as many letters as fit, none twice."""
    font = sized(look.face.path, look.size)
    seen: set[str] = set()
    for match in WORD.finditer(text, start):
        if len(seen) == count:
            return
        name = match.group()[:LONGEST_NAME]
        while len(name) > LEAST_NAME and font.getlength(name) > width:
            name = name[:-1]
        same = name.casefold().replace("i", "l")  # many fonts draw I and l alike
        if font.getlength(name) > width or same in seen:
            continue
        if not draws_all(look.face.path, set(name)):
            continue
        seen.add(same)
        yield name, match.end()


def _values(
    count: int, charts: Charts, held_out_share: float, rng: np.random.Generator
) -> tuple[int, ...]:
    """Different whole numbers. Whether a row of them is held out, itself decides."""
    for _ in range(DRAWS):
        drawn = rng.choice(charts.highest - 1, count, replace=False) + 1
        values = tuple(int(value) for value in drawn)
        side = "held_out" if is_held_out(f"chart {values}", held_out_share) else "training"
        if charts.values in ("all", side):
            return values
    raise RecipeError(
        f"no row of {count} values is {charts.values} with held_out_share {held_out_share}",
        "set held_out_share between 0.05 and 0.95",
    )


Rules = tuple[tuple[int, int, int, int], ...]
Labels = tuple[PlacedLine, ...]


def _label(text: str, x: float, y: int) -> PlacedLine:
    return PlacedLine(Line(text, "prose", 0, 0, True), round(x), y)


def _bars(
    names: Sequence[str],
    values: Sequence[int],
    look: Look,
    room: _Room,
    slot: int,
    rng: np.random.Generator,
    numbers: bool,
) -> tuple[Rules, Labels, tuple[Bar, ...]]:
    font = sized(look.face.path, look.size)
    highest = room.charts.highest
    top = room.bottom - highest * room.unit
    thickness = max(3, round(slot * float(rng.uniform(0.4, 0.8))))
    bars, labels = [], []
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        middle = room.left + 1 + (number + 0.5) * slot
        left = round(middle - thickness / 2)
        bar = Bar(left, room.bottom - value * room.unit, left + thickness, room.bottom)
        bars.append(bar)
        labels.append(_label(name, middle - font.getlength(name) / 2, room.bottom + 2))
        if numbers:
            width = font.getlength(str(value))
            labels.append(_label(str(value), middle - width / 2, bar.top - room.line))
    for value in (0, highest):
        width = font.getlength(str(value))
        y = room.bottom - value * room.unit - look.size // 2
        labels.append(_label(str(value), room.left - 2 - width, y))
    # The axis is as long as its top is high; the ground line runs below the bars.
    axis = (room.left, top, room.left, room.bottom - 1)
    ground = (room.left, room.bottom, room.left + room.width, room.bottom)
    return (axis, ground), tuple(labels), tuple(bars)


def _table(
    names: Sequence[str],
    values: Sequence[int],
    look: Look,
    room: _Room,
    rng: np.random.Generator,
) -> tuple[Rules, Labels]:
    font = sized(look.face.path, look.size)
    widest = max(font.getlength(name) for name in names)
    numbers = max(font.getlength(str(value)) for value in values)
    gap = look.size
    spare = room.paper.width - 2 * room.margin - widest - gap - numbers
    left = room.margin + float(rng.uniform(0, max(0.0, spare)))
    free = room.paper.height - 2 * room.margin - len(names) * room.line
    first = room.margin + int(rng.integers(0, max(0, free) + 1))
    right = left + widest + gap + numbers
    labels, rules = [], []
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        y = first + number * room.line
        labels.append(_label(name, left, y))
        labels.append(_label(str(value), right - font.getlength(str(value)), y))
        if number:
            rules.append((round(left), y - 1, round(right), y - 1))
    return tuple(rules), tuple(labels)


def draw_shapes(pen: ImageDraw.ImageDraw, chart: Chart, look: Look) -> None:
    """Bars and rules. Text is drawn as on pages."""
    shade = look.ink + (look.ground - look.ink) // 3
    for bar in chart.bars:
        pen.rectangle((bar.left, bar.top, bar.right - 1, bar.bottom - 1), fill=shade)
    for rule in chart.rules:
        pen.line(rule, fill=look.ink if chart.bars else shade)
