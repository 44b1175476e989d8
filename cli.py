"""The command line: `corpusmill VERB ...`. This file lists the verbs. Their code is in `commands/`.

Every stage of `pipeline/catalogue.py` is a verb by itself. To add another verb, write a function in
a file of `commands/`, and name it in `VERBS` here. The function's parameters are the options, its
docstring is the help.

Heavy imports stand inside the functions, so that `corpusmill --help` answers at once.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer
from corpusmill.commands import documents, generate, looking, prompts, recipes
from corpusmill.commands.exit_codes import (
    EXIT_CODES,
    INTERRUPTED,
    USER_ERROR,
    UsageError,
    exit_code,
)
from corpusmill.commands.run_options import with_run_options
from corpusmill.commands.stages import StageCommand, plain_stage
from corpusmill.commands.stages_with_options import STAGES_WITH_OPTIONS
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.pipeline.catalogue import STAGES

# Heading -> the verbs below it, in the order of `corpusmill --help`. The stages come before them.
VERBS: dict[str, tuple[Callable[..., None], ...]] = {
    "Recipes": (recipes.run, recipes.demo, recipes.schema),
    "Models": (generate.generate,),
    "Looking": (
        prompts.prompts,
        looking.inspect,
        looking.verify,
        documents.trace,
        looking.report,
        documents.sample,
        looking.diff,
        looking.domains,
        looking.watch,
    ),
}

app = typer.Typer(
    name="corpusmill",
    help="From web crawl to a trained hybrid language model. `corpusmill demo` shows the whole way "
    "on a small sample.",
    epilog="Exit codes. " + ". ".join(f"{code}: {text}" for code, text in EXIT_CODES.items()) + ".",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from corpusmill.pipeline.execute import version

        typer.echo(f"corpusmill {version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, help="Print the version.")
    ] = False,
) -> None: ...


def _add_verbs() -> None:
    for verb, entry in STAGES.items():
        stage = with_run_options(STAGES_WITH_OPTIONS.get(verb) or plain_stage(verb))
        app.command(verb, help=entry.help, cls=StageCommand, rich_help_panel="Stages")(stage)
    for heading, verbs in VERBS.items():
        for function in verbs:
            app.command(rich_help_panel=heading)(function)


_add_verbs()


def main() -> None:
    """The `corpusmill` command."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
        if code == INTERRUPTED:  # after Ctrl-C, typer returns this code and prints nothing
            print("corpusmill: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(code)
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "corpusmill"
        said = error.format_message()
        mend = "quote a glob, as in 'crawl/*.warc.gz'; " if "extra argument" in said else ""
        print(f"corpusmill: {said}; {mend}see {command} --help", file=sys.stderr)
        sys.exit(USER_ERROR)
    except CorpusmillError as error:
        print(f"corpusmill: {error}", file=sys.stderr)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
