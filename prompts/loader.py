"""Prompt files: YAML front matter and a template, read into a typed `Prompt`.

    ---
    name: rephrase
    limits: {max_input_tokens: 512, max_output_tokens: 512}
    postfilters: [refusal, {lead_in: {required: false}}]
    ---
    Rewrite this text. {document}

A prompt decides what is asked and what is kept of the answer. It holds wording, limits, sampling,
and the names of post-filters. `stages.synthesize.postfilters` holds the post-filters. To swap a
prompt, name another file in the recipe. Every row holds the hash of its prompt file.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.package_data import package_file
from corpusmill.manifests.settings import Settings, build_settings
from corpusmill.prompts.properties import Property, check_names, object_schema
from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

PLACEHOLDER = "{document}"
LINKED_PLACEHOLDER = "{linked}"
_FENCE = "---"
# Around a document that stands before its instruction. The same words for all prompts, so that they
# share what an engine reads of a document.
_BEFORE, _AFTER, _REFERENCE = "The text:", "(End of the text.)", "(the text above)"
_BEFORE_LINKED, _AFTER_LINKED = "The linked text:", "(End of the linked text.)"
_REFERENCE_LINKED = "(the linked text above)"
_PLACES = re.compile(f"{re.escape(PLACEHOLDER)}|{re.escape(LINKED_PLACEHOLDER)}")
Order = Literal["instruction_first", "document_first"]


class NoFrontMatter(RecipeError):
    """The file is no prompt, but perhaps a README beside prompts."""


class Limits(Settings):
    """Lengths, all in tokens of the engine's own tokenizer."""

    max_input_tokens: PositiveInt
    """System text, template, chat markup and segment together."""
    max_output_tokens: PositiveInt
    """The answer."""
    min_document_tokens: NonNegativeInt = 0
    """A shorter document is not asked about."""
    min_segment_tokens: NonNegativeInt = 0
    """A shorter segment is not asked about."""
    min_output_tokens: NonNegativeInt = 0
    """A shorter row is dropped. It counts after the post-filters, and after joining."""


class Sampling(Settings):
    """How the answer is drawn. Defaults: Nemotron-CC, section 2.3."""

    temperature: float = Field(default=0.5, ge=0, le=2)
    """0 takes the likeliest token."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    """Tokens are drawn from the likeliest ones that together have this probability."""


class Example(Settings):
    """An answer that a model may give, and what must become of it.

    Exactly one of `kept` and `dropped`.
    """

    passage: str
    """What was asked about."""
    linked: str = ""
    """The linked passage, of a prompt about two documents."""
    answer: str
    """What the model wrote."""
    kept: str | None = None
    """The text after the post-filters."""
    dropped: str | None = None
    """The reason code."""

    @model_validator(mode="after")
    def _ends_once(self) -> "Example":
        if (self.kept is None) == (self.dropped is None):
            raise RecipeError(
                "an example has both or neither of `kept` and `dropped`", "say what becomes of it"
            )
        return self


class FrontMatter(Settings):
    """What a prompt file says above its template."""

    name: str
    """Names the rows that the prompt makes."""
    purpose: str = ""
    """What the prompt is for."""
    source: str = ""
    """Where the wording comes from."""
    limits: Limits
    """Lengths in tokens."""
    sampling: Sampling = Sampling()
    """How the answer is drawn."""
    lead_in: str = ""
    """The line that the answer is to begin with. Empty: none."""
    join_segments: bool = False
    """Whether the answers for a document's segments become one row."""
    system: str = ""
    """The system text of the chat. Empty: none."""
    stop: tuple[str, ...] = ()
    """Texts at which the answer ends."""
    postfilters: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Post-filters in order, each `name` or `name: {argument: value}`."""
    scores: tuple[str, ...] = ()
    """Of a judge: the grades, 0 to 5, that its answer gives, each on a line `NAME: GRADE`."""
    properties: dict[str, Property] = {}
    """Of a rubric: what its answer, a JSON object, says of a document. Name -> allowed values."""
    examples: tuple[Example, ...] = ()
    """Good and bad answers. `corpusmill prompts test NAME` shows what becomes of them."""

    @field_validator("properties")
    @classmethod
    def _are_columns(cls, value: dict[str, Property]) -> dict[str, Property]:
        check_names(value)
        return value

    @field_validator("postfilters", mode="before")
    @classmethod
    def _calls(cls, value: Any) -> list[tuple[str, dict[str, Any]]]:
        if not isinstance(value, list | tuple):
            raise RecipeError("postfilters must be a list", "write one `- name` a line")
        return [item if isinstance(item, tuple) else _call(item) for item in value]


class Prompt(FrontMatter):
    """All that decides what is asked, and what is kept of the answer."""

    template: str
    """The request's text, with one {document} for the segment, and perhaps one {linked}."""
    digest: str
    """SHA-256 of the file."""
    path: str
    """Where the file was read from."""

    @property
    def instruction(self) -> str:
        """System text and template without the document."""
        return f"{self.system}\n{_PLACES.sub('', self.template)}"

    @property
    def about_two(self) -> bool:
        """Whether it asks about a document and one that it links to."""
        return LINKED_PLACEHOLDER in self.template

    @property
    def answer_schema(self) -> str:
        """The JSON Schema of the answer, as JSON. Empty: the answer is no JSON."""
        return json.dumps(object_schema(self.properties)) if self.properties else ""

    def messages(
        self, document: str, order: Order = "instruction_first", linked: str = ""
    ) -> list[dict[str, str]]:
        """The chat that asks for one answer about `document`. Braces in the document stay.

        document_first: the document comes first of all, the system text too stands behind it.
        linked: of a prompt about two, the other document.
        """
        if order == "document_first":
            parts = [_BEFORE, document, _AFTER]
            if self.about_two:
                parts += [_BEFORE_LINKED, linked, _AFTER_LINKED]
            parts += [self.system] if self.system else []
            parts.append(self._filled(_REFERENCE, _REFERENCE_LINKED))
            return [{"role": "user", "content": "\n\n".join(parts)}]
        turns = [{"role": "system", "content": self.system}] if self.system else []
        return [*turns, {"role": "user", "content": self._filled(document, linked)}]

    def _filled(self, document: str, linked: str) -> str:
        """The template with these texts in their places. Placeholders in the texts stay."""
        texts = {PLACEHOLDER: document, LINKED_PLACEHOLDER: linked}
        return _PLACES.sub(lambda place: texts[place[0]], self.template)


