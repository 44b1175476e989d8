"""The stages whose verb has an option or argument of its own.

Every other stage gets its verb from `stages.plain_stage`.
"""

import json
import math
from collections.abc import Callable
from typing import Annotated

import typer
from corpusmill.commands.options import Config, Input, Json, Output, Set, StepName
from corpusmill.commands.run_options import RunOptions
from corpusmill.commands.stages import run_stage


def dedup(
    output: Output,
    options: RunOptions,
    input: Input = None,
    config: Config = None,
    step: StepName = None,
    set_: Set = None,
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="ID",
            help="Run nothing. Tell what happened to a document of --output.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    if explain is None:
        run_stage("dedup", output, tuple(input or ()), config, step, set_ or [], options)
        return
    from corpusmill.stages.dedup.explain import explain as explain_document
    from corpusmill.stages.dedup.explain import explanation_text

    found = explain_document(output, explain)
    typer.echo(
        json.dumps(found.as_json(), ensure_ascii=False) if as_json else explanation_text(found)
    )


def evaluate(
    output: Output,
    options: RunOptions,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A checkpoint, an export, a transformers folder, OWNER/NAME on the hub, or "
            "package:models/NAME. In place of --input.",
        ),
    ] = None,
    input: Input = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="A task, in place of evaluate.tasks. Repeatable."),
    ] = None,
    config: Config = None,
    step: StepName = None,
    set_: Set = None,
) -> None:
    from corpusmill.stages.evaluate.report import model_path, print_figures

    inputs = (*(input or ()), *((model_path(model),) if model else ()))
    asked = [f"{step or 'evaluate'}.tasks={json.dumps(task)}"] if task else []
    run_stage("evaluate", output, inputs, config, step, [*(set_ or []), *asked], options)
    print_figures(output)


def blend(
    options: RunOptions,
    output: Output,
    config: Config = None,
    step: StepName = None,
    set_: Set = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Write nothing. Show tokens, epochs and shortages of every source."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    if not dry_run:
        run_stage("blend", output, (), config, step, set_ or [], options)
        return
    from corpusmill.manifests.looking.tables import print_table
    from corpusmill.pipeline.forecast import forecast_blend, forecast_remarks, forecast_table
    from corpusmill.pipeline.recipe import step_alone

    found = forecast_blend(step_alone("blend", config, set_ or [], step), output)
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    print_table(forecast_table(found))
    typer.echo("\n".join(forecast_remarks(found)))


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("it must be a finite number")
    return value


def _positive(value: float | None) -> float | None:
    if value == 0:
        raise typer.BadParameter("it must be more than 0")
    return _finite(value)


def with_estimate(verb: str) -> Callable[..., None]:
    """The verb of a stage that asks a model, and can say before what that will take."""

    def command(
        output: Output,
        options: RunOptions,
        input: Input = None,
        config: Config = None,
        step: StepName = None,
        set_: Set = None,
        estimate: Annotated[
            bool,
            typer.Option(
                "--estimate",
                help="Write nothing. Show requests, tokens, hours and cost, from a sample.",
            ),
        ] = False,
        gpus: Annotated[
            float | None,
            typer.Option(
                min=0,
                callback=_positive,
                help="For --estimate: GPUs that work side by side. Default: 1.",
            ),
        ] = None,
        tokens_per_second: Annotated[
            float | None,
            typer.Option(
                min=0,
                callback=_positive,
                help="For --estimate: output tokens a second of one GPU.",
            ),
        ] = None,
        price: Annotated[
            float | None,
            typer.Option(min=0, callback=_finite, help="For --estimate: of one GPU for an hour."),
        ] = None,
        like: Annotated[
            str | None,
            typer.Option(
                metavar="OUT",
                help="For --estimate: the folder of a finished run of this stage. Its speed and "
                "the lengths of its answers are taken.",
            ),
        ] = None,
        as_json: Json = False,
    ) -> None:
        inputs = tuple(input or ())
        if not estimate:
            run_stage(verb, output, inputs, config, step, set_ or [], options)
            return
        from corpusmill.manifests.looking.tables import print_table
        from corpusmill.pipeline.estimate import (
            estimate_remarks,
            estimate_step,
            estimate_table,
        )
        from corpusmill.pipeline.recipe import step_alone

        chosen = step_alone(verb, config, set_ or [], step)
        found = estimate_step(chosen, inputs, output, gpus, tokens_per_second, price, like)
        if as_json:
            typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
            return
        print_table(estimate_table(found))
        typer.echo("\n".join(estimate_remarks(found, like)))

    return command


STAGES_WITH_OPTIONS: dict[str, Callable[..., None]] = {
    "dedup": dedup,
    "blend": blend,
    "evaluate": evaluate,
    "annotate": with_estimate("annotate"),
    "ocr": with_estimate("ocr"),
    "synthesize": with_estimate("synthesize"),
}
