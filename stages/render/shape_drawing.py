"""The picture of a scene of shapes, in colour."""

import math
from collections.abc import Iterator

import numpy as np
from corpusmill.stages.render.look import Look, Paper, image_file
from corpusmill.stages.render.shapes import Scene, Thing
from PIL import Image, ImageDraw, ImageFilter

FINER = 2  # shapes are drawn so many times as large, so that their edges are smooth
# Red, green and blue, which every colour leaves by at most `SHADE`.
LEVELS = {
    "red": (215, 40, 40),
    "green": (40, 155, 65),
    "blue": (50, 95, 220),
    "yellow": (240, 200, 30),
    "purple": (150, 60, 175),
}
SHADE = 15
STAR = 0.42  # radius of a star's inner corners
ARM = 0.34  # half the width of a cross's arms

Points = list[tuple[float, float]]


def picture(scene: Scene, look: Look, paper: Paper) -> bytes:
    """The scene as a JPEG or PNG file in colour, with the look's ground, blur and grain.

    It is not rotated: what lies left of a shape stays there.
    """
    rng = np.random.default_rng(look.noise_seed)
    size = (FINER * paper.width, FINER * paper.height)
    page = Image.new("RGB", size, (look.ground,) * 3)
    pen = ImageDraw.Draw(page)
    for thing in scene.things:
        shades = rng.integers(-SHADE, SHADE + 1, 3)
        red, green, blue = (
            min(255, max(0, level + int(shade)))
            for level, shade in zip(LEVELS[thing.colour], shades, strict=True)
        )
        _draw(pen, thing, (red, green, blue))
    page = page.reduce(FINER)
    if look.blur:
        page = page.filter(ImageFilter.GaussianBlur(look.blur))
    if look.noise:
        grain = rng.standard_normal((paper.height, paper.width, 1), dtype=np.float32)
        levels = np.asarray(page) + np.float32(look.noise) * grain
        page = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    return image_file(page, look)


def _draw(pen: ImageDraw.ImageDraw, thing: Thing, colour: tuple[int, int, int]) -> None:
    x, y, radius = FINER * thing.x, FINER * thing.y, FINER * thing.radius
    if thing.shape == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return
    turn = math.radians(thing.turn)
    cosine, sine = radius * math.cos(turn), radius * math.sin(turn)
    pen.polygon(
        [(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in _corners(thing.shape)],
        fill=colour,
    )


def _corners(shape: str) -> Points:
    """On a circle of radius 1 around (0, 0), with y downwards."""
    if shape == "square":
        return list(_around(4, 45))
    if shape == "triangle":
        return list(_around(3, -90))
    if shape == "star":
        outer, inner = _around(5, -90), _around(5, -54)
        return [
            corner
            for (a, b), (c, d) in zip(outer, inner, strict=True)
            for corner in ((a, b), (STAR * c, STAR * d))
        ]
    end = math.sqrt(1 - ARM**2)  # a cross
    quarter = [(ARM, -end), (ARM, -ARM), (end, -ARM)]
    points: Points = []
    for _ in range(4):
        points += quarter
        quarter = [(-b, a) for a, b in quarter]
    return points


def _around(count: int, first: float) -> Iterator[tuple[float, float]]:
    """Points on the circle, the first one at an angle in degrees."""
    for number in range(count):
        angle = math.radians(first + 360 * number / count)
        yield math.cos(angle), math.sin(angle)
