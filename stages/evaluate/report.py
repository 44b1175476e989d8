"""A finished evaluation on the terminal, and the model that a command line names."""

import json
from typing import Any

from corpusmill.manifests import model_files, storage
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
        for path in storage.list_files(storage.join(folder, SUMMARY), ".json")
    ]


def print_figures(folder: str) -> None:
    """Print a table of all figures, and what has none."""
    from corpusmill.evaluation.summary import Line, table

    figures = read_figures(folder)
    lines = [Line(**line) for item in figures for line in item["lines"]]
    if lines:
        print_table(table(lines))
    for item in figures:
        reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in item["unscored"].items())
        if reasons:
            print(f"{item['task']}: without a score: {reasons}")
        if not item["lines"]:
            print(f"{item['task']}: no item has a score")
