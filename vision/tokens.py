"""The tokens that mark an image in text, and a tokenizer that knows them.

The marks are those of InternVL, because stock processors look for them. Text of documents cannot
forge them: packing reads special tokens in text as the letters that they are.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from corpusmill.manifests.errors import ModelError
from corpusmill.vision.config import Tiling
from corpusmill.vision.tiling import Grid, tags

BEGIN, END, PLACE, VIDEO = "<img>", "</img>", "<IMG_CONTEXT>", "<video>"
# By the names under which a stock processor asks its tokenizer for them.
NAMED = {
    "start_image_token": BEGIN,
    "end_image_token": END,
    "context_image_token": PLACE,
    "video_token": VIDEO,
}
TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"
# How a conversation with images becomes text. The processor puts an image's tokens at PLACE.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + PLACE + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% endfor %}"
)


@dataclass(frozen=True)
class ImageTokens:
    """Ids of the marks. place: stands once for each token of a tile."""

    begin: int
    end: int
    place: int

    def around(self, grid: Grid, tiling: Tiling, encode: Callable[[str], list[int]]) -> list[int]:
        """The token ids of an image on this grid. encode: of the tokenizer, for the tags."""
        tile = [self.place] * tiling.tokens_per_tile
        ids = [self.begin]
        for tag in tags(grid):
            ids += (encode(tag) if tiling.tile_tags else []) + tile
        return [*ids, self.end]


def with_image_tokens(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], ImageTokens]:
    """A tokenizer's files with the marks of images added, and their ids.

    A mark that is there already keeps its id. Raises ModelError if there is no tokenizer.json.
    """
    from tokenizers import AddedToken, Tokenizer

    if TOKENIZER not in files:
        raise ModelError(
            f"the tokenizer has no {TOKENIZER}", "give the tokenizer folder that pack wrote"
        )
    tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in NAMED.values()]
    )
    settings = json.loads(files.get(SETTINGS, b"{}"))
    settings["extra_special_tokens"] = NAMED
    settings["chat_template"] = settings.get("chat_template") or CHAT_TEMPLATE
    settings.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
    ids = tokenizer.get_vocab(with_added_tokens=True)
    changed = {
        TOKENIZER: tokenizer.to_str(pretty=True).encode(),
        SETTINGS: (json.dumps(settings, indent=2, sort_keys=True) + "\n").encode(),
    }
    return {**files, **changed}, ImageTokens(ids[BEGIN], ids[END], ids[PLACE])
