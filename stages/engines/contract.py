"""What a text-generation engine is: a stream of requests in, a stream of completions out.

An engine is a configuration (a line of a recipe). It loads its model once per process, on first
use. It knows neither prompts nor documents. It takes the next request when it has room for it, and
gives each answer as it comes. So a long answer holds up nobody.

A request that cannot be served becomes a completion with an error, never an exception. If the
engine cannot go on at all, it raises EngineError, and the stage stops. A fault that passes (a busy
server, an empty account) is of the second kind: no row may be lost to it.

A request has a seed. So a row's text depends on the request alone, not on its neighbours in a
batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from corpusmill.stages.engines.chat import ChatTokenizer

# role, and content: a text, or a list of parts if there is an image (`stages.engines.pictures`).
Message = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """token_ids: the whole prompt with chat markup; empty if it holds an image. messages: the same
    as a chat, for servers that render it themselves. seed: below 2**31, the range that every server
    accepts. schema: a JSON Schema, as JSON, that the answer is to have. Engines that cannot force
    it do not.
    """

    token_ids: tuple[int, ...]
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...] = ()
    schema: str = ""

    def unfit(self, context: int | None) -> str:
        """Why a model with so many tokens of context cannot answer. Empty: it can."""
        needed = len(self.token_ids) + self.max_tokens
        if not self.token_ids:
            return "the prompt is empty"
        if context is not None and needed > context:
            return f"prompt and answer need {needed} tokens, the model has {context}"
        return ""


@dataclass(frozen=True)
class Completion:
    """An answer. finish_reason: stop (the model ended it), length (max_tokens cut it), or error
    (see `error`; `text` is then empty).
    """

    text: str
    finish_reason: Literal["stop", "length", "error"]
    n_prompt_tokens: int = 0
    n_output_tokens: int = 0
    error: str = ""


class Answering(Protocol):
    """What answers requests: an engine for text, or one that takes images."""

    @property
    def cpus(self) -> float:
        """What one worker that holds this engine needs."""
        ...

    @property
    def gpus(self) -> float: ...

    @property
    def gpus_behind(self) -> float | None:
        """GPUs of the servers that answer, 0 if not known. None: a worker holds the engine."""
        ...

    @property
    def streams(self) -> int:
        """How many streams may run at once in a process. With two, the end of one shard leaves no
        GPU idle.
        """
        ...

    def identity(self) -> str:
        """Which model answers: its name, and a digest of its weights if they are at hand. It is
        part of ids and lineage.

        Raises ModelError or EngineError before the first shard if the engine cannot be used.
        """
        ...

    def refuse_machine(self) -> None:
        """Raises CorpusmillError if this machine has not the device that the engine needs."""
        ...

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        """(index, completion) of every request, in any order. The index counts the requests
        from 0.

        Requests are pulled in the caller's thread, while it waits for the next answer, and no more
        of them than the engine has room for. Raises EngineError if the engine fails.
        """
        ...


class Engine(Answering, Protocol):
    """An engine for text. Its tokenizer says what fits."""

    def tokenizer(self) -> ChatTokenizer:
        """The tokenizer of the model that answers. Raises ModelError if there is none."""
        ...

    def context_length(self) -> int | None:
        """Tokens of prompt and answer together, or None without a limit."""
        ...


def in_order(engine: Engine, requests: Iterable[Request]) -> list[Completion]:
    """One completion for each request, in the order of the requests. All are held in memory."""
    found = dict(engine.answers(iter(requests)))
    return [found[index] for index in range(len(found))]


def failed(error: str) -> Completion:
    """A request that got no answer."""
    return Completion("", "error", error=" ".join(error.split())[:500])
