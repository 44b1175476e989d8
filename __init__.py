"""corpusmill: from web crawl to a trained hybrid language model.

Your own program may use the names below. They stay from release to release.

    import corpusmill

    recipe = corpusmill.load_recipe("package:recipes/demo.yaml")
    manifests = corpusmill.run(recipe, "out")
    strict = {"families": ["c4"]}
    corpusmill.run_stage("filter", "out/strict", inputs=["out/extract"], settings=strict)
    frame = corpusmill.open("out").stage("dedup").documents().polars()

`read_manifest`, `inspect`, `verify`, `trace`, `sample`, `diff` and `domains` look at the output.
Stages, readers and scorers of your own derive from `MapStage`, `DocumentFilter`, `OwnReader` and
`OwnScorer` (docs/python.md). A name is loaded at its first use, so that the import is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpusmill.classifiers.own import OwnScorer
    from corpusmill.manifests.errors import CorpusmillError
    from corpusmill.manifests.looking.diff import diff
    from corpusmill.manifests.looking.domains import domains
    from corpusmill.manifests.looking.inspect import inspect
    from corpusmill.manifests.looking.opened import open_run as open
    from corpusmill.manifests.looking.sample import sample
    from corpusmill.manifests.looking.trace import trace
    from corpusmill.manifests.looking.verify import verify
    from corpusmill.manifests.manifest import Manifest, read_manifest
    from corpusmill.pipeline.api import documents, run, run_stage
    from corpusmill.pipeline.recipe import Recipe, load_recipe
    from corpusmill.report.page import write_report
    from corpusmill.stages.contract import MapStage, Outcome
    from corpusmill.stages.own import DocumentFilter
    from corpusmill.stages.readers.own import OwnReader

# Name -> the module that has it, and its name there if that is another one.
_HOMES = {
    "CorpusmillError": "manifests.errors",
    "DocumentFilter": "stages.own",
    "Manifest": "manifests.manifest",
    "MapStage": "stages.contract",
    "Outcome": "stages.contract",
    "OwnReader": "stages.readers.own",
    "OwnScorer": "classifiers.own",
    "Recipe": "pipeline.recipe",
    "diff": "manifests.looking.diff",
    "documents": "pipeline.api",
    "domains": "manifests.looking.domains",
    "inspect": "manifests.looking.inspect",
    "load_recipe": "pipeline.recipe",
    "open": "manifests.looking.opened:open_run",
    "read_manifest": "manifests.manifest",
    "run": "pipeline.api",
    "run_stage": "pipeline.api",
    "sample": "manifests.looking.sample",
    "trace": "manifests.looking.trace",
    "verify": "manifests.looking.verify",
    "write_report": "report.page",
}

__all__ = [
    "CorpusmillError",
    "DocumentFilter",
    "Manifest",
    "MapStage",
    "Outcome",
    "OwnReader",
    "OwnScorer",
    "Recipe",
    "diff",
    "documents",
    "domains",
    "inspect",
    "load_recipe",
    "open",
    "read_manifest",
    "run",
    "run_stage",
    "sample",
    "trace",
    "verify",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'corpusmill' has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(":")
    return getattr(import_module(f"corpusmill.{module}"), there or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
