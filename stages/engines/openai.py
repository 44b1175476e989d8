"""The engine behind any OpenAI-compatible server, such as `vllm serve`: many requests over HTTP.

`stages.engines.server` asks, and asks again. `stages.engines.replies` reads the answers.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from corpusmill.manifests.errors import EngineError, ModelError, RecipeError
from corpusmill.manifests.settings import Settings
from corpusmill.stages.engines import chat
from corpusmill.stages.engines.contract import Completion, Request
from corpusmill.stages.engines.pictures import harmless_content
from corpusmill.stages.engines.server import Address, Asked, Server, server
from corpusmill.stages.engines.stream import streamed
from pydantic import JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

_PROBE_TOKENS = 16  # of the answer; some servers refuse fewer


class OpenAIEngine(Settings):
    """A server that speaks the OpenAI protocol, such as `vllm serve`."""

    kind: Literal["openai"] = "openai"
    url: str | tuple[str, ...] = "http://127.0.0.1:8000/v1"
    """The server's address, up to and including /v1. A list, if several servers have the model.

    Requests go where there is room. A server that is away gets none until it is back.
    """
    model: str
    """The name that the server gives its model."""
    tokenizer_name: str = ""
    """Folder or hub name of the served model's tokenizer. Empty: the same as `model`.

    If it is not published, set `api: chat` and name another: limits are then about right.
    """
    revision: str = ""
    """Which weights are served, where the name alone does not say. Goes into ids and lineage."""
    api: Literal["completions", "chat"] = "completions"
    """`completions` sends token ids, so that what was counted is what is read.

    `chat` sends messages, for servers that cannot take token ids.
    """
    api_key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key."""
    context: PositiveInt | None = None
    """Tokens of prompt and answer that the server accepts. Null: no limit."""
    server_gpus: NonNegativeFloat = 0
    """GPUs behind all of `url`, for the GPU hours that the manifest tells. 0: it tells none."""
    in_flight: PositiveInt = 256
    """Requests at a time and server, at most. A busy or slow server gets fewer."""
    timeout_seconds: PositiveFloat = 600.0
    """Longest wait for one answer, in seconds."""
    attempts: PositiveInt = 6
    """Tries of one request."""
    backoff_seconds: NonNegativeFloat = 1.0
    """Longest wait before the second try, in seconds. It doubles with every further try."""
    template_arguments: dict[str, JsonValue] | None = None
    """Further variables of the model's chat template. `chat` sends them to the server."""
    extra: dict[str, JsonValue] | None = None
    """Further fields of the request body."""
    rename: dict[str, str | None] | None = None
    """Fields of the request body that the server calls otherwise. Null leaves one out.

    Example: {max_tokens: max_completion_tokens, seed: null}
    """

    @field_validator("url")
    @classmethod
    def _holds_no_password(cls, url: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not url:
            raise RecipeError("url is empty", "write http://HOST:PORT/v1")
        if any("@" in urlsplit(each).netloc for each in _listed(url)):
            raise RecipeError(
                "url holds a user name or a key, and manifests show it",
                "put the key into the variable that api_key_variable names",
            )
        return url

    @property
    def cpus(self) -> float:
        return 1

    @property
    def gpus(self) -> float:
        return 0

    @property
    def gpus_behind(self) -> float | None:
        return self.server_gpus

    @property
    def streams(self) -> int:
        return 2

    def tokenizer(self) -> chat.ChatTokenizer:
        return replace(self._named_tokenizer(), elsewhere=self.api == "chat")

    def _named_tokenizer(self) -> chat.ChatTokenizer:
        if self.tokenizer_name:
            return chat.load(self.tokenizer_name, self.template_arguments)
        try:
            return chat.load(self.model, self.template_arguments)
        except ModelError as error:
            raise ModelError(
                error.what,
                f"{error.mend}; or set engine.tokenizer_name to the folder or hub name of the "
                "served model's tokenizer, by whose tokens segments are cut (with engine.api: "
                "chat, any tokenizer will do, such as package:models/tiny: limits are then about "
                "right)",
            ) from error

    def context_length(self) -> int | None:
        return self.context

    def identity(self) -> str:
        return f"{self.model}@{self.revision}" if self.revision else self.model

    def refuse_machine(self) -> None:
        """The servers have the devices."""

    def answers(self, requests: Iterator[Request]) -> Iterator[tuple[int, Completion]]:
        asked: Server = server(self._address())

        async def ask(request: Request) -> Completion:
            return await asked.complete(self._asked(request), self._probe(request))

        return streamed(ask, requests, asked.room)

    def _address(self) -> Address:
        return Address(
            urls=_listed(self.url),
            call="/completions" if self.api == "completions" else "/chat/completions",
            model=self.model,
            key_variable=self.api_key_variable,
            key=self._key(),
            in_flight=self.in_flight,
            timeout_seconds=self.timeout_seconds,
            attempts=self.attempts,
            backoff_seconds=self.backoff_seconds,
        )

    def _key(self) -> str:
        """The key. Raises EngineError, which does not show it, if no header can carry it."""
        key = os.environ.get(self.api_key_variable, "").strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise EngineError(
                f"${self.api_key_variable} holds no key: it has blanks, control signs or letters "
                "beyond ASCII",
                "set it to the key alone",
            )
        return key

    def _asked(self, request: Request) -> Asked:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            **({"stop": list(request.stop)} if request.stop else {}),
            **({"response_format": _forced(request.schema)} if request.schema else {}),
        }
        if self.api == "completions":
            body["prompt"] = list(request.token_ids)
        else:
            body["messages"] = list(request.messages)
            if self.template_arguments:
                body["chat_template_kwargs"] = dict(self.template_arguments)
        for name, other in (self.rename or {}).items():
            value = body.pop(name, None)
            if other is not None and value is not None:
                body[other] = value
        return Asked({**body, **(self.extra or {})}, request.max_tokens)

    def _probe(self, request: Request) -> Asked:
        """A short request of the same kind."""
        return self._asked(
            replace(
                request,
                token_ids=request.token_ids[-1:],
                messages=({"role": "user", "content": harmless_content(request)},),
                max_tokens=_PROBE_TOKENS,
            )
        )


def _forced(schema: str) -> dict[str, Any]:
    """What forces an answer of this JSON Schema. vLLM takes it with token ids, too."""
    named = {"name": "answer", "strict": True, "schema": json.loads(schema)}
    return {"type": "json_schema", "json_schema": named}


def _listed(url: str | tuple[str, ...]) -> tuple[str, ...]:
    return (url,) if isinstance(url, str) else url
