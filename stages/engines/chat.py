"""The engine's tokenizer: chats as token ids, and where each token of a text begins.

The model's own chat template renders a chat (`stages.engines.chat_template`), and the whole is
tokenised, as in the model's training. Text from the web is not trusted. A page may spell the marks
that end a turn and begin another. Then it would end the prompt or answer it. So a space breaks such
spellings before rendering: special tokens, added tokens that look like marks, and the marks of the
template itself. A tokenizer that folds letters (wide ones, capitals) finds more of them, so the
text is looked at again as it reads it. A server that renders the chat may have another tokenizer.
For it, the marks of all usual templates count.
"""

import functools
import hashlib
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from corpusmill.manifests import finding, model_files
from corpusmill.manifests.errors import ModelError
from corpusmill.stages.engines import chat_template, reasoning
from corpusmill.stages.engines.chat_template import Chat, ChatTemplate
from corpusmill.stages.tokenizer import loaded as tokens

# Two shards of a worker may begin at once, and transformers' modules cannot be imported by two.
_loading = threading.Lock()
_MORE_TEMPLATES = "additional_chat_templates"  # where transformers keeps them
_MARK = re.compile(r"[<\[{|◁].*[>\]}|▷]", re.DOTALL)
_USUAL_MARKS = (
    r"<[|｜][^<>|｜\s]{1,40}[|｜]>|</?(?:start|end)_of_turn>|\[/?(?:INST|SYSTEM_PROMPT)\]"
    r"|<</?SYS>>|</?s>|<(?:bos|eos|pad)>"
)