def shipped() -> list[str]:
    """Names of the prompts that come with corpusmill."""
    names = (entry.name for entry in package_file("prompts").iterdir())
    return sorted(name.removesuffix(".md") for name in names if name.endswith(".md"))


def load(name_or_path: str) -> Prompt:
    """The shipped prompt of that name, or the prompt file at that path or fsspec URL.

    A name with a slash, or one that ends in `.md`, is a path. Raises RecipeError, which names the
    file and says what to do.
    """
    if "/" in name_or_path or name_or_path.endswith(".md"):
        if not storage.exists(name_or_path):
            raise RecipeError(f"there is no prompt file {name_or_path}", "check the path")
        return _parse(name_or_path, storage.read_bytes(name_or_path))
    if name_or_path not in shipped():
        mend = nearest(name_or_path, shipped(), "give a path ending in .md, or one that is shipped")
        raise RecipeError(f"there is no prompt {name_or_path!r}", mend)
    entry = package_file("prompts", f"{name_or_path}.md")
    return _parse(f"prompts/{name_or_path}.md", entry.read_bytes())


def _parse(path: str, data: bytes) -> Prompt:
    try:
        text = data.decode("utf-8-sig")  # editors on Windows write a mark first
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 ({error.reason})", "save it as UTF-8") from error
    settings, template = _front_matter(path, text)
    if template.count(PLACEHOLDER) != 1:
        raise RecipeError(
            f"{path}: the template has {template.count(PLACEHOLDER)} {PLACEHOLDER} placeholders",
            f"write {PLACEHOLDER} exactly once, where the segment goes",
        )
    if template.count(LINKED_PLACEHOLDER) > 1:
        raise RecipeError(
            f"{path}: the template has {template.count(LINKED_PLACEHOLDER)} {LINKED_PLACEHOLDER} "
            "placeholders",
            f"write {LINKED_PLACEHOLDER} once, where the linked segment goes, or leave it out",
        )
    try:
        front = build_settings(FrontMatter, settings)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error.what}", error.mend) from error
    digest = hashlib.sha256(data).hexdigest()
    prompt = Prompt(**dict(front), template=template, digest=digest, path=path)
    _check_kind(prompt)
    return prompt


def _check_kind(prompt: Prompt) -> None:
    """Raises RecipeError for a prompt about two documents that cannot be one."""
    if prompt.about_two and (prompt.join_segments or prompt.scores or prompt.properties):
        raise RecipeError(
            f"{prompt.path} asks about two documents, and joins segments or grades texts",
            f"leave out {LINKED_PLACEHOLDER}, or join_segments, scores and properties",
        )
    if any(bool(example.linked) != prompt.about_two for example in prompt.examples):
        raise RecipeError(
            f"{prompt.path}: an example has `linked`, or has none, unlike the template",
            f"give every example a `linked` passage if the template has {LINKED_PLACEHOLDER}",
        )


def _front_matter(path: str, text: str) -> tuple[dict[str, Any], str]:
    from corpusmill.manifests.yaml_text import parse_yaml

    lines = text.splitlines()
    if (
        not lines
        or lines[0].strip() != _FENCE
        or _FENCE not in (line.strip() for line in lines[1:])
    ):
        raise NoFrontMatter(
            f"{path} has no front matter", "begin it with `---`, the settings as YAML, and `---`"
        )
    end = next(number for number, line in enumerate(lines) if number and line.strip() == _FENCE)
    try:
        settings = parse_yaml("\n".join(lines[1:end]))
    except ValueError as error:
        raise RecipeError(
            f"{path}: the front matter is not readable YAML ({error})", "correct it"
        ) from error
    if not isinstance(settings, Mapping):
        raise RecipeError(f"{path}: the front matter is not a mapping", "write `key: value` lines")
    return dict(settings), "\n".join(lines[end + 1 :]).strip()


def _call(item: Any) -> tuple[str, dict[str, Any]]:
    """`refusal` or `{lead_in: {required: false}}` as (name, arguments)."""
    if isinstance(item, str):
        return item, {}
    if isinstance(item, Mapping) and len(item) == 1:
        ((name, arguments),) = item.items()
        if isinstance(arguments or {}, Mapping):
            return str(name), dict(arguments or {})
    raise RecipeError(
        f"post-filter {item!r} cannot be read", "write `- name` or `- name: {key: value}`"
    )
