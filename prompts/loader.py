"""Prompt files: YAML front matter and a template, read into a typed `Prompt`.

    ---
    name: rephrase
    limits: {max_input_tokens: 512, max_output_tokens: 512}
    postfilters: [refusal, {lead_in: {required: false}}]
    ---
    Rewrite this text. {document}

A prompt decides what is asked and what is kept of the answer: wording, limits, sampling, and
post-filters by name. `stages.synthesize.postfilters` holds the post-filters. To swap a prompt,
name another file in the recipe. Every row holds the hash of its prompt file.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.config import config
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.package_data import package_file

PLACEHOLDER = "{document}"
_FENCE = "---"


@config
class Limits:
    """All in tokens of the engine's own tokenizer. max_input_tokens: system text, template, chat markup and segment together.
    min_output_tokens: of the finished row, after the post-filters (and after joining, for prompts that join segments)."""

    max_input_tokens: int
    max_output_tokens: int
    min_document_tokens: int = 0
    min_segment_tokens: int = 0
    min_output_tokens: int = 0


@config
class Sampling:
    """Nemotron-CC section 2.3: temperature 0.5, top-p 0.9."""

    temperature: float = 0.5
    top_p: float = 0.9


@config
class Prompt:
    """lead_in: the line that the answer is to begin with (empty: none). join_segments: whether the answers for a document's segments
    become one row. postfilters: (name, arguments) in order. digest: SHA-256 of the file. path: where it was read from."""

    name: str
    template: str
    limits: Limits
    digest: str
    path: str
    purpose: str = ""
    source: str = ""
    sampling: Sampling = Sampling()
    lead_in: str = ""
    join_segments: bool = False
    system: str = ""
    stop: tuple[str, ...] = ()
    postfilters: tuple[tuple[str, dict[str, Any]], ...] = ()

    def messages(self, document: str) -> list[dict[str, str]]:
        """The chat that asks for one answer about `document`. Braces in the document stay as
        they are.
        """
        turns = [{"role": "system", "content": self.system}] if self.system else []
        return [*turns, {"role": "user", "content": self.template.replace(PLACEHOLDER, document)}]


def shipped() -> list[str]:
    """Names of the prompts that come with corpusmill."""
    names = (entry.name for entry in package_file("prompts").iterdir())
    return sorted(name.removesuffix(".md") for name in names if name.endswith(".md"))


def load(name_or_path: str) -> Prompt:
    """The shipped prompt of that name, or the prompt file at that path or fsspec URL.

    A name with a slash, or one that ends in `.md`, is a path. Raises RecipeError, which names
    the file and the mend.
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
    from pydantic import TypeAdapter, ValidationError

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is not UTF-8 ({error.reason})", "save it as UTF-8") from error
    settings, template = _front_matter(path, text)
    if template.count(PLACEHOLDER) != 1:
        raise RecipeError(
            f"{path}: the template has {template.count(PLACEHOLDER)} {PLACEHOLDER} placeholders",
            f"write {PLACEHOLDER} exactly once, where the segment goes",
        )
    known = {field.name for field in dataclasses.fields(Prompt)} - {"template", "digest", "path"}
    for key in settings:
        if key not in known:
            mend = nearest(str(key), sorted(known), "known keys")
            raise RecipeError(f"{path}: unknown front-matter key {key!r}", mend)
    try:
        prompt = TypeAdapter(Prompt).validate_python(
            {
                **settings,
                "postfilters": _postfilters(path, settings.get("postfilters", [])),
                "template": template,
                "digest": hashlib.sha256(data).hexdigest(),
                "path": path,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"{path}: {key}: {first['msg']}", "mend the front matter") from error
    _check_values(prompt)
    return prompt


def _front_matter(path: str, text: str) -> tuple[dict[str, Any], str]:
    from corpusmill.manifests.yaml_text import parse_yaml

    lines = text.splitlines()
    if (
        not lines
        or lines[0].strip() != _FENCE
        or _FENCE not in (line.strip() for line in lines[1:])
    ):
        raise RecipeError(
            f"{path} has no front matter", "begin it with `---`, the settings as YAML, and `---`"
        )
    end = next(number for number, line in enumerate(lines) if number and line.strip() == _FENCE)
    try:
        settings = parse_yaml("\n".join(lines[1:end]))
    except ValueError as error:
        raise RecipeError(
            f"{path}: the front matter is not readable YAML ({error})", "mend it"
        ) from error
    if not isinstance(settings, Mapping):
        raise RecipeError(f"{path}: the front matter is no mapping", "write `key: value` lines")
    return dict(settings), "\n".join(lines[end + 1 :]).strip()


def _postfilters(path: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    """`[refusal, {lead_in: {required: false}}]` as (name, arguments) pairs."""
    if not isinstance(value, list):
        raise RecipeError(f"{path}: postfilters must be a list", "write one `- name` a line")
    calls: list[tuple[str, dict[str, Any]]] = []
    for item in value:
        if isinstance(item, str):
            calls.append((item, {}))
        elif (
            isinstance(item, Mapping)
            and len(item) == 1
            and isinstance(next(iter(item.values())) or {}, Mapping)
        ):
            name, arguments = next(iter(item.items()))
            calls.append((str(name), dict(arguments or {})))
        else:
            raise RecipeError(
                f"{path}: post-filter {item!r} cannot be read",
                "write `- name` or `- name: {key: value}`",
            )
    return calls


def _check_values(prompt: Prompt) -> None:
    limits, sampling = prompt.limits, prompt.sampling
    for key in ("max_input_tokens", "max_output_tokens"):
        if getattr(limits, key) < 1:
            raise RecipeError(
                f"{prompt.path}: limits.{key} must be at least 1", "give a number of tokens"
            )
    if not 0 <= sampling.temperature <= 2 or not 0 < sampling.top_p <= 1:
        raise RecipeError(
            f"{prompt.path}: temperature must be from 0 to 2 and top_p above 0 up to 1",
            "mend `sampling:`",
        )
