"""Options that several verbs have. Each name is a parameter's type, with its flag and its help."""

from enum import StrEnum
from typing import Annotated

import typer

RunnerKind = StrEnum("RunnerKind", ["auto", "ray", "inline"])
LogKind = StrEnum("LogKind", ["auto", "lines", "json"])

Input = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", help="Stage folders, files, globs, URLs. Repeatable."),
]
Output = Annotated[
    str,
    typer.Option("--output", "-o", help="Folder or URL to write; the same command resumes there."),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config", "-c", metavar="RECIPE", help="Take this stage's settings from a recipe."
    ),
]
StepName = Annotated[
    str | None,
    typer.Option(
        "--step", metavar="NAME", help="The step of --config, if it has several of this stage."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STEP.KEY=VALUE", help="Override one setting. Repeatable."),
]
RunnerOption = Annotated[
    RunnerKind,
    typer.Option(
        help="ray: parallel. inline: in this process. auto: inline if a pass reads less than "
        "64 MiB (1 MiB if a model works), else ray."
    ),
]
RayAddress = Annotated[
    str | None, typer.Option(help="A running Ray cluster; without it, one on this machine.")
]
RayGpus = Annotated[
    int,
    typer.Option(
        min=0, help="GPUs that the cluster's autoscaler may bring; the run waits for them."
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processors of this machine to use; without it, all.")
]
Replace = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="Write --output again if it holds work of other settings or inputs. Without this "
        "option, that is an error.",
    ),
]
MaxHours = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Begin no shard after so many hours. Shards that have begun are finished. If work is "
        "left, the exit code is 5.",
    ),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|PORT",
        help="Metrics for Prometheus: a text file, or a port of this machine that serves them.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress: only results, warnings and errors.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print a line for each finished shard.")
]
LogOption = Annotated[
    LogKind,
    typer.Option(
        help="Progress on standard error. auto: a bar on a terminal, else lines. lines: at most "
        "one each 10 seconds, and at the start and end of each pass. json: the same as JSON."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Root = Annotated[
    str, typer.Argument(metavar="OUT", help="The output folder of a run, or of one stage.")
]
