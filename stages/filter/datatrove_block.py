"""datatrove's filters as blocks of the filter stage: any filter class, named by import path, run
document by document.

The class keeps its own defaults and its own word tokenizer (spaCy for English). So a published
recipe can be run as it was published, and compared. Such a block costs as much as in datatrove,
often a hundred times as much as the rules of `stages.filter.rules`.

Some filters draw random numbers (SamplerFilter, C4BadWordsFilter with a `keep_fraction`). Here a
generator is seeded for each document by its id and the block, so a document's fate does not depend
on its shard. Source: datatrove 0.10, `datatrove.pipeline.filters`.
"""

import functools
import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.schema import seed_for

# What a filter may raise because of one strange document. Other exceptions (a missing file, no
# network, no memory) concern the machine and end the shard.
RECORD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


DETAIL_CHARACTERS = 300


class Verdict(NamedTuple):
    """reason: empty if the document stays. detail: the filter's own words, its measured value if it
    gives one, and its arguments. text: as the block left it.
    """

    reason: str
    detail: str
    text: str


@dataclass(frozen=True)
class Block:
    """path: `module:class`. arguments: the keyword arguments as JSON. They are text so that a block
    can be a cache key.
    """

    path: str
    arguments: str

    @property
    def class_name(self) -> str:
        return self.path.rsplit(":", 1)[-1]


def parse(block: Mapping[str, Any]) -> Block:
    """Parse `{class: module:Class, arguments: {...}}` as a recipe has it. Raises RecipeError for
    anything else.
    """
    unknown = set(block) - {"class", "arguments"}
    if unknown:
        raise RecipeError(
            f"a block has no key {sorted(unknown)[0]!r}",
            nearest(sorted(unknown)[0], ("class", "arguments")),
        )
    path, arguments = block.get("class"), block.get("arguments") or {}
    if not isinstance(path, str) or not re.fullmatch(r"[\w.]+:\w+", path):
        raise RecipeError(
            f"a block's class is {path!r}",
            "write module:Class, e.g. datatrove.pipeline.filters:GopherQualityFilter",
        )
    if not isinstance(arguments, Mapping):
        raise RecipeError(f"the arguments of {path} are no mapping", "write name: value pairs")
    if "exclusion_writer" in arguments:
        raise RecipeError(
            f"{path} is given an exclusion_writer",
            "leave it out: the stage keeps excluded rows itself",
        )
    try:
        return Block(path, json.dumps(arguments, sort_keys=True))
    except TypeError as error:
        raise RecipeError(
            f"an argument of {path} cannot be written in a recipe ({error})",
            "use plain values, or a class that needs no code",
        ) from error


@functools.lru_cache(maxsize=32)
def load(block: Block) -> Any:
    """The filter object, made once per process. Raises RecipeError if module, class or arguments do
    not fit.
    """
    from datatrove.pipeline.filters.base_filter import BaseFilter

    module_name = block.path.split(":")[0]
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        spelt = error.name is None or f"{module_name}.".startswith(f"{error.name}.")
        raise RecipeError(
            f"module {module_name} of a block cannot be imported ({error})",
            "check its spelling, and put its folder into PYTHONPATH if it is your own"
            if spelt
            else f"install the package that brings {error.name}",
        ) from error
    found = getattr(module, block.class_name, None)
    if not (isinstance(found, type) and issubclass(found, BaseFilter)):
        filters = [
            name
            for name, thing in vars(module).items()
            if isinstance(thing, type) and issubclass(thing, BaseFilter)
        ]
        raise RecipeError(
            f"{module_name} has no datatrove filter {block.class_name!r}",
            nearest(block.class_name, filters),
        )
    try:
        return found(**json.loads(block.arguments))
    except ImportError as error:
        raise _missing_package(block, error) from error
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"{block.path} does not take its arguments ({error})", "mend the block's arguments"
        ) from error


def _missing_package(block: Block, error: ImportError) -> RecipeError:
    """The error for a missing package. corpusmill installs what datatrove's English filters need;
    other languages need more.
    """
    message = " ".join(str(error).split()).rstrip(".")
    return RecipeError(
        f"{block.path} needs a package that is not installed ({message})",
        "install it, then run the same command again",
    )


def judge(block: Block, row: Mapping[str, Any]) -> Verdict:
    """Run the block on one document: `id`, `text`, and every other column as metadata.

    A document on which the filter fails gets the reason `error_datatrove.<class>`. Raises
    RecipeError if the filter needs a package that is not installed.
    """
    from datatrove.data import Document

    instance = load(block)
    metadata = {
        name: value
        for name, value in row.items()
        if name not in ("id", "text") and value is not None
    }
    document = Document(text=row["text"] or "", id=row["id"], metadata=dict(metadata))
    _reseed(instance, block, row["id"])
    try:
        result = instance.filter(document)
    # a tokenizer or a model may import its package only at the first text
    except ImportError as error:
        raise _missing_package(block, error) from error
    except RECORD_ERRORS as error:
        first_line = (str(error).splitlines() or [""])[0][:200]
        return Verdict(
            f"error_datatrove.{block.class_name}",
            f"{type(error).__name__}: {first_line}",
            document.text,
        )
    keep, reason = result if isinstance(result, tuple) else (result, None)
    if keep:
        return Verdict("", "", document.text)
    code = re.sub(r"\W+", "_", str(reason or "dropped")).strip("_").lower()
    measured = {
        name: value for name, value in document.metadata.items() if metadata.get(name) != value
    }
    values = ", ".join(
        f"{name} {value}" for name, value in {**measured, **json.loads(block.arguments)}.items()
    )
    detail = (
        f"{reason or ''} ({values[:DETAIL_CHARACTERS]})".strip() if values else str(reason or "")
    )
    return Verdict(f"datatrove.{block.class_name}.{code}", detail, document.text)


def _reseed(instance: Any, block: Block, document_id: str) -> None:
    """Give every random generator of the filter (or of the object of a method that it holds) a
    state that only the document and the block decide.
    """
    for name, value in vars(instance).items():
        owner = getattr(value, "__self__", value)
        if isinstance(owner, np.random.Generator):
            fresh = np.random.default_rng(seed_for(document_id, block.path, block.arguments))
            setattr(instance, name, fresh if value is owner else getattr(fresh, value.__name__))
