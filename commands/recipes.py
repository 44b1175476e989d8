"""The verbs about whole recipes: `run`, `demo` and `schema`."""

import json
from typing import Annotated

import typer
from corpusmill.commands.exit_codes import QUARANTINED
from corpusmill.commands.looking import inspect
from corpusmill.commands.options import Input, Output, Set
from corpusmill.commands.run_options import RunOptions, with_run_options
from corpusmill.commands.stages import print_finished


@with_run_options
def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A YAML recipe, e.g. recipes/nemotron_cc.yaml.")
    ],
    output: Output,
    options: RunOptions,
    input: Input = None,
    set_: Set = None,
) -> None:
    """Run a whole recipe, from WARC to checkpoint. The same command resumes an interrupted run."""
    if _run_whole(recipe, output, tuple(input or ()), set_ or [], options):
        raise typer.Exit(QUARANTINED)


@with_run_options
def demo(
    options: RunOptions,
    output: Annotated[str, typer.Option("--output", "-o", help="Folder to write.")] = "demo-output",
) -> None:
    """Run a whole recipe on the shipped sample. A minute or two on two cores, no network."""
    from corpusmill.manifests.looking.tables import demo_text

    quarantined = _run_whole("package:recipes/demo.yaml", output, (), [], options)
    typer.echo("")
    inspect(output)
    typer.echo(demo_text(output))
    if quarantined:
        raise typer.Exit(QUARANTINED)


def schema(
    verb: Annotated[
        str | None, typer.Argument(metavar="VERB", help="Only this stage's settings.")
    ] = None,
) -> None:
    """Print the JSON Schema of a recipe. An editor completes and checks a recipe with it."""
    from corpusmill.pipeline.recipe_schema import recipe_schema, stage_schema

    found = stage_schema(verb) if verb else recipe_schema()
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _run_whole(
    path: str, output: str, inputs: tuple[str, ...], assignments: list[str], options: RunOptions
) -> int:
    """Run a recipe and write its report. Returns how many shards are quarantined."""
    from corpusmill.pipeline.recipe import prepared
    from corpusmill.pipeline.run import run_recipe
    from corpusmill.report.page import write_report

    recipe = prepared(path, assignments, inputs)
    with options.runner(output) as runner:
        manifests = run_recipe(recipe, output, runner, print_finished, options.replace)
    write_report(output)
    return sum(len(manifest.quarantined) for manifest in manifests)
