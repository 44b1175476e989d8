"""The verb `prompts`: the prompts of `synthesize`, and what a prompt makes of a text."""

from enum import StrEnum
from typing import Annotated

import typer
from corpusmill.commands.exit_codes import UsageError
from corpusmill.commands.options import Config, Set, StepName

PromptsAction = StrEnum("PromptsAction", ["list", "show", "test"])


def prompts(
    action: Annotated[
        PromptsAction,
        typer.Argument(
            help="list: all that are shipped, or in a folder. show: the file. test: its examples; "
            "with --text what is asked."
        ),
    ] = PromptsAction.list,
    name: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="A shipped prompt, or a path; for list a folder."),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="FILE", help="For test: a UTF-8 text.")
    ] = None,
    linked: Annotated[
        str | None,
        typer.Option("--linked", metavar="FILE", help="The second text, if it asks about two."),
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="For test: ask the engine, too.")] = False,
    config: Config = None,
    step: StepName = None,
    set_: Set = None,
) -> None:
    """Show the prompts of synthesize, or test one on a text."""
    from corpusmill.pipeline.recipe import build_stage, step_alone
    from corpusmill.stages.synthesize import prompt_trial

    if action == PromptsAction.list:
        lines = prompt_trial.listed(name)
    elif name is None:
        raise UsageError(f"prompts {action} needs a PROMPT")
    elif action == PromptsAction.show:
        lines = iter([prompt_trial.shown(name)])
    elif text is None:
        lines = prompt_trial.examined(name)
    else:
        chosen = step_alone("synthesize", config, set_ or [], step)
        settings = build_stage(chosen, lambda other: other)
        lines = prompt_trial.tried(settings, name, text, ask, linked)
    for line in lines:
        typer.echo(line)
