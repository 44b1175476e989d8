"""The command line: a verb for each stage, `run` for a recipe, and verbs to look at the output.

This file parses, prints and sets the exit code. Heavy imports stand inside the commands, so that
`corpusmill --help` answers at once.

The exit codes are listed in `EXIT_CODES`, which `--help` prints.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from inspect import Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer
from corpusmill.manifests.errors import CorpusmillError, Interrupted, TimeUp
from corpusmill.pipeline.catalogue import STAGES
from typer.core import TyperCommand

if TYPE_CHECKING:
    from corpusmill.manifests.manifest import Manifest
    from corpusmill.pipeline.display import Display
    from corpusmill.pipeline.placement import Placement
    from corpusmill.pipeline.runner import Runner

# The parser's exception. typer does not export it by name.
UsageError: Any = typer.BadParameter.__bases__[0]
USER_ERROR, QUARANTINED, NOT_VERIFIED, TIME_UP, INTERRUPTED = 2, 3, 4, 5, 130
EXIT_CODES = {
    0: "done",
    1: "an error in corpusmill itself; please report it",
    USER_ERROR: "a mistake, a full disk, a store that is down; the message says what to do",
    QUARANTINED: "done, but shards are quarantined; also of verify, if all else holds",
    NOT_VERIFIED: "verify found problems",
    TIME_UP: "the time of --max-hours is up; the same command goes on",
    INTERRUPTED: "stopped by Ctrl-C or SIGTERM; the same command goes on",
}

RunnerKind = StrEnum("RunnerKind", ["auto", "ray", "inline"])
LogKind = StrEnum("LogKind", ["auto", "lines", "json"])
DeviceKind = StrEnum("DeviceKind", ["auto", "cpu", "cuda"])
DtypeKind = StrEnum("DtypeKind", ["auto", "float32", "bfloat16"])
SiteOrder = StrEnum("SiteOrder", ["in", "kept", "rate", "tokens", "quality", "site"])
PromptsAction = StrEnum("PromptsAction", ["list", "show", "test"])

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
    typer.Option("--set", metavar="STAGE.KEY=VALUE", help="Override one setting. Repeatable."),
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
        help="Begin no shard after so many hours. Those that run are finished. Exit code 5, if "
        "work is left.",
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
    bool, typer.Option("--verbose", "-v", help="A line for every finished shard, too.")
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


class StageCommand(TyperCommand):
    """A stage's verb. Its help ends with the stage's settings, from its settings class."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        from corpusmill.pipeline.settings_help import settings_help

        with formatter.section(
            "Settings, each with its default after = (in a recipe, or --set STAGE.KEY=VALUE)"
        ):
            for setting in settings_help(ctx.info_name):
                formatter.write_text(setting.head)
                with formatter.indentation(), formatter.indentation():
                    formatter.write_text(setting.text)


@dataclass(frozen=True)
class RunOptions:
    """The options of every command that runs stages."""

    placement: "Placement"
    display: "Display"
    replace: bool

    @contextmanager
    def runner(self, output: str) -> Iterator["Runner"]:
        """The runner for work below `output`, with progress on the screen."""
        from corpusmill.pipeline.display import showing
        from corpusmill.pipeline.placement import open_runner

        with showing(self.display):
            try:
                with open_runner(output, self.placement) as runner:
                    yield runner
            except CorpusmillError as error:
                if self.display.error(str(error)):
                    sys.exit(_exit_code(error))
                raise


def _run_options(
    runner: RunnerOption = RunnerKind.auto,
    ray_address: RayAddress = None,
    workers: Workers = None,
    replace: Replace = False,
    log: LogOption = LogKind.auto,
    quiet: Quiet = False,
    verbose: Verbose = False,
    max_hours: MaxHours = None,
    metrics: MetricsOption = None,
) -> RunOptions:
    from corpusmill.pipeline.display import chosen_display
    from corpusmill.pipeline.placement import Placement

    display = chosen_display(log.value, quiet, verbose)
    if metrics is not None:
        from corpusmill.pipeline.metrics import Metrics

        display = Metrics(display, metrics)
    return RunOptions(Placement(runner.value, ray_address, workers, max_hours), display, replace)