@dataclass(frozen=True)
class ChatTokenizer:
    """name: as the recipe names it. digest: SHA-256 over its files. template: None for a base
    model. elsewhere: a server renders the chat, perhaps with another tokenizer.
    """

    name: str
    digest: str
    eos: int | None
    pad: int | None
    template: ChatTemplate | None
    _hugging_face: Any = field(repr=False, compare=False)
    _plain: tokens.LoadedTokenizer = field(repr=False, compare=False)
    elsewhere: bool = False

    def prompt_ids(self, chats: Sequence[Chat]) -> list[list[int]]:
        """The token ids of each chat, up to where the assistant's answer begins."""
        return self.rendered_ids([self.render(chat) for chat in chats])

    def rendered_ids(self, rendered: Sequence[str]) -> list[list[int]]:
        """The token ids of chats that are rendered."""
        if not rendered:
            return []
        encoded = self._hugging_face(list(rendered), add_special_tokens=False, verbose=False)
        # A base model's texts begin with bos. What the tokenizer puts after a text would end it.
        before = [] if self.template else _put_before(self._hugging_face)
        return [before + list(ids) for ids in encoded["input_ids"]]

    def text_ids(self, text: str) -> list[int]:
        """The token ids of a text to go on from. An empty text is the begin or the end token."""
        bare = self._hugging_face(text, add_special_tokens=False, verbose=False)["input_ids"]
        ids = _put_before(self._hugging_face) + list(bare)
        start = self._plain.bos if self._plain.bos is not None else self.eos
        return ids or ([] if start is None else [start])

    def render(self, chat: Chat) -> str:
        """The chat as the text that is tokenised.

        A base model has no chat template. Then the turns follow one another with blank lines
        between. Raises ModelError if the template refuses the chat.
        """
        if self.template is None:
            return "".join(turn["content"] + "\n\n" for turn in chat)
        return self.template.render(chat)

    def messages(self, chat: Chat) -> list[dict[str, str]]:
        """The chat in turns that the model's template knows."""
        return self.template.messages(chat) if self.template else [dict(turn) for turn in chat]

    def defuse(self, text: str) -> str:
        """`text` with a space inside every spelling of a mark."""
        pattern = _marks(self._hugging_face, self.template, self.elsewhere)
        if pattern:
            text = pattern.sub(lambda found: found[0][0] + " " + found[0][1:], text)
        folded = _folded_marks(self._hugging_face)
        return self._without(folded, text) if folded else text

    def _without(self, marks: frozenset[int], text: str) -> str:
        """`text` with a space inside every spelling of which the tokenizer makes such a token. One
        that is a single letter stays. White space around a mark may belong to its token.
        """
        encoded = self._hugging_face(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        found = []
        for token, (start, end) in spans:
            spelled = text[start:end].strip()
            if token in marks and len(spelled) > 1:
                found.append(text.index(spelled, start) + 1)
        pieces = [text[start:end] for start, end in pairwise([0, *found, len(text)])]
        return " ".join(pieces)

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text by itself."""
        return self._plain.count(texts)

    def starts(self, text: str) -> list[int]:
        """The character at which each token of `text` begins, ascending."""
        encoded = self._hugging_face(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [start for start, _ in encoded["offset_mapping"]]

    @property
    def marks_reasoning(self) -> bool:
        """Whether special tokens begin or end reasoning."""
        return bool(_reasoning_ids(self._hugging_face))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, without special tokens, but with those that mark reasoning."""
        kept = _reasoning_ids(self._hugging_face)
        if kept.isdisjoint(ids):
            return self._decoded(ids)
        special = set(self._hugging_face.all_special_ids) - kept
        return self._decoded([token for token in ids if token not in special], skip=False)

    def _decoded(self, ids: Sequence[int], skip: bool = True) -> str:
        return str(
            self._hugging_face.decode(
                list(ids), skip_special_tokens=skip, clean_up_tokenization_spaces=False
            )
        )


def load(name: str, template_arguments: Mapping[str, Any] | None = None) -> ChatTokenizer:
    """The tokenizer of the model in folder `name`, or of that name on the hub.

    Raises ModelError if it cannot be loaded, does not tell where its tokens begin, or has a chat
    template that cannot be used.
    """
    with _loading:
        return _load(name, template_arguments or {})


def _load(name: str, template_arguments: Mapping[str, Any]) -> ChatTokenizer:
    plain = tokens.load(name)
    digest = _digest(plain)
    hugging_face = _loaded(plain.folder, digest)
    if not hugging_face.is_fast:
        raise ModelError(
            f"the tokenizer {name} does not tell where its tokens begin, so no text can be cut",
            "use one with a tokenizer.json",
        )
    return ChatTokenizer(
        name=name,
        digest=digest,
        eos=plain.eos,
        pad=plain.pad,
        template=chat_template.checked(name, hugging_face, template_arguments)
        if hugging_face.chat_template
        else None,
        _hugging_face=hugging_face,
        _plain=plain,
    )


def _digest(plain: tokens.LoadedTokenizer) -> str:
    """Of the tokenizer's files and of the chat templates beside the first."""
    names = finding.names_in(os.path.join(plain.folder, _MORE_TEMPLATES))
    if not names:
        return plain.digest
    more = [os.path.join(_MORE_TEMPLATES, name) for name in sorted(names)]
    return hashlib.sha256(
        (plain.digest + model_files.listing(plain.folder, more)).encode()
    ).hexdigest()


@functools.lru_cache(maxsize=4)
def _loaded(folder: str, digest: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@functools.lru_cache(maxsize=4)
def _put_before(hugging_face: Any) -> list[int]:
    """What the tokenizer puts before a text, such as bos."""
    bare = list(hugging_face("a", add_special_tokens=False)["input_ids"])
    whole = list(hugging_face("a")["input_ids"])
    place = next(
        (place for place in range(len(whole)) if whole[place : place + len(bare)] == bare), 0
    )
    return whole[:place]


@functools.lru_cache(maxsize=4)
def _marks(hugging_face: Any, template: ChatTemplate | None, usual: bool) -> re.Pattern[str] | None:
    """Matches marks. One character cannot be broken, so such tokens are left alone.

    usual: also those of all usual templates.
    """
    spelled = {str(token) for token in hugging_face.all_special_tokens}
    for token in getattr(hugging_face, "added_tokens_decoder", {}).values():
        if token.special or _MARK.fullmatch(str(token)):
            spelled.add(str(token))
    if template is not None:
        spelled |= template.markers()
    longest_first = sorted((token for token in spelled if len(token) > 1), key=len, reverse=True)
    alternatives = [*map(re.escape, longest_first), *([_USUAL_MARKS] if usual else [])]
    return re.compile("|".join(alternatives)) if alternatives else None


@functools.lru_cache(maxsize=4)
def _folded_marks(hugging_face: Any) -> frozenset[int]:
    """Marks that the tokenizer looks for after it has folded letters. Empty: it folds none."""
    if hugging_face.backend_tokenizer.normalizer is None:
        return frozenset()
    added = hugging_face.added_tokens_decoder.items()
    return frozenset(
        number
        for number, token in added
        if token.normalized and (token.special or _MARK.fullmatch(str(token)))
    )


@functools.lru_cache(maxsize=4)
def _reasoning_ids(hugging_face: Any) -> frozenset[int]:
    """Special tokens that begin or end reasoning."""
    return frozenset(
        number
        for number, token in zip(
            hugging_face.all_special_ids, hugging_face.all_special_tokens, strict=True
        )
        if reasoning.marks(str(token))
    )
