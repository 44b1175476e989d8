"""The verbs that run one stage. `pipeline/catalogue.py` lists the stages and their help."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer
from corpusmill.commands.exit_codes import QUARANTINED
from corpusmill.commands.options import Config, Input, Output, Set, StepName
from corpusmill.commands.run_options import RunOptions
from typer.core import TyperCommand

if TYPE_CHECKING:
    from corpusmill.manifests.manifest import Manifest


class StageCommand(TyperCommand):
    """A stage's verb. Its help ends with the stage's settings, from its settings class."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        from corpusmill.pipeline.settings_help import settings_help

        with formatter.section(
            "Settings, each with its default after = (in a recipe, or --set STEP.KEY=VALUE)"
        ):
            for setting in settings_help(ctx.info_name):
                formatter.write_text(setting.head)
                with formatter.indentation(), formatter.indentation():
                    formatter.write_text(setting.text)


def plain_stage(verb: str) -> Callable[..., None]:
    """The verb of a stage that has only the options of every stage."""

    def command(
        output: Output,
        options: RunOptions,
        input: Input = None,
        config: Config = None,
        step: StepName = None,
        set_: Set = None,
    ) -> None:
        run_stage(verb, output, tuple(input or ()), config, step, set_ or [], options)

    return command


def run_stage(
    verb: str,
    output: str,
    inputs: tuple[str, ...],
    config: str | None,
    step_name: str | None,
    assignments: list[str],
    options: RunOptions,
) -> None:
    """Run one stage and print its line. config: a recipe. assignments: `STEP.KEY=VALUE`."""
    from corpusmill.pipeline.recipe import step_alone
    from corpusmill.pipeline.run import run_step

    step = step_alone(verb, config, assignments, step_name)
    with options.runner(output) as runner:
        manifest = run_step(step, inputs, output, runner, options.replace)
    print_finished(output, manifest)
    if manifest.quarantined:
        raise typer.Exit(QUARANTINED)


def print_finished(folder: str, manifest: "Manifest") -> None:
    """Print the line of a finished stage, and the summary.txt that a stage may leave."""
    from corpusmill.manifests.looking.tables import stage_line

    typer.echo(stage_line(folder, manifest))
    if "extract" in manifest.verbs:
        from corpusmill.stages.extract.scans_left import remark

        if said := remark(folder, manifest):
            typer.echo(said)
    for output in manifest.outputs:
        if output.name == "summary.txt":
            from corpusmill.manifests.storage import read_bytes

            typer.echo(read_bytes(output.path).decode().rstrip())
