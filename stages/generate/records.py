"""Prompts of `corpusmill generate`: one text, or a JSON record a line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests.errors import InputError, ModelError
from corpusmill.manifests.schema import seed_for
from corpusmill.stages.engines.chat import ChatTokenizer
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

SEEDS = 2**31
_WANTED = 'write a JSON object a line, such as {"prompt": "Once"} or {"messages": [...]}'


class Turn(BaseModel):
    """A message of a chat. A template may read further fields."""

    model_config = ConfigDict(frozen=True, extra="allow")

    role: str
    content: str


class Record(BaseModel):
    """A prompt, and how it is answered. Fields that a line does not have come from the command
    line. prompt, text: a text to go on from, by either name. messages: a chat.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: str | None = None
    text: str | None = None
    messages: tuple[Turn, ...] | None = Field(default=None, min_length=1)
    max_tokens: PositiveInt = 256
    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: NonNegativeInt = 0
    seed: int = 0
    stop: tuple[str, ...] = ()

    @property
    def turns(self) -> list[dict[str, Any]] | None:
        """The messages as a template takes them."""
        return None if self.messages is None else [turn.model_dump() for turn in self.messages]

    def seed_of(self, sample: int) -> int:
        """It follows from the prompt, so an answer does not depend on the record's line."""
        prompt = json.dumps([self.prompt, self.text, self.turns])
        return seed_for("generate", prompt, self.seed, sample) % SEEDS


@dataclass(frozen=True)
class Asked:
    """source: the line's own fields. ids: the prompt's tokens."""

    source: Mapping[str, Any]
    record: Record
    ids: tuple[int, ...]


def asked(record: Record, source: Mapping[str, Any], chat: bool, tokenizer: ChatTokenizer) -> Asked:
    """A record's prompt as tokens. chat: a text is a user's turn in the model's chat template."""
    _refuse_half_characters([source, record.stop])
    text = record.text if record.prompt is None else record.prompt
    turns = record.turns
    if turns is None and text is not None and chat:
        turns = [{"role": "user", "content": tokenizer.defuse(text)}]
    if turns is None and text is None:
        raise InputError("there is no prompt", "give `prompt`, `text` or `messages`")
    try:
        ids = tokenizer.text_ids(text or "") if turns is None else tokenizer.prompt_ids([turns])[0]
    except ModelError as error:
        raise InputError(error.what, "change the chat, or name another --tokenizer") from error
    if not ids:
        raise InputError("the prompt is empty", "this tokenizer needs at least a word")
    return Asked(source, record, tuple(ids))


def _refuse_half_characters(texts: Any) -> None:
    """Half of a UTF-16 pair (JSON's \\ud800), or a byte of the command line that is not UTF-8."""
    try:
        json.dumps(texts, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ord(error.object[error.start])
        raise InputError(f"the text has half of a character (U+{half:04X})", "mend it") from error


def asked_by_lines(
    name: str, lines: Iterable[str], defaults: Record, chat: bool, tokenizer: ChatTokenizer
) -> Iterator[Asked]:
    """A prompt for each line of JSON; empty lines count for none. Raises InputError, which names
    the line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            source = json.loads(line)
            if not isinstance(source, dict):
                raise InputError(f"{line.strip()[:40]!r} is no object", _WANTED)
            record = Record.model_validate({**defaults.model_dump(), **source})
            yield asked(record, source, chat, tokenizer)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise InputError(f"{name}, line {number}: {field}: {first['msg']}", _WANTED) from error
        except json.JSONDecodeError as error:
            raise InputError(f"{name}, line {number} is not JSON ({error})", _WANTED) from error
        except InputError as error:
            raise InputError(f"{name}, line {number}: {error.what}", error.mend) from error
