"""What the filters know of an image: its size, its deviation and its hash.

The hash is pHash of the library imagehash: the signs of the 64 lowest frequencies of the grey
image. Images are strangers' files, and Pillow's parsers are C code. So they are decoded in a
process of its own, with limits (`stages.extract.sandbox`).
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from corpusmill.stages.extract import sandbox
from corpusmill.vision.pixels import ImageError, open_image
from PIL import Image

Arguments = tuple[bytes, int, float, float]  # of `measure`
_WARM_UP: Arguments = (b"P6 8 8 255\n" + bytes(range(192)), 1, 3.0, 1.0)  # a PPM image


def measure_all(arguments: Sequence[Arguments], seconds: float, memory_mb: int) -> list[Any]:
    """What `measure` returns for each image, within these limits. 0 seconds: without limits.

    An image that breaks a limit, or crashes Pillow, has the reason `image.timeout`, `image.memory`
    or `image.crashed`.
    """
    if seconds and sys.platform == "linux" and arguments:
        found = sandbox.shared(seconds, memory_mb).run(measure, arguments, _WARM_UP)
    else:
        found = sandbox.called(measure, arguments)
    for place, outcome in enumerate(found):
        if isinstance(outcome, sandbox.Stopped):
            found[place] = {"reason": f"image.{outcome.reason}", "detail": outcome.detail}
        elif isinstance(outcome, Exception):
            raise outcome
    return found


def measure(
    content: bytes, min_side: int, max_ratio: float, min_deviation: float
) -> dict[str, Any]:
    """`width`, `height` and `image_hash`, or the `reason` and `detail` of a dropped image."""
    try:
        picture = open_image(content)
    except ImageError as error:
        return {"reason": error.reason, "detail": error.detail}
    width, height = picture.size
    found: dict[str, Any] = {"width": width, "height": height}
    small, large = sorted(picture.size)
    deviation = float(np.asarray(picture.convert("L")).std())
    for reason, dropped, detail in (
        ("images.small", small < min_side, f"{width} x {height} pixels"),
        ("images.ratio", large > max_ratio * small, f"{width} x {height} pixels"),
        ("images.blank", deviation < min_deviation, f"deviation {deviation:.2f}"),
    ):
        if dropped:
            return {**found, "reason": reason, "detail": detail}
    return {**found, "image_hash": perceptual_hash(picture)}


def perceptual_hash(picture: Image.Image) -> int:
    """pHash as a number of 64 bits."""
    import imagehash

    return int(str(imagehash.phash(picture)), 16)
