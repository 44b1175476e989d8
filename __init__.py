"""corpusmill: from web crawl to a trained hybrid language model.

Your own program may use the names below. They stay from release to release.

    import corpusmill

    recipe = corpusmill.load_recipe("package:recipes/demo.yaml")
    manifests = corpusmill.run(recipe, "out")
    strict = {"families": ["c4"]}
    corpusmill.run_stage("filter", "out/strict", inputs=["out/extract"], settings=strict)
    for table in corpusmill.documents("out/strict", columns=["id", "text"]):
        ...

`read_manifest`, `inspect`, `verify` and `trace` look at the output. A name is loaded at its first
use, so that the import is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpusmill.manifests.errors import CorpusmillError
    from corpusmill.manifests.looking.inspect import inspect
    from corpusmill.manifests.looking.trace import trace
    from corpusmill.manifests.looking.verify import verify
    from corpusmill.manifests.manifest import Manifest, read_manifest
    from corpusmill.pipeline.api import documents, run, run_stage
    from corpusmill.pipeline.recipe import Recipe, load_recipe

__all__ = [
    "CorpusmillError",
    "Manifest",
    "Recipe",
    "documents",
    "inspect",
    "load_recipe",
    "read_manifest",
    "run",
    "run_stage",
    "trace",
    "verify",
]

_HOMES = {
    "CorpusmillError": "manifests.errors",
    "Manifest": "manifests.manifest",
    "Recipe": "pipeline.recipe",
    "documents": "pipeline.api",
    "inspect": "manifests.looking.inspect",
    "load_recipe": "pipeline.recipe",
    "read_manifest": "manifests.manifest",
    "run": "pipeline.api",
    "run_stage": "pipeline.api",
    "trace": "manifests.looking.trace",
    "verify": "manifests.looking.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'corpusmill' has no attribute {name!r}")
    return getattr(import_module(f"corpusmill.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
