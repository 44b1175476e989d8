"""The engine's tokenizer: chats as token ids, and where each token of a text begins.

The model's own chat template renders a chat, and the whole is tokenised, as in the model's
training. Text from the web is not trusted. A page may spell a special token of the tokenizer.
That must not end the prompt or open another turn, so a space breaks such spellings before
rendering.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpusmill.manifests.errors import ModelError
from corpusmill.stages.tokenizer import loaded as tokens


@dataclass(frozen=True)
class ChatTokenizer:
    """name: as the recipe names it. digest: SHA-256 over its files. template_arguments: extra
    variables of the chat template.
    """

    name: str
    digest: str
    eos: int | None
    pad: int | None
    template_arguments: tuple[tuple[str, Any], ...]
    _hugging_face: Any = field(repr=False, compare=False)
    _plain: tokens.LoadedTokenizer = field(repr=False, compare=False)

    def prompt_ids(self, chats: Sequence[Sequence[Mapping[str, str]]]) -> list[list[int]]:
        """The token ids of each chat, up to where the assistant's answer begins."""
        if not chats:
            return []
        rendered = [self.render(chat) for chat in chats]
        has_template = bool(self._hugging_face.chat_template)
        encoded = self._hugging_face(rendered, add_special_tokens=not has_template, verbose=False)
        return [list(ids) for ids in encoded["input_ids"]]

    def text_ids(self, text: str) -> list[int]:
        """The token ids of a text to go on from. An empty text is the begin or the end token."""
        ids: list[int] = self._hugging_face(text, verbose=False)["input_ids"]
        start = self._plain.bos if self._plain.bos is not None else self.eos
        return list(ids) or ([] if start is None else [start])

    def render(self, chat: Sequence[Mapping[str, str]]) -> str:
        """The chat as the text that is tokenised.

        A base model has no chat template. Then the turns follow one another with blank lines
        between. Raises ModelError if the template refuses the chat.
        """
        from jinja2 import TemplateError

        if not self._hugging_face.chat_template:
            return "".join(turn["content"] + "\n\n" for turn in chat)
        try:
            return str(
                self._hugging_face.apply_chat_template(
                    [dict(turn) for turn in chat],
                    tokenize=False,
                    add_generation_prompt=True,
                    **dict(self.template_arguments),
                )
            )
        except TemplateError as error:
            raise ModelError(
                f"the chat template of {self.name} refuses the prompt ({error})",
                "models that know no system turn want a prompt file without `system:`; "
                "or set engine.template_arguments",
            ) from error

    def defuse(self, text: str) -> str:
        """`text` with a space inside every spelling of a special token."""
        pattern = _special_tokens(self._hugging_face)
        return (
            pattern.sub(lambda found: found[0][0] + " " + found[0][1:], text) if pattern else text
        )

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text by itself."""
        return self._plain.count(texts)

    def starts(self, text: str) -> list[int]:
        """The character at which each token of `text` begins, ascending.

        Raises ModelError if the tokenizer cannot tell.
        """
        if not self._hugging_face.is_fast:
            raise ModelError(
                f"the tokenizer {self.name} does not tell where its tokens begin",
                "use one with a tokenizer.json",
            )
        encoded = self._hugging_face(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [start for start, _ in encoded["offset_mapping"]]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, without special tokens."""
        return str(
            self._hugging_face.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


def load(name: str, template_arguments: Mapping[str, Any] | None = None) -> ChatTokenizer:
    """The tokenizer of the model in folder `name`, or of that name on the hub.

    Raises ModelError if it cannot be loaded.
    """
    plain = tokens.load(name)
    return ChatTokenizer(
        name=name,
        digest=plain.digest,
        eos=plain.eos,
        pad=plain.pad,
        template_arguments=tuple(sorted((template_arguments or {}).items())),
        _hugging_face=_loaded(plain.folder, plain.digest),
        _plain=plain,
    )


@functools.lru_cache(maxsize=4)
def _loaded(folder: str, digest: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@functools.lru_cache(maxsize=4)
def _special_tokens(hugging_face: Any) -> re.Pattern[str] | None:
    """Matches special tokens. One-character tokens cannot be broken, so they are left alone."""
    spelled = {str(token) for token in hugging_face.all_special_tokens}
    spelled |= {
        str(token)
        for token in getattr(hugging_face, "added_tokens_decoder", {}).values()
        if token.special
    }
    longest_first = sorted((token for token in spelled if len(token) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
