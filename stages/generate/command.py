"""What `corpusmill generate` does: ask the model, and print text as it comes, or JSON lines."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from corpusmill.manifests.errors import EngineError, InputError
from corpusmill.stages.engines import chat, embedded
from corpusmill.stages.generate import model as models
from corpusmill.stages.generate.images import read_images
from corpusmill.stages.generate.lines import Lines
from corpusmill.stages.generate.options import Options
from corpusmill.stages.generate.reading import piped_prompt, read_lines
from corpusmill.stages.generate.records import Asked, asked, asked_by_lines
from corpusmill.stages.generate.typed import Say, Typed

if TYPE_CHECKING:
    from corpusmill.trainer.generation.generator import Generator, Prompt


def generate(options: Options, say: Say) -> int:
    """Answer all prompts, or read all images. Returns how many had no answer: too long for the
    model, or no image.

    Raises CorpusmillError if there is no such model, device or prompt, or too little GPU memory.
    """
    import torch

    try:
        return read_images(options, say) if options.images else _answer(options, say)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"the GPU has too little memory for this model with --slots {options.slots}",
            "set a smaller --slots; --dtype bfloat16 if it is float32; or --device cpu",
        ) from error


def _answer(options: Options, say: Say) -> int:
    chosen = models.choose(options.model, options.tokenizer)
    tokenizer = chat.load(chosen.tokenizer)
    questions = _questions(options, tokenizer)
    if options.input is None and (problem := _too_long(questions[0], chosen.context)):
        raise InputError(problem, "shorten it, or take a model with a longer context")
    generator = embedded.load_generator(
        chosen.folder,
        tokenizer,
        chosen.end_tokens,
        options.slots_for(len(questions)),
        options.device,
        options.dtype,
        options.threads,
    )
    if options.input is None and not options.as_json and not options.log_probabilities:
        _print_text(generator, questions[0], options, chosen.context, tokenizer, say)
        return 0
    return _print_lines(generator, questions, options, chosen.context, say)


def _questions(options: Options, tokenizer: chat.ChatTokenizer) -> list[Asked]:
    """All prompts. A line that is none is found before the model works."""
    if options.input is None:
        text = piped_prompt() if options.prompt is None else options.prompt
        record = options.defaults.model_copy(update={"prompt": text})
        return [asked(record, {"prompt": text}, options.chat, tokenizer)]
    name = "standard input" if options.input == "-" else options.input
    lines = read_lines(options.input)
    found = list(asked_by_lines(name, lines, options.defaults, options.chat, tokenizer))
    if not found:
        raise InputError(f"{name} holds no prompt", "write a JSON object a line")
    return found


def _too_long(question: Asked, context: int | None) -> str:
    """Why no answer fits. Empty: at least one token does."""
    if context is None or len(question.ids) < context:
        return ""
    return f"the prompt has {len(question.ids)} tokens, and the model's context is {context}"


def _prompts(
    questions: Sequence[Asked], options: Options, context: int | None
) -> Iterator["Prompt"]:
    """`samples` prompts for each question. An answer ends with the context at the latest."""
    from corpusmill.trainer.generation.generator import Prompt, Sampling

    for question in questions:
        how = question.record
        room = how.max_tokens if context is None else context - len(question.ids)
        for sample in range(options.samples):
            yield Prompt(
                question.ids,
                min(how.max_tokens, room),
                Sampling(how.temperature, how.top_p, how.top_k, how.seed_of(sample)),
                tuple(stop for stop in how.stop if stop),
                options.log_probabilities,
            )


def _print_text(
    generator: "Generator",
    question: Asked,
    options: Options,
    context: int | None,
    tokenizer: chat.ChatTokenizer,
    say: Say,
) -> None:
    """The answer as it comes; several answers one after the other, each below a line `--- N`."""
    prompts = _prompts([question], options, context)
    if options.samples == 1:
        typed = Typed(tokenizer.decode, question.record.stop, say)
        for _, answer in generator.generate(prompts, typed.hear):
            typed.finish(answer.text)
        return
    answers = dict(generator.generate(prompts))
    for number, (_, answer) in enumerate(sorted(answers.items()), 1):
        say(f"--- {number}\n{answer.text}\n")


def _print_lines(
    generator: "Generator",
    questions: Sequence[Asked],
    options: Options,
    context: int | None,
    say: Say,
) -> int:
    """A JSON line for each answer, in the order of the input. Returns how many have an error."""
    lines = Lines(questions, options.samples, say)
    fitting: list[int] = []
    for place, question in enumerate(questions):
        if problem := _too_long(question, context):
            lines.fail(place, problem)
        else:
            fitting.append(place)
    lines.print_complete()
    prompts = _prompts([questions[place] for place in fitting], options, context)
    for number, answer in generator.generate(prompts):
        lines.add(fitting[number // options.samples], number % options.samples, answer)
        lines.print_complete()
    return len(questions) - len(fitting)
