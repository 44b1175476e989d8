"""Classes that a recipe names as `module:Class`: stages, readers and scorers of your own."""

import importlib
import re
from typing import Any

from corpusmill.manifests.errors import RecipeError, nearest

_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_class_path(text: str) -> bool:
    """Whether the text has the form `module:Class`."""
    return bool(_PATH.fullmatch(text))


def named_class(path: str, base: type[Any], what: str) -> type[Any]:
    """The class at `path`, which is a subclass of `base`.

    what: for messages, e.g. `stage`. Raises RecipeError if the module cannot be imported, or has
    no such class.
    """
    if not is_class_path(path):
        raise RecipeError(f"{path!r} names no class", "write module:Class, e.g. my_stages:Shout")
    module_name, name = path.split(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        mine = error.name is not None and f"{module_name}.".startswith(f"{error.name}.")
        raise RecipeError(
            f"the module of {path} cannot be imported ({error})",
            "check its spelling, and put its folder into PYTHONPATH"
            if mine
            else f"mend {module_name}, or install the package that brings {error.name}",
        ) from error
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, base):
        return found
    fitting = [
        other
        for other, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, base) and thing.__module__ == module_name
    ]
    if found is None:
        raise RecipeError(f"{module_name} has no {what} {name!r}", nearest(name, fitting))
    raise RecipeError(f"{path} is no {what}", f"derive it from {base.__module__}:{base.__name__}")


def is_own(thing: type[Any]) -> bool:
    """Whether a class is outside corpusmill. Its source then belongs to the plan."""
    return thing.__module__.partition(".")[0] != "corpusmill"
