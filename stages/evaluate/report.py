"""A finished evaluation on the terminal, and the model that a command line names."""

import json
from typing import Any

from corpusmill.manifests import finding, model_files, storage
from corpusmill.manifests.looking.tables import print_table
from corpusmill.stages.engines.model_folder import LANGUAGE_MODEL
from corpusmill.stages.evaluate.stage import SUMMARY


def model_path(model: str) -> str:
    """The folder of a model: the path or URL as it is, or the local copy of one on the hub.

    Raises ModelError if there is none.
    """
    if storage.is_remote(model) or storage.exists(model):
        return model
    return model_files.folder(model, LANGUAGE_MODEL)


def read_figures(folder: str) -> list[dict[str, Any]]:
    """The figures of a finished evaluation, one object for each task."""
    return [
        json.loads(storage.read_bytes(path))
        for path in finding.files_below(storage.join(folder, SUMMARY), ".json")
    ]


def print_figures(folder: str) -> None:
    """Print a table of the figures, and what has none.

    Domains are shown for texts. A set of questions may have dozens: they are in the files.
    """
    from corpusmill.evaluation.summary import Line, table

    figures = read_figures(folder)
    lines = [Line(**line) for item in figures for line in item["lines"]]
    texts = {item["task"] for item in figures if item["kind"] == "text"}
    shown = [line for line in lines if not line.domain or line.task in texts]
    if shown:
        print_table(table(shown))
    for item in figures:
        domains = {line["domain"] for line in item["lines"]} - {""}
        if domains and item["task"] not in texts:
            place = storage.join(folder, SUMMARY, f"{item['task']}.json")
            print(f"{item['task']}: {len(domains)} domains are in {place}")
        for reason, rows in item["unscored"].items():
            first = item["first_unscored"][reason]
            print(f"{item['task']}: without a score: {reason} {rows:,} ({first})")
        if not item["lines"]:
            unused = ", ".join(f"{reason} {rows:,}" for reason, rows in item["unused"].items())
            print(f"{item['task']}: no item has a score" + (f" ({unused})" if unused else ""))
