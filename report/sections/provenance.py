"""Who made what, when and how: commands, versions and settings of a run's stages."""

import json
from dataclasses import dataclass

from corpusmill.report.reading.run import Run


@dataclass(frozen=True)
class Made:
    """One stage. settings: (step.key, value as JSON). date: when its run began, or empty."""

    stage: str
    folder: str
    digest: str
    date: str
    command: str
    software: list[tuple[str, str]]
    settings: list[tuple[str, str]]
    parents: list[tuple[str, str]]


@dataclass(frozen=True)
class Provenance:
    """commands: of the run in their order, each once. version: of corpusmill."""

    commands: list[str]
    date: str
    version: str
    stages: list[Made]


def provenance(run: Run) -> Provenance:
    made = []
    for stage in run.stages:
        manifest = stage.manifest
        made.append(
            Made(
                stage.name,
                manifest.folder,
                manifest.digest,
                _date(manifest.date),
                manifest.command,
                sorted(manifest.software.items()),
                [(key, json.dumps(value)) for key, value in sorted(manifest.settings.items())],
                [(parent.path, parent.digest[:12]) for parent in manifest.parents[:40]],
            )
        )
    commands = list(dict.fromkeys(item.command for item in made if item.command))
    versions = {dict(item.software).get("corpusmill", "") for item in made} - {""}
    date = max((item.date for item in made), default="")
    return Provenance(commands, date, ", ".join(sorted(versions)), made)


def _date(text: str) -> str:
    """`2026-11-29T04:20:00+00:00` as `2026-11-29 04:20 UTC`."""
    return f"{text[:10]} {text[11:16]} UTC" if text else ""
