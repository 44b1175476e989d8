"""The verb that uses a trained model: `generate`."""

from enum import StrEnum
from typing import Annotated

import typer
from corpusmill.commands.exit_codes import QUARANTINED

DeviceKind = StrEnum("DeviceKind", ["auto", "cpu", "cuda"])
DtypeKind = StrEnum("DtypeKind", ["auto", "float32", "bfloat16"])


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
            help="The text to continue, or what is asked about each --image. Without --prompt, "
            "--input and --image, it is read from standard input.",
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
    if answer(options, _print_at_once):
        raise typer.Exit(QUARANTINED)


def _print_at_once(text: str) -> None:
    print(text, end="", flush=True)
