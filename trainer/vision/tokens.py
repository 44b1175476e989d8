"""The tokens that mark an image in text, and a tokenizer that knows them.

The marks are those of InternVL, because stock processors look for them. Text from documents must
not forge them: `defused` takes them out of it.
"""

import json
import shutil
from pathlib import Path

from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.model_files import TOKENIZER_FILES

BEGIN, END, PLACE, VIDEO = "<img>", "</img>", "<IMG_CONTEXT>", "<video>"
# By the names under which a stock processor asks its tokenizer for them.
NAMED = {
    "start_image_token": BEGIN,
    "end_image_token": END,
    "context_image_token": PLACE,
    "video_token": VIDEO,
}
# How a conversation with images becomes text. The processor puts an image's tokens at PLACE.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + PLACE + "\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if not loop.last or add_generation_prompt %}\n{% endif %}"
    "{% endfor %}"
)


def with_image_tokens(folder: Path, output: Path) -> int:
    """Copy a tokenizer folder into `output`, with the tokens of images added.

    Returns the id of the token that holds an image token's place. Raises ModelError if the folder
    has no tokenizer.json.
    """
    from tokenizers import AddedToken, Tokenizer

    source = folder / "tokenizer.json"
    if not source.exists():
        raise ModelError(
            f"{folder} holds no tokenizer.json", "give the tokenizer folder that pack used"
        )
    output.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if (folder / name).exists():
            shutil.copyfile(folder / name, output / name)
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in NAMED.values()]
    )
    tokenizer.save(str(output / "tokenizer.json"))
    settings_file = output / "tokenizer_config.json"
    settings = json.loads(settings_file.read_text("utf-8")) if settings_file.exists() else {}
    settings["extra_special_tokens"] = NAMED
    settings.setdefault("chat_template", CHAT_TEMPLATE)
    settings.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
    settings_file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")
    place = tokenizer.token_to_id(PLACE)
    assert isinstance(place, int)
    return place


def defused(text: str) -> str:
    """The text without marks that would stand for an image."""
    for mark in NAMED.values():
        if mark in text:
            text = text.replace(mark, mark.replace("<", "< "))
    return text
