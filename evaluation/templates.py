"""Jinja templates and expressions of task files, over one row of data.

They run in Jinja's sandbox, so a task file from elsewhere reads a row and nothing else. A column
that is not there, or is null, is an error where it becomes text, is joined by `~` or goes into a
filter. Only `default` takes one. One filter is ours: `boxed` gives the content of a LaTeX text's
last box. `join` refuses null among the texts, too.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from corpusmill.evaluation.answers import last_boxed
from corpusmill.manifests.errors import RecipeError
from jinja2 import Environment, StrictUndefined, TemplateError, nodes, pass_environment
from jinja2.filters import make_attrgetter
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOT_NULL = "not_null"  # the filter that checks what others and `~` are given
TAKE_NULL = ("default", "d", NOT_NULL)


class BadItem(Exception):
    """A row that cannot become a question. The text says why."""


def text_of(value: Any) -> Any:
    """`value`, to be written as text. Raises BadItem if it is null."""
    if value is None:
        raise BadItem("a text is null")
    return value


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, where `~` and filters refuse null. Jinja's own write `None`, or take 0."""

    def _generate(self, source: nodes.Template, *others: Any, **settings: Any) -> str:
        filters = [node for node in source.find_all(nodes.Filter) if node.name not in TAKE_NULL]
        for joined in source.find_all(nodes.Concat):
            joined.nodes = [_not_null(part) for part in joined.nodes]
        for node in filters:
            if node.node is not None:  # a block has none
                node.node = _not_null(node.node)
        return super()._generate(source, *others, **settings)


def _not_null(node: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(node, NOT_NULL, [], [], None, None, lineno=node.lineno)


@pass_environment
def _joined(
    environment: Environment, texts: Iterable[Any], d: str = "", attribute: str | None = None
) -> str:
    """Jinja's `join`, but for nulls, of which it makes `None`. d: what stands between."""
    if attribute is not None:
        texts = map(make_attrgetter(environment, attribute), texts)
    return str(d).join(str(text_of(text)) for text in texts)


_ENVIRONMENT = _Environment(
    undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=text_of
)


_ENVIRONMENT.filters |= {"boxed": last_boxed, "join": _joined, NOT_NULL: text_of}
# What a template or an expression of a task file raises over a row that is not as it expects.
_FAULTS = (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError)


def check_template(text: str) -> str:
    """`text`, if Jinja can parse it. Raises RecipeError."""
    try:
        _ENVIRONMENT.parse(text)
    except TemplateError as error:
        raise RecipeError(f"a template cannot be read ({error})", "correct it") from error
    return text


def check_expression(text: str) -> str:
    """`text`, if it is empty or Jinja can read it as an expression. Raises RecipeError."""
    try:
        _ = text and _ENVIRONMENT.compile_expression(text, undefined_to_none=False)
    except TemplateError as error:
        raise RecipeError(f"{text!r} is no expression ({error})", "correct it") from error
    return text


def check_pattern(text: str) -> str:
    """`text`, if it is a regular expression. Raises RecipeError."""
    try:
        re.compile(text)
    except re.error as error:
        raise RecipeError(f"{text!r} is no regular expression ({error})", "correct it") from error
    return text


def rendered(template: str, row: Mapping[str, Any]) -> str:
    """The text of a template. Raises BadItem."""
    try:
        return _template(template).render(row)
    except _FAULTS as error:
        raise BadItem(_line(error)) from error


def value_of(expression: str, row: Mapping[str, Any]) -> Any:
    """The value of an expression. Raises BadItem."""
    try:
        value = _expression(expression)(row)
        if isinstance(value, StrictUndefined):
            str(value)  # raises UndefinedError
        return value
    except _FAULTS as error:
        raise BadItem(_line(error)) from error


@functools.lru_cache(maxsize=256)
def _template(text: str) -> Any:
    return _ENVIRONMENT.from_string(text)


@functools.lru_cache(maxsize=256)
def _expression(text: str) -> Callable[..., Any]:
    return _ENVIRONMENT.compile_expression(text, undefined_to_none=False)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