def _with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command(..., options)` as typer sees it: with the parameters of `_run_options`."""
    shared = signature(_run_options).parameters
    own = signature(command).parameters
    parameters = [*(own[name] for name in own if name != "options"), *shared.values()]

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        options = _run_options(**{name: given.pop(name) for name in shared})
        command(**given, options=options)

    wrapped.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapped


def _stage_command(verb: str) -> Callable[..., None]:
    def command(
        output: Output,
        options: RunOptions,
        input: Input = None,
        config: Config = None,
        step: StepName = None,
        set_: Set = None,
    ) -> None:
        _run_stage(verb, output, tuple(input or ()), config, step, set_ or [], options)

    return command


def _dedup_command(
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
        _run_stage("dedup", output, tuple(input or ()), config, step, set_ or [], options)
        return
    from corpusmill.stages.dedup.explain import explain as explain_document
    from corpusmill.stages.dedup.explain import explanation_text

    found = explain_document(output, explain)
    typer.echo(
        json.dumps(found.as_json(), ensure_ascii=False) if as_json else explanation_text(found)
    )


def _evaluate_command(
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
    _run_stage("evaluate", output, inputs, config, step, [*(set_ or []), *asked], options)
    print_figures(output)


def _blend_command(
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
        _run_stage("blend", output, (), config, step, set_ or [], options)
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


def _run_stage(
    verb: str,
    output: str,
    inputs: tuple[str, ...],
    config: str | None,
    step_name: str | None,
    assignments: list[str],
    options: RunOptions,
) -> None:
    from corpusmill.pipeline.recipe import step_alone
    from corpusmill.pipeline.run import run_step

    step = step_alone(verb, config, assignments, step_name)
    with options.runner(output) as runner:
        manifest = run_step(step, inputs, output, runner, options.replace)
    _say(output, manifest)
    if manifest.quarantined:
        raise typer.Exit(QUARANTINED)


_OWN_COMMANDS: dict[str, Callable[..., None]] = {
    "dedup": _dedup_command,
    "blend": _blend_command,
    "evaluate": _evaluate_command,
}
for _verb, _entry in STAGES.items():
    _command = _OWN_COMMANDS.get(_verb) or _stage_command(_verb)
    app.command(_verb, help=_entry.help, cls=StageCommand, rich_help_panel="Stages")(
        _with_run_options(_command)
    )


@app.command(rich_help_panel="Recipes")
@_with_run_options
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
    if _run_recipe(recipe, output, tuple(input or ()), set_ or [], options):
        raise typer.Exit(QUARANTINED)


def _run_recipe(
    path: str, output: str, inputs: tuple[str, ...], assignments: list[str], options: RunOptions
) -> int:
    """The number of quarantined shards."""
    from corpusmill.pipeline.recipe import prepared
    from corpusmill.pipeline.run import run_recipe
    from corpusmill.report.page import write_report

    recipe = prepared(path, assignments, inputs)
    with options.runner(output) as runner:
        manifests = run_recipe(recipe, output, runner, _say, options.replace)
    write_report(output)
    return sum(len(manifest.quarantined) for manifest in manifests)


@app.command(rich_help_panel="Recipes")
@_with_run_options
def demo(
    options: RunOptions,
    output: Annotated[str, typer.Option("--output", "-o", help="Folder to write.")] = "demo-output",
) -> None:
    """Run a whole recipe on the shipped sample. A minute or two on two cores, no network."""
    from corpusmill.manifests.looking.tables import demo_text

    quarantined = _run_recipe("package:recipes/demo.yaml", output, (), [], options)
    typer.echo("")
    inspect(output)
    typer.echo(demo_text(output))
    if quarantined:
        raise typer.Exit(QUARANTINED)


@app.command(rich_help_panel="Recipes")
def schema(
    verb: Annotated[
        str | None, typer.Argument(metavar="VERB", help="Only this stage's settings.")
    ] = None,
) -> None:
    """Print the JSON Schema of a recipe. An editor completes and checks a recipe with it."""
    from corpusmill.pipeline.recipe_schema import recipe_schema, stage_schema

    found = stage_schema(verb) if verb else recipe_schema()
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@app.command(rich_help_panel="Models")
def generate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="An export, a checkpoint, the OUT folder of a run, package:models/tiny, or a "
            "model's name on the Hugging Face hub.",
        ),
    ],
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            "-p",
            help="The text to continue. Without --prompt and --input, it is read from standard "
            "input.",
        ),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE.jsonl",
            help='A file of prompts, one JSON object a line: {"prompt": ...} or {"messages": '
            "[...]}. A line may also set max_tokens, temperature, top_p, top_k, seed and stop. "
            "`-` is standard input. Answers are printed as JSON lines.",
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="An image for the model to read, if it can. Repeatable."),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")] = 256,
    temperature: Annotated[
        float, typer.Option(min=0, help="Higher is more random. 0 takes the most likely token.")
    ] = 0.7,
    top_p: Annotated[
        float,
        typer.Option(
            min=1e-9,
            max=1,
            help="Choose among the most likely tokens that together have this probability.",
        ),
    ] = 0.9,
    top_k: Annotated[
        int, typer.Option(min=0, help="Choose among this many of the most likely tokens. 0: all.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Another seed gives other random choices.")] = 0,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="End the answer before this text. Repeatable."),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="How many answers to each prompt.")] = 1,
    chat: Annotated[
        bool,
        typer.Option("--chat", help="Put the prompt into the model's chat template, as a user."),
    ] = False,
    log_probabilities: Annotated[
        bool,
        typer.Option(
            "--log-probabilities", help="Print JSON with the log-probability of each token."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line for each answer.")
    ] = False,
    tokenizer: Annotated[
        str | None, typer.Option(help="The tokenizer's folder, if it is not beside the model.")
    ] = None,
    device: Annotated[
        DeviceKind, typer.Option(help="auto takes a GPU if there is one, else the CPU.")
    ] = DeviceKind.auto,
    dtype: Annotated[
        DtypeKind, typer.Option(help="Of the weights. auto: bfloat16 on a GPU, float32 on a CPU.")
    ] = DtypeKind.auto,
    slots: Annotated[
        int,
        typer.Option(min=1, help="How many prompts to answer at once. Fewer need less memory."),
    ] = 16,
    threads: Annotated[int, typer.Option(min=1, help="How many CPU threads to use.")] = 1,
) -> None:
    """Continue a text, or answer prompts, with a trained model.

    One answer appears while the model writes it.
    """
    from corpusmill.stages.generate.command import generate as answer
    from corpusmill.stages.generate.options import Options
    from corpusmill.stages.generate.records import Record

    defaults = Record(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        seed=seed,
        stop=tuple(stop or ()),
    )
    options = Options(
        model=model,
        defaults=defaults,
        prompt=prompt,
        input=input,
        images=tuple(image or ()),
        tokenizer=tokenizer,
        chat=chat,
        samples=n,
        log_probabilities=log_probabilities,
        as_json=as_json,
        device=device.value,
        dtype=dtype.value,
        threads=threads,
        slots=slots,
    )
    if answer(options, _say_at_once):
        raise typer.Exit(QUARANTINED)


def _say_at_once(text: str) -> None:
    print(text, end="", flush=True)


@app.command(rich_help_panel="Looking")
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
        lines = prompt_trial.tried(settings, name, text, ask)
    for line in lines:
        typer.echo(line)


@app.command(rich_help_panel="Looking")
def inspect(
    root: Root,
    as_json: Json = False,
    all_reasons: Annotated[
        bool, typer.Option("--all", help="All reasons, not only the four most frequent.")
    ] = False,
) -> None:
    """Show the funnel of a run. What each stage read, what it kept, what it excluded and why."""
    from corpusmill.manifests.looking.inspect import funnel

    found = funnel(root)
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    from corpusmill.manifests.looking.tables import funnel_table, print_table, remarks

    if found.rows:
        print_table(funnel_table(found.rows, all_reasons))
    for remark in remarks(found):
        typer.echo(remark)


@app.command(rich_help_panel="Looking")
def verify(root: Root, as_json: Json = False) -> None:
    """Check every file, count and parent against the manifests.

    Exit code 4 if a check fails, 3 if all hold but shards are quarantined.
    """
    from corpusmill.manifests.looking.tables import verdict_line
    from corpusmill.manifests.looking.verify import verify as verify_run

    verdict = verify_run(root)
    if as_json:
        typer.echo(json.dumps(vars(verdict), ensure_ascii=False))
    else:
        remarks = (f"remark: {remark}" for remark in verdict.remarks)
        typer.echo(
            "\n".join([*verdict.problems, *verdict.quarantined, *remarks, verdict_line(verdict)])
        )
    if verdict.problems:
        raise typer.Exit(NOT_VERIFIED)
    if verdict.quarantined:
        raise typer.Exit(QUARANTINED)


@app.command(rich_help_panel="Looking")
def trace(
    root: Root,
    document: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="A document's id or URL; record:FILE@OFFSET, record:FILE#ROW or urn:uuid:... of "
            "its record; cluster:ID; item:SET/ITEM; file:PATH; sequence:N.",
        ),
    ],
    as_json: Json = False,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Write the record that the document was made from: the WARC record, JSON line, "
            "Parquet row or file, as it is.",
        ),
    ] = False,
) -> None:
    """Follow a document back to its source. Also a synthetic row, or a training sequence."""
    from corpusmill.manifests.looking.trace_text import sequence_text, trace_text

    if document.startswith("sequence:"):
        from corpusmill.stages.train.sequence import trace_sequence

        sequence = trace_sequence(root, document.removeprefix("sequence:"))
        typer.echo(
            json.dumps(sequence, ensure_ascii=False, default=str)
            if as_json
            else sequence_text(sequence)
        )
        return
    if document.startswith(("cluster:", "item:", "file:")):
        _trace_other(root, document, as_json)
        return
    from corpusmill.manifests.looking.trace import trace as trace_document

    if document.startswith(("record:", "urn:uuid:", "<urn:uuid:")):
        from corpusmill.manifests.looking.trace_kinds import documents_at

        document = documents_at(root, document)[0]
    found = trace_document(root, document)
    if record:
        from corpusmill.manifests.looking.trace import origin_of
        from corpusmill.stages.readers import locate

        sys.stdout.buffer.write(locate(origin_of(found)))
        return
    typer.echo(
        json.dumps(found.as_json(), ensure_ascii=False, default=str)
        if as_json
        else trace_text(found)
    )


def _trace_other(root: str, what: str, as_json: bool) -> None:
    """Print the documents of a cluster or an evaluation item, or the receipt of a file."""
    from corpusmill.manifests.looking import trace_kinds

    kind, _, name = what.partition(":")
    if kind == "file":
        receipt = trace_kinds.file_made_by(root, name)
        typer.echo(json.dumps(receipt) if as_json else trace_kinds.file_text(receipt))
        return
    rows = (trace_kinds.cluster if kind == "cluster" else trace_kinds.item)(root, name)
    lines = trace_kinds.rows_text(rows)
    typer.echo(json.dumps(rows, ensure_ascii=False) if as_json else "\n".join(lines))


@app.command(rich_help_panel="Looking")
def report(
    root: Root,
    price_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="Of one hour of one worker: the page then shows the cost."),
    ] = None,
) -> None:
    """Write one HTML page about a run. What stayed and why, costs, samples, charts, lineage."""
    from corpusmill.report.page import write_report

    typer.echo(write_report(root, price_per_hour))


@app.command(rich_help_panel="Looking")
def sample(
    folder: Annotated[str, typer.Argument(metavar="OUT/STAGE", help="A finished stage's folder.")],
    where: Annotated[
        str,
        typer.Option(help="A condition in SQL, e.g. \"level='low' and n_tokens>500\"."),
    ] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Documents at most.")] = 20,
    seed: Annotated[int, typer.Option(help="Another seed, other documents.")] = 0,
    excluded: Annotated[
        bool, typer.Option("--excluded", help="Of the documents that the stage dropped.")
    ] = False,
    both: Annotated[bool, typer.Option("--both", help="Of kept and dropped documents.")] = False,
    column: Annotated[
        list[str] | None, typer.Option(help="Only this column. Repeatable. For --json.")
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Whole texts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, all columns.")] = False,
) -> None:
    """Show documents of a stage that a condition holds for. Drawn by a seed."""
    from corpusmill.manifests.looking.sample import sample as sample_of
    from corpusmill.manifests.looking.sample import sample_text

    parts = ("documents", "excluded") if both else ("excluded" if excluded else "documents",)
    rows = sample_of(folder, where, count, seed, parts, tuple(column or ()))
    for row in rows:
        text = json.dumps(row, ensure_ascii=False, default=str) if as_json else ""
        typer.echo(text or sample_text(row, whole))
    if not rows and not as_json:
        typer.echo("no document matches")


@app.command(rich_help_panel="Looking")
def diff(
    first: Annotated[str, typer.Argument(metavar="OUT1", help="A run, or one stage's folder.")],
    second: Annotated[str, typer.Argument(metavar="OUT2", help="The one to compare with it.")],
    counts: Annotated[
        bool, typer.Option("--counts", help="Do not read documents: only settings and counts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what differs between two runs. Which setting did it, which documents moved."""
    from corpusmill.manifests.looking.diff import diff as diff_of
    from corpusmill.manifests.looking.diff import diff_json, diff_text

    found = diff_of(first, second, documents=not counts)
    typer.echo(
        json.dumps(diff_json(found), ensure_ascii=False, default=str)
        if as_json
        else diff_text(found)
    )


@app.command(rich_help_panel="Looking")
def domains(
    root: Root,
    sort: Annotated[
        SiteOrder, typer.Option(help="The order. rate: the sites first that lost most.")
    ] = SiteOrder["in"],
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="Sites to print.")] = 40,
    least: Annotated[int, typer.Option(min=0, help="Only sites with so many documents in.")] = 1,
    as_json: Json = False,
) -> None:
    """Show what became of each site's documents. Keep rate, tokens, quality, reasons."""
    from corpusmill.manifests.looking.domains import domains as domains_of
    from corpusmill.manifests.looking.domains import domains_table
    from corpusmill.manifests.looking.tables import print_table

    found = domains_of(root)
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        return
    print_table(domains_table(found, sort.value, most, least))
    typer.echo(f"{len(found.sites):,} sites; in: read by {found.first}, kept: by {found.last}")


@app.command(rich_help_panel="Looking")
def watch(
    root: Root,
    seconds: Annotated[float, typer.Option(min=0.5, help="Between two looks.")] = 5.0,
    page: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also write an HTML page that refreshes itself."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line a look.")] = False,
) -> None:
    """Follow a running job from its files.

    It may run on another machine. Ends when nothing runs.
    """
    from corpusmill.report.following import follow

    follow(root, seconds, page, once, as_json)


def _say(folder: str, manifest: "Manifest") -> None:
    """Print the line of a finished stage, and the summary.txt that a stage may leave."""
    from corpusmill.manifests.looking.tables import stage_line

    typer.echo(stage_line(folder, manifest))
    for output in manifest.outputs:
        if output.name == "summary.txt":
            from corpusmill.manifests.storage import read_bytes

            typer.echo(read_bytes(output.path).decode().rstrip())


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
        sys.exit(_exit_code(error))


def _exit_code(error: CorpusmillError) -> int:
    if isinstance(error, TimeUp):
        return TIME_UP
    return INTERRUPTED if isinstance(error, Interrupted) else USER_ERROR


if __name__ == "__main__":
    main()
