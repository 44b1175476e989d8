"""The post-filters of a prompt, in its order, and what their arguments may be.

Nemotron-CC drops cut-off answers, takes out markdown, asks for a lead-in line and cuts it, strips
quotes around the whole, and takes lists and question-answer pairs apart. The others are our own.
A filter's arguments are the parameters of its function behind `text` and `context`. Their types
say what a prompt file may write.
"""

import functools
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, get_type_hints

from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.settings import Settings, build_settings
from corpusmill.prompts.loader import LINKED_PLACEHOLDER, Example, Prompt
from corpusmill.stages.synthesize.postfilters import degenerate, forms, pairs, wrapping
from corpusmill.stages.synthesize.postfilters.faithful import faithful
from corpusmill.stages.synthesize.postfilters.json_object import json_object
from corpusmill.stages.synthesize.postfilters.refusals import refusal
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt
from pydantic import create_model

FILTERS: Mapping[str, Callable[..., Result]] = {
    "refusal": refusal,
    "markdown": wrapping.markdown,
    "lead_in": wrapping.lead_in,
    "chatter": wrapping.chatter,
    "transcript": wrapping.transcript,
    "outer_quotes": wrapping.outer_quotes,
    "passage_labels": wrapping.passage_labels,
    "prompt_copy": wrapping.prompt_copy,
    "repetition": degenerate.repetition,
    "language": degenerate.language,
    "closeness": degenerate.closeness,
    "faithful": faithful,
    "bullets": forms.bullets,
    "question_answer": forms.question_answer,
    "faithful_pairs": pairs.faithful_pairs,
    "needs_both": pairs.needs_both,
    "labels": forms.labels,
    "table": forms.table,
    "json_object": json_object,
}


def clean(answer: str, prompt: Prompt, context: Context) -> Result:
    """The answer after all of the prompt's post-filters, or the first rejection."""
    result: Result = answer.strip() or Rejection("empty", excerpt(answer))
    for name, arguments in prompt.postfilters:
        if isinstance(result, Rejection):
            return result
        values = dict(_arguments(name).model_validate(arguments))
        result = FILTERS[name](result, context, **values)
        if isinstance(result, str):
            result = result.strip() or Rejection("empty", excerpt(answer))
    return result


def check(prompt: Prompt) -> None:
    """Raises RecipeError if the prompt names a post-filter or an argument that does not exist, or
    if an argument has a value that it cannot have.
    """
    for number, (name, arguments) in enumerate(prompt.postfilters):
        where = f"{prompt.path}: postfilters[{number}]"
        if name not in FILTERS:
            raise RecipeError(f"{where}: there is no {name!r}", nearest(name, FILTERS))
        known = list(_arguments(name).model_fields)
        for argument in arguments:
            if argument not in known:
                raise RecipeError(
                    f"{where}: {name} has no argument {argument!r}",
                    f"it has {', '.join(known)}" if known else "it takes none",
                )
        try:
            build_settings(_arguments(name), arguments)
        except RecipeError as error:
            raise RecipeError(f"{where}: {name}: {error.what}", error.mend) from error
        if name == "lead_in" and not prompt.lead_in:
            raise RecipeError(f"{where}: lead_in needs a lead-in line", "add `lead_in:`")
        if name == "needs_both" and not prompt.about_two:
            raise RecipeError(
                f"{where}: needs_both is for prompts about two documents",
                f"write {LINKED_PLACEHOLDER} in the template",
            )
        if name == "json_object" and not prompt.properties:
            raise RecipeError(f"{where}: json_object needs properties", "add `properties:`")


@functools.cache
def _arguments(name: str) -> type[Settings]:
    """The arguments of a filter as settings: a field for each parameter, with its type."""
    types = get_type_hints(FILTERS[name], include_extras=True)
    fields: dict[str, Any] = {
        parameter.name: (
            types[parameter.name],
            ... if parameter.default is Parameter.empty else parameter.default,
        )
        for parameter in list(signature(FILTERS[name]).parameters.values())[2:]
    }
    return create_model(name, __base__=Settings, **fields)


def quotes_passage(prompt: Prompt) -> bool:
    """Whether rows of the prompt begin with the passage."""
    return any(
        name == "question_answer" and arguments.get("append_to_passage", True)
        for name, arguments in prompt.postfilters
    )


def stage_of(prompt: Prompt) -> str:
    """The stage that asks with this prompt. Its name begins the reason codes."""
    return "annotate" if prompt.properties else "synthesize"


def outcome(example: Example, prompt: Prompt) -> tuple[str, Result]:
    """(what is wrong with what becomes of an example, what becomes of it). Empty: nothing is."""
    words = len(example.passage.split())
    parts = [example.passage, *([example.linked] if prompt.about_two else [])]
    context = Context.of(prompt, parts, words, 0)
    result = clean(example.answer, prompt, context)
    if isinstance(result, Rejection):
        code, wanted = result.code(stage_of(prompt)), example.dropped or "kept"
        return "" if code == example.dropped else f"dropped as {code}, not {wanted}", result
    if example.dropped:
        return f"kept, not dropped as {example.dropped}", result
    return "" if result == example.kept else "kept with another text", result
