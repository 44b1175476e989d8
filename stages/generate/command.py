"""What `corpusmill generate` does: ask the model, and print text as it comes or JSON lines."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from corpusmill.manifests.errors import InputError
from corpusmill.stages.engines import chat, embedded
from corpusmill.stages.generate import model as models
from corpusmill.stages.generate.records import Asked, Record, asked, asked_by_lines

if TYPE_CHECKING:
    from corpusmill.trainer.generation.generator import Answer, Generator, Prompt

Say = Callable[[str], None]  # prints a text without a line end


@dataclass(frozen=True)
class Options:
    """What the command line says. prompt: a text. input: a file of JSON lines; `-` is standard
    input. Without both, standard input is the text. samples: answers for each prompt.
    """

    model: str
    defaults: Record
    prompt: str | None = None
    input: str | None = None
    tokenizer: str | None = None
    chat: bool = False
    samples: int = 1
    log_probabilities: bool = False
    as_json: bool = False
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 1
    slots: int = 16


def generate(options: Options, say: Say) -> int:
    """Answer all prompts. Returns how many of a file's prompts were too long for the model.

    Raises CorpusmillError if there is no such model, device or prompt.
    """
    chosen = models.choose(options.model, options.tokenizer)
    tokenizer = chat.load(chosen.tokenizer)
    questions = _questions(options, tokenizer)
    if options.input is None and (problem := _too_long(questions[0], chosen.context)):
        raise InputError(problem, "shorten it, or take a model with a longer context")
    generator = embedded.load_generator(
        chosen.folder,
        tokenizer,
        chosen.end_tokens,
        min(options.slots, len(questions) * options.samples) or 1,
        options.device,
        options.dtype,
        options.threads,
    )
    if options.input is None and not options.as_json and not options.log_probabilities:
        return _print_text(generator, questions[0], options, chosen.context, tokenizer, say)
    return _print_lines(generator, questions, options, chosen.context, say)


def _questions(options: Options, tokenizer: chat.ChatTokenizer) -> list[Asked]:
    """All prompts. A line that is none is found before the model works."""
    if options.input is None:
        text = _piped_text() if options.prompt is None else options.prompt
        record = options.defaults.model_copy(update={"prompt": text})
        return [asked(record, {"prompt": text}, options.chat, tokenizer)]
    name, lines = options.input, _lines(options.input)
    found = list(asked_by_lines(name, lines, options.defaults, options.chat, tokenizer))
    if not found:
        raise InputError(f"{name} holds no prompt", "write a JSON object a line")
    return found


def _lines(name: str) -> list[str]:
    if name == "-":
        return sys.stdin.read().splitlines()
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{name} cannot be read ({error})", "give a UTF-8 file of JSON lines"
        ) from error


def _piped_text() -> str:
    if sys.stdin.isatty():
        raise InputError(
            "there is no prompt", "give --prompt TEXT or --input FILE.jsonl, or pipe a text"
        )
    return sys.stdin.read()


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
) -> Literal[0]:
    """The answer as it comes; several answers one after the other, each behind a line `--- N`."""
    typed = _Typed(tokenizer, question.record.stop, say)
    prompts = _prompts([question], options, context)
    if options.samples == 1:
        for _, answer in generator.generate(prompts, typed.hear):
            typed.finish(answer.text)
        return 0
    answers = dict(generator.generate(prompts))
    for number, (_, answer) in enumerate(sorted(answers.items()), 1):
        say(f"--- {number}\n{answer.text}\n")
    return 0


class _Typed:
    """Prints the text of tokens as they come, but for what may still change: half a letter, or the
    begin of a stop string.
    """

    def __init__(self, tokenizer: chat.ChatTokenizer, stop: Sequence[str], say: Say) -> None:
        self._decode, self._stop, self._say = tokenizer.decode, stop, say
        self._held = max([len(text) - 1 for text in stop if text], default=0)
        self._ids: list[int] = []
        self._printed = 0

    def hear(self, index: int, tokens: list[int]) -> None:
        self._ids += tokens
        text = self._decode(self._ids)
        if not text.endswith("\ufffd") and not any(stop and stop in text for stop in self._stop):
            self._print(text[: len(text) - self._held])

    def finish(self, text: str) -> None:
        self._print(text)
        self._say("\n")

    def _print(self, text: str) -> None:
        if len(text) > self._printed:
            self._say(text[self._printed :])
            self._printed = len(text)


def _print_lines(
    generator: "Generator",
    questions: Sequence[Asked],
    options: Options,
    context: int | None,
    say: Say,
) -> int:
    """A JSON line for each answer, in the order of the input. Returns how many have an error."""
    ready: dict[int, list[dict[str, Any]]] = {}  # place of a question -> its lines
    answers: dict[int, dict[int, dict[str, Any]]] = {}  # its answers so far, by sample
    fitting: list[int] = []
    for place, question in enumerate(questions):
        if problem := _too_long(question, context):
            ready[place] = [{**question.source, "answer": "", "error": problem}]
        else:
            fitting.append(place)
    failed, printed = len(ready), 0

    def print_ready() -> None:
        nonlocal printed
        while printed in ready:
            for line in ready.pop(printed):
                say(json.dumps(line, ensure_ascii=False) + "\n")
            printed += 1

    print_ready()
    asked_for = [questions[place] for place in fitting]
    for number, answer in generator.generate(_prompts(asked_for, options, context)):
        place, sample = fitting[number // options.samples], number % options.samples
        answers.setdefault(place, {})[sample] = _line(questions[place], answer)
        if len(answers[place]) == options.samples:
            ready[place] = [line for _, line in sorted(answers.pop(place).items())]
            print_ready()
    return failed


def _line(question: Asked, answer: "Answer") -> dict[str, Any]:
    line = {
        **question.source,
        "answer": answer.text,
        "finish_reason": answer.finish_reason,
        "n_prompt_tokens": len(question.ids),
        "n_output_tokens": len(answer.token_ids),
    }
    if answer.log_probabilities is not None:
        line |= {"tokens": answer.token_ids, "log_probabilities": answer.log_probabilities}
    return line
