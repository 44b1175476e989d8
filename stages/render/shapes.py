"""Shapes: circles, squares, triangles, stars and crosses in colours, and a question about them.

The question and its answer are drawn first, each answer as likely. Then come shapes for which it is
true, then places at which they do not touch. So who sees no picture is right in one of five, and
the number of shapes tells nothing. Nothing of a document stands on the picture. It uses up as many
words as it has shapes, so long documents give more pictures, and pictures are held out with them.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

import numpy as np
from corpusmill.manifests.errors import RecipeError
from corpusmill.stages.render.look import Paper
from corpusmill.stages.render.page import PlacedLine
from corpusmill.trainer.token_shards import is_held_out
from numpy.typing import NDArray

SHAPES = ("circle", "square", "triangle", "star", "cross")
PLURALS = {shape: f"{shape}s" for shape in SHAPES} | {"cross": "crosses"}
COLOURS = ("red", "green", "blue", "yellow", "purple")
COUNTS = ("0", "1", "2", "3", "4")
# Direction -> (axis, sign): which way one must go from the asked shape to the answer.
DIRECTIONS = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}
LEAST = len(COUNTS) - 1  # shapes, so that any number of them can be those that are asked for
LEAST_SIDE = 56  # pixels of a picture: a smaller one has shapes of less than 8 pixels
SMALLEST, LARGEST = 0.07, 0.14  # radius, as a share of the picture's shorter side
LARGE = 0.115  # of the largest of a shape that is asked for
SMALLER = 0.72  # radius of the others of that shape, at most, as a share of its own
GAP = 0.02  # between shapes, and to the edge
APART = 0.1  # between the middles of shapes, along the direction that is asked for
TURN = 15  # degrees, at most: a square must not look like a diamond
DRAWS = 10_000  # of shapes, until they are on the wanted side
PLACINGS = 1_000  # of one picture
TRIES = 50  # of a place for one shape
WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Thing:
    """A shape. x, y: its middle in pixels. radius: of the circle around it. turn: in degrees."""

    shape: str
    colour: str
    x: float = 0
    y: float = 0
    radius: float = 0
    turn: float = 0


@dataclass(frozen=True)
class Scene:
    """A picture before it is drawn.

    options: what someone who knows the things but not their number, size or place could answer,
    each as often as a guess would name it.
    """

    things: tuple[Thing, ...]
    question: str
    answer: str
    options: tuple[str, ...]

    kind: ClassVar[str] = "shapes"
    labels: ClassVar[tuple[PlacedLine, ...]] = ()  # there is no text on it


@dataclass(frozen=True)
class Asked:
    """Things without places. direction: the first thing lies there from the second, and all others
    lie on its other side. largest: the first is the largest of its shape.
    """

    things: tuple[Thing, ...]
    question: str
    answer: str
    options: tuple[str, ...]
    direction: str = ""
    largest: bool = False


def scene(
    text: str,
    start: int,
    paper: Paper,
    most: int,
    side: str,
    held_out_share: float,
    rng: np.random.Generator,
) -> tuple[Scene, int] | None:
    """A picture with `LEAST` to `most` shapes, and the end of the words that it uses up.

    None if too few words are left, or there is no room. Raises RecipeError if no shapes are on the
    wanted side.
    """
    ask = ASK[int(rng.integers(len(ASK)))]
    count = int(rng.integers(LEAST, most + 1))
    words = list(islice(WORD.finditer(text, start), count))
    if len(words) < count:
        return None
    # The answer is the same in each draw, so that it stays as likely on both sides.
    answer = int(rng.integers(len(COUNTS)))
    asked = next(
        (
            found
            for found in (ask(count, answer, rng) for _ in range(DRAWS))
            if side in ("all", _side(found.things, held_out_share))
        ),
        None,
    )
    if asked is None:
        raise RecipeError(
            f"no {count} shapes are {side} with held_out_share {held_out_share}",
            "set held_out_share between 0.05 and 0.95",
        )
    placings = (_placed(asked, paper, rng) for _ in range(PLACINGS))
    things = next((found for found in placings if found is not None), None)
    if things is None:
        return None
    return Scene(things, asked.question, asked.answer, asked.options), words[-1].end()


def _side(things: Sequence[Thing], held_out_share: float) -> str:
    """Whether a set of shapes and colours is held out, itself decides, wherever they lie."""
    key = " ".join(sorted(f"{thing.colour} {thing.shape}" for thing in things))
    return "held_out" if is_held_out(f"shapes {key}", held_out_share) else "training"


def _ask_number(count: int, answer: int, rng: np.random.Generator) -> Asked:
    shape, *others = _shuffled(SHAPES, rng)
    chosen = [shape] * answer + [_one(others, rng) for _ in range(count - answer)]
    things = tuple(Thing(each, _one(COLOURS, rng)) for each in chosen)
    return Asked(things, f"How many {PLURALS[shape]} are there?", COUNTS[answer], COUNTS)


def _ask_number_of_colour(count: int, answer: int, rng: np.random.Generator) -> Asked:
    colour, *others = _shuffled(COLOURS, rng)
    chosen = [colour] * answer + [_one(others, rng) for _ in range(count - answer)]
    things = tuple(Thing(_one(SHAPES, rng), each) for each in chosen)
    return Asked(things, f"How many shapes are {colour}?", COUNTS[answer], COUNTS)


def _ask_colour_of_largest(count: int, answer: int, rng: np.random.Generator) -> Asked:
    shape, *others = _shuffled(SHAPES, rng)
    wrong = _shuffled([each for each in COLOURS if each != COLOURS[answer]], rng)
    colours = (COLOURS[answer], *wrong[: int(rng.integers(1, 3))])
    alike = [Thing(shape, colour) for colour in colours]
    rest = [Thing(_one(others, rng), _one(COLOURS, rng)) for _ in range(count - len(alike))]
    question = f"What colour is the largest {shape}?"
    return Asked((*alike, *rest), question, colours[0], colours, largest=True)


def _ask_neighbour(count: int, answer: int, rng: np.random.Generator) -> Asked:
    beside = Thing(_one(SHAPES, rng), _one(COLOURS, rng))  # the only one of its kind

    def other(shape: str) -> Thing:
        free = [each for each in COLOURS if Thing(shape, each) != beside]
        return Thing(shape, _one(free, rng))

    first = other(SHAPES[answer])
    rest = [other(_one(SHAPES, rng)) for _ in range(count - 2)]
    direction = _one(list(DIRECTIONS), rng)
    question = f"Which shape is {direction} the {beside.colour} {beside.shape}?"
    options = tuple(thing.shape for thing in (first, *rest))
    return Asked((first, beside, *rest), question, first.shape, options, direction)


Ask = Callable[[int, int, np.random.Generator], Asked]
ASK: tuple[Ask, ...] = (_ask_number, _ask_number_of_colour, _ask_colour_of_largest, _ask_neighbour)


def _placed(asked: Asked, paper: Paper, rng: np.random.Generator) -> tuple[Thing, ...] | None:
    """The things with sizes and places. None if there was no room this time."""
    side = min(paper.width, paper.height)
    radii = _radii(asked, rng) * side
    gap = max(2.0, GAP * side)
    places: list[tuple[float, float, float]] = []  # x, y, radius
    for radius in radii:
        edge = radius + gap
        for _ in range(TRIES):
            x = float(rng.uniform(edge, paper.width - edge))
            y = float(rng.uniform(edge, paper.height - edge))
            if all(math.hypot(x - a, y - b) > radius + r + gap for a, b, r in places):
                break
        else:
            return None
        places.append((x, y, float(radius)))
    if asked.direction:
        axis, sign = DIRECTIONS[asked.direction]
        places.sort(key=lambda place: -sign * place[axis])
        first, second, third = (place[axis] * -sign for place in places[:3])
        if min(second - first, third - second) < APART * side:
            return None
    return tuple(
        replace(thing, x=x, y=y, radius=r, turn=float(rng.uniform(-TURN, TURN)))
        for thing, (x, y, r) in zip(asked.things, places, strict=True)
    )


def _radii(asked: Asked, rng: np.random.Generator) -> NDArray[np.float64]:
    """As shares of the picture's shorter side."""
    radii = rng.uniform(SMALLEST, LARGEST, len(asked.things))
    if asked.largest:
        radii[0] = rng.uniform(LARGE, LARGEST)
        alike = [thing.shape == asked.things[0].shape for thing in asked.things]
        alike[0] = False
        radii[alike] = rng.uniform(SMALLEST, SMALLER * radii[0], sum(alike))
    return radii


def _shuffled(values: Sequence[str], rng: np.random.Generator) -> list[str]:
    return [values[place] for place in rng.permutation(len(values))]


def _one(values: Sequence[str], rng: np.random.Generator) -> str:
    return values[int(rng.integers(len(values)))]
