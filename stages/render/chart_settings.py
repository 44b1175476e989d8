"""What stands on charts."""

from typing import Literal

from corpusmill.manifests.settings import Settings
from corpusmill.stages.render.shapes import LEAST
from pydantic import Field

ChartKind = Literal["bars", "labelled_bars", "table", "shapes"]
Side = Literal["all", "training", "held_out"]


class Charts(Settings):
    """What stands on a chart."""

    kinds: tuple[ChartKind, ...] = Field(
        default=("bars", "labelled_bars", "table", "shapes"), min_length=1
    )
    """bars: only their heights tell the values. labelled_bars: a number above each bar, too.
    table: names and numbers. shapes: circles, stars and the like in colours.
    """
    most_bars: int = Field(default=5, ge=2)
    """Bars or rows of a table at most. A small chart has fewer."""
    highest: int = Field(default=20, ge=8)
    """Where the axis ends. Values are whole numbers between 0 and this."""
    most_shapes: int = Field(default=7, ge=LEAST, le=10)
    """Shapes of a picture at most."""
    values: Side = "all"
    """Which rows of values, and sets of shapes and colours, are drawn. held_out: those that
    `training` never draws."""
