"""What a text-generation engine is: requests in, completions out, in order, one for one.

An engine is a configuration (a line of a recipe). It loads its model once per process, on first
use. It knows neither prompts nor documents. A request that it cannot serve becomes a completion
with an error, never an exception. If the engine cannot go on at all, it raises EngineError, and
the stage stops.

A request has a seed. So a row's text depends on the request alone, not on its neighbours in a
batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from corpusmill.stages.engines.chat import ChatTokenizer

Message = dict[str, str]
Answered = Callable[[int], None]  # is told the number of answers so far


@dataclass(frozen=True)
class Request:
    """token_ids: the whole prompt with chat markup. messages: the same as a chat, for servers
    that render it themselves. seed: below 2**31, the range that every server accepts.
    """

    token_ids: tuple[int, ...]
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...] = ()


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


def silent(answers: int) -> None:
    """Tell nobody."""


class Engine(Protocol):
    @property
    def cpus(self) -> float:
        """What one worker that holds this engine needs."""
        ...

    @property
    def gpus(self) -> float: ...

    def tokenizer(self) -> ChatTokenizer:
        """The tokenizer of the model that answers. Raises ModelError if there is none."""
        ...

    def context_length(self) -> int | None:
        """Tokens of prompt and answer together, or None without a limit."""
        ...

    def identity(self) -> str:
        """Which model answers: its name, and a digest of its weights if they are at hand. It is
        part of ids and lineage.

        Raises ModelError or EngineError before the first shard if the engine cannot be used.
        """
        ...

    def generate(
        self, requests: Sequence[Request], answered: Answered = silent
    ) -> list[Completion]:
        """One completion for each request, in order. Raises EngineError if the engine fails.

        answered: is told how many requests have an answer so far, from this or another thread of
        the process. An engine that answers all at once need not call it.
        """
        ...


def failed(error: str) -> Completion:
    """A request that got no answer."""
    return Completion("", "error", error=" ".join(error.split())[:500])
