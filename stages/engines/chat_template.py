"""A model's own chat template, checked before it is used: does the prompt say what it should?

Templates differ in what they take. Some want the content as a list of parts, some know no system
turn and drop it or refuse it, some forget the beginning of the answer. A template that is given
what it does not expect often renders something, without the document in it. So a chat of known
words is rendered first, in the forms that templates want, until all words are there.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from corpusmill.manifests.errors import ModelError

Chat = Sequence[Mapping[str, str]]

_SYSTEM, _DOCUMENT, _ANSWER = "Qzsystemwords", "Qzdocumentwords", "Qzanswerwords"
_PROBE = ({"role": "system", "content": _SYSTEM}, {"role": "user", "content": _DOCUMENT})
# Some templates write today's date into the prompt. Then a run would differ from day to day.
_CLOCK = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_DAY = datetime(2025, 1, 1)
_THINKING = re.compile(r"<think>\s*(?:</think>\s*)?")
# A word of the template that stands between texts of a chat, such as [/INST] or <|user|>.
_MARKER = re.compile(r"\S*[<\[{|]\S*[>\]}|]\S*")


@dataclass(frozen=True)
class ChatTemplate:
    """name: of the tokenizer. arguments: variables of the template, as JSON. parts: it wants the
    content as a list. joined: it knows no system turn, so that text goes before the user's.
    """

    name: str
    arguments: str
    _hugging_face: Any = field(repr=False, compare=False)
    parts: bool = False
    joined: bool = False

    def messages(self, chat: Chat) -> list[dict[str, str]]:
        """The chat in turns that the template knows. Servers that render it get these too."""
        turns = [dict(turn) for turn in chat]
        if self.joined and len(turns) > 1 and turns[0]["role"] == "system":
            first, second = turns[0]["content"], turns[1]["content"]
            turns[:2] = [{**turns[1], "content": f"{first}\n\n{second}"}]
        return turns

    def render(self, chat: Chat, begins_answer: bool = True) -> str:
        """The chat as text, up to where the answer begins. Raises ModelError if it is refused."""
        try:
            return self._render(chat, begins_answer)
        except _template_errors() as error:
            raise self._refused(error) from error

    def markers(self) -> set[str]:
        """The words of the template itself, around the texts of a chat, that mark a turn."""
        rendered = self._render(_PROBE, True)
        for words in (_SYSTEM, _DOCUMENT):
            rendered = rendered.replace(words, " ")
        return set(_MARKER.findall(rendered))

    def _render(self, chat: Chat, begins_answer: bool) -> str:
        turns: list[dict[str, Any]] = [*self.messages(chat)]
        if self.parts:
            turns = [
                {**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns
            ]
        arguments = json.loads(self.arguments)
        source = self._hugging_face.get_chat_template(arguments.pop("chat_template", None))
        return str(
            self._hugging_face.apply_chat_template(
                turns,
                tokenize=False,
                chat_template=_CLOCK.sub(_fixed_day, source),
                add_generation_prompt=begins_answer,
                **arguments,
            )
        )

    def _refused(self, error: Exception) -> ModelError:
        if isinstance(error, ValueError) and "multiple chat templates" in str(error):
            names = ", ".join(sorted(self._hugging_face.chat_template))
            return ModelError(
                f"{self.name} has several chat templates ({names}) and none of them is the default",
                "choose one: engine.template_arguments: {chat_template: NAME}",
            )
        return ModelError(
            f"the chat template of {self.name} refuses the prompt ({' '.join(str(error).split())})",
            "set engine.template_arguments, or use another tokenizer folder",
        )


def checked(name: str, hugging_face: Any, arguments: Mapping[str, Any]) -> ChatTemplate:
    """The template of a tokenizer, in the form in which it renders whole prompts.

    Raises ModelError if it does so in none.
    """
    given = json.dumps(dict(arguments), sort_keys=True)
    refusal: Exception | None = None
    for parts, joined in ((False, False), (True, False), (False, True), (True, True)):
        template = ChatTemplate(name, given, hugging_face, parts, joined)
        try:
            rendered = template._render(_PROBE, True)
        except _template_errors() as error:
            refusal = refusal or error
            continue
        if rendered.count(_DOCUMENT) == 1 and _SYSTEM in rendered:
            _check_end(template, rendered)
            return template
    if refusal is not None:
        raise template._refused(refusal) from refusal
    raise ModelError(
        f"the chat template of {name} leaves the document out of the prompt",
        "set engine.template_arguments, or use a tokenizer folder with another chat template",
    )


def _check_end(template: ChatTemplate, rendered: str) -> None:
    """Raises ModelError if the prompt ends before the place where an answer begins.

    It is fine if the template writes more when an answer is to begin. Else the prompt must end
    with what stands before an answer in the training format.
    """
    if rendered != template._render(_PROBE, False):
        return
    try:
        whole = template._render((*_PROBE, {"role": "assistant", "content": _ANSWER}), False)
    except _template_errors():
        return  # it takes no answers, so it does not say what stands before one
    before = _THINKING.sub("", whole.partition(_DOCUMENT)[2].partition(_ANSWER)[0]).strip()
    if _ANSWER in whole and not rendered.rpartition(_DOCUMENT)[2].strip().startswith(before):
        raise ModelError(
            f"the chat template of {template.name} does not begin the answer: {before!r} is missing"
            " at the end of the prompt",
            "use a tokenizer folder whose template knows add_generation_prompt",
        )


def _fixed_day(call: re.Match[str]) -> str:
    return json.dumps(_DAY.strftime(call[2]))


def _template_errors() -> tuple[type[Exception], ...]:
    """What templates raise when they are given what they do not expect."""
    from jinja2 import TemplateError

    return (TemplateError, TypeError, ValueError, KeyError, AttributeError)
