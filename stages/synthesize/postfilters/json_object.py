"""The answer to a rubric: one JSON object, with every property in its range, and nothing else."""

import json
import re
from typing import Any

from corpusmill.manifests.errors import short
from corpusmill.stages.readers.record import without_surrogates
from corpusmill.stages.synthesize.postfilters.result import Context, Rejection, Result, excerpt

_FENCE = re.compile(r"```\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


def json_object(text: str, context: Context) -> Result:
    """Leave the rubric's properties as a JSON object, in the rubric's order.

    A Markdown fence around the object is taken off. Drops an answer without an object, with text
    around it, without one of the properties, or with a value that the property cannot have. More
    properties than were asked for are left out.
    """
    fenced = _FENCE.fullmatch(text.strip())
    bare = fenced[1] if fenced else text
    found = _parsed(bare)
    if not isinstance(found, dict):
        within = _OBJECT.search(text)
        surrounded = within is not None and isinstance(_parsed(within[0]), dict)
        reason = "text_around_json" if surrounded else "no_json"
        return Rejection(reason, excerpt(text))
    for name, wanted in context.properties.items():
        if name not in found:
            return Rejection("property_missing", f"no {name}: {excerpt(text)}")
        if not wanted.holds(found[name]):
            detail = f"{name} is {_shown(found[name])}: {excerpt(text)}"
            return Rejection("out_of_range", detail)
    kept = {name: _whole(found[name]) for name in context.properties}
    return json.dumps(kept, ensure_ascii=False)


def _shown(value: Any) -> str:
    return "a list or an object" if isinstance(value, dict | list) else short(value)


def _whole(value: Any) -> Any:
    """JSON may spell half of a surrogate pair, which no file can hold."""
    return without_surrogates(value) if isinstance(value, str) else value


def _parsed(text: str) -> Any:
    """What JSON text says. None: it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
