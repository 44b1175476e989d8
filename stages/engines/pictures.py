"""Images in requests: a part of a message's content, as the OpenAI protocol writes it."""

import base64
from collections.abc import Mapping
from typing import Any

from corpusmill.stages.engines.contract import Request

_PREFIX = "data:image/png;base64,"
# A white image with a black bar, 64 x 64 pixels.
_HARMLESS = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxzAAAAIElEQVR42mP8zwABTAwjjsHCwMDIwMDwn1JzGEdwGAIA"
    "B+EDf5V5Uh4AAAAASUVORK5CYII="
)


def picture_part(png: bytes) -> dict[str, Any]:
    """A PNG file as a part of a message's content."""
    url = _PREFIX + base64.b64encode(png).decode("ascii")
    return {"type": "image_url", "image_url": {"url": url}}


def picture_of(request: Request) -> bytes:
    """The PNG file in a request. There must be one."""
    part = next(part for part in _parts(request) if part["type"] == "image_url")
    return base64.b64decode(part["image_url"]["url"].removeprefix(_PREFIX))


def words_of(request: Request) -> str:
    """The text of a request, without its images."""
    contents = [message["content"] for message in request.messages]
    plain = [content for content in contents if isinstance(content, str)]
    return "\n".join([*plain, *(part["text"] for part in _parts(request) if "text" in part)])


def picture_size(request: Request) -> int:
    """Characters of the images in a request."""
    return sum(len(part["image_url"]["url"]) for part in _parts(request) if "image_url" in part)


def harmless_content(request: Request) -> str | list[dict[str, Any]]:
    """The content of a short request of the same kind, with an image or without."""
    if not _parts(request):
        return "Hello"
    return [picture_part(_HARMLESS), {"type": "text", "text": "Hello"}]


def _parts(request: Request) -> list[Mapping[str, Any]]:
    contents = (message["content"] for message in request.messages)
    return [part for content in contents if isinstance(content, list) for part in content]
