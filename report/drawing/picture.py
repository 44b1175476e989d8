"""The parts of every chart. `templates/picture.html` turns a picture into SVG.

Units are CSS pixels at the width that the picture is made for. The page holds a wide and a narrow
picture of a chart and shows the one that fits, so letters have the same size on a phone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

WIDE, NARROW = 920, 342
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Path:
    """look: a class of the page's style. title: what a pointer or a screen reader is told."""

    d: str
    look: str
    title: str = ""


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    look: str
    title: str = ""
    radius: float = 0


@dataclass(frozen=True)
class Words:
    x: float
    y: float
    text: str
    look: str = ""
    anchor: Anchor = "start"


@dataclass
class Picture:
    """Shapes in the order in which they are drawn. title: the chart in words."""

    width: float
    height: float
    title: str
    shapes: list[Path | Box] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


@dataclass(frozen=True)
class Both:
    """The same chart for a wide and for a narrow page."""

    wide: Picture
    narrow: Picture


def both(draw: Callable[[int], Picture]) -> Both:
    return Both(draw(WIDE), draw(NARROW))


def fitting(text: str, width: float, letter: float = 6.8) -> str:
    """The text, or its beginning and `…` if it is wider. letter: mean width of a letter."""
    most = max(3, int(width / letter))
    return text if len(text) <= most else text[: most - 1].rstrip("._ ") + "…"
