"""The engine behind any OpenAI-compatible server, such as `vllm serve`: many requests over HTTP.

If the server refuses one request (too long, bad parameter) or answers it with rubbish, only that
row fails. If the server is busy or away (429, 5xx, cut or refused connections), the request is sent
again, with exponential backoff and full jitter. Retry-After is honoured. If the server stays away,
the engine raises EngineError with its address.
"""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.manifests.settings import Settings
from corpusmill.stages.engines import chat
from corpusmill.stages.engines.contract import Answered, Completion, Request, failed, silent
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from tenacity import RetryCallState

_BUSY = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_NEVER_SERVED = {401, 403, 404, 405}  # wrong key, path or model name: no request can succeed
_LONGEST_WAIT = 120.0
# After so many requests in a row without an answer, the server is at fault, not the requests.
_GIVEN_UP_IN_A_ROW = 8


class OpenAIEngine(Settings):
    """A server that speaks the OpenAI protocol, such as `vllm serve`."""

    kind: Literal["openai"] = "openai"
    url: str = "http://127.0.0.1:8000/v1"
    """The server's address, up to and including /v1."""
    model: str
    """The name that the server gives its model."""
    tokenizer_name: str = ""
    """Folder or hub name of the served model's tokenizer. Empty: the same as `model`."""
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
    in_flight: PositiveInt = 64
    """Requests at a time."""
    timeout_seconds: PositiveFloat = 600.0
    """Longest wait for one answer, in seconds."""
    attempts: PositiveInt = 6
    """Tries of one request."""
    backoff_seconds: NonNegativeFloat = 1.0
    """Longest wait before the second try, in seconds. It doubles with every further try."""
    template_arguments: dict[str, str | bool | int | float] | None = None
    """Further variables of the model's chat template."""
    extra: dict[str, str | bool | int | float] | None = None
    """Further fields of the request body."""

    @property
    def cpus(self) -> float:
        return 1

    @property
    def gpus(self) -> float:
        return 0

    def tokenizer(self) -> chat.ChatTokenizer:
        name = self.tokenizer_name or self.model
        try:
            return chat.load(name, self.template_arguments)
        except ModelError as error:
            raise ModelError(
                f"the tokenizer of the served model cannot be loaded ({error.what})",
                "set engine.tokenizer_name to its folder or hub name; segments are cut by its "
                "tokens",
            ) from error

    def context_length(self) -> int | None:
        return self.context

    def identity(self) -> str:
        return f"{self.model}@{self.revision}" if self.revision else self.model

    def generate(
        self, requests: Sequence[Request], answered: Answered = silent
    ) -> list[Completion]:
        return asyncio.run(self._generate(requests, answered))

    async def _generate(self, requests: Sequence[Request], answered: Answered) -> list[Completion]:
        import httpx

        key = os.environ.get(self.api_key_variable, "")
        limits = httpx.Limits(
            max_connections=self.in_flight, max_keepalive_connections=self.in_flight
        )
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(self.timeout_seconds, connect=10.0),
            limits=limits,
        ) as client:
            completions: dict[int, Completion] = {}
            waiting = iter(enumerate(requests))
            health = _Health()

            async def serve() -> None:
                # Workers share one iterator. So a long answer holds up nobody, and after an error
                # the rest is not asked.
                for index, request in waiting:
                    completions[index] = await self._complete(client, request, health)
                    answered(len(completions))

            workers = [
                asyncio.create_task(serve()) for _ in range(min(self.in_flight, len(requests)))
            ]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
        if not health.answered and health.given_up > 1:
            raise self._away(health.reason)
        errors = [
            completion.error
            for completion in completions.values()
            if completion.finish_reason == "error"
        ]
        if len(errors) == len(requests) >= _GIVEN_UP_IN_A_ROW:
            raise EngineError(
                f"the server at {self.url} answers no request correctly ({errors[0]})",
                "check engine.url, engine.model and engine.extra",
            )
        return [completions[index] for index in range(len(requests))]

    async def _complete(self, client: Any, request: Request, health: "_Health") -> Completion:
        from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt

        tries = AsyncRetrying(
            retry=retry_if_result(lambda reply: isinstance(reply, _Busy)),
            stop=stop_after_attempt(self.attempts),
            wait=self._pause,
            sleep=asyncio.sleep,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        reply: Completion | _Busy = await tries(self._ask, client, request)
        if isinstance(reply, Completion):
            health.given_up = 0
            health.answered = True
            return reply
        health.given_up += 1
        health.reason = reply.reason
        if reply.reached and health.given_up < _GIVEN_UP_IN_A_ROW:
            return failed(f"given up after {self.attempts} attempts: {reply.reason}")
        raise self._away(reply.reason)

    def _pause(self, state: "RetryCallState") -> float:
        """Seconds before the next try: full jitter below a bound that doubles.

        It is at least what the server asks for, and at most `_LONGEST_WAIT`.
        """
        from tenacity import wait_random_exponential

        jittered = wait_random_exponential(self.backoff_seconds, max=_LONGEST_WAIT)(state)
        reply = state.outcome.result() if state.outcome else None
        asked = reply.retry_after if isinstance(reply, _Busy) else None
        return min(_LONGEST_WAIT, max(jittered, asked or 0.0))

    def _away(self, reason: str) -> EngineError:
        return EngineError(
            f"the server at {self.url} stays away ({reason}; {self.attempts} attempts a request)",
            "start it or mend engine.url, then run the same command again; "
            "finished shards are kept",
        )

    async def _ask(self, client: Any, request: Request) -> "Completion | _Busy":
        """One attempt. Raises EngineError if no request can succeed."""
        import httpx

        try:
            response = await client.post(self._address(), json=self._body(request))
        except httpx.ReadTimeout:
            return _Busy(f"no answer within {self.timeout_seconds:g} s")
        except httpx.RemoteProtocolError as error:
            return _Busy(f"the connection was cut: {error}")
        except httpx.ReadError as error:
            return _Busy(f"the connection was cut: {error or type(error).__name__}")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise EngineError(
                f"engine.url {self.url} is not an address ({error})", "write http://HOST:PORT/v1"
            ) from error
        except httpx.TransportError as error:
            return _Busy(f"{type(error).__name__}: {error}", reached=False)
        if response.status_code in _BUSY:
            return _Busy(
                _http_error(response), retry_after=_retry_after(response.headers.get("retry-after"))
            )
        if response.status_code in _NEVER_SERVED:
            chat_only = self.api == "completions" and response.status_code in (404, 405)
            raise EngineError(
                f"the server at {self.url} refuses every request ({_http_error(response)})",
                f"check engine.url, engine.model ({self.model}) and the key in "
                f"${self.api_key_variable}"
                + ("; if the server has chat only, set engine.api: chat" if chat_only else ""),
            )
        if response.status_code != 200:
            return failed(_http_error(response))
        return _read(response.content, self.api)

    def _address(self) -> str:
        return self.url.rstrip("/") + (
            "/completions" if self.api == "completions" else "/chat/completions"
        )

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.seed,
            **(self.extra or {}),
        }
        if request.stop:
            body["stop"] = list(request.stop)
        if self.api == "completions":
            return {**body, "prompt": list(request.token_ids)}
        return {**body, "messages": list(request.messages)}


@dataclass(frozen=True)
class _Busy:
    """A failed attempt that may be repeated. reached: whether anything answered at all."""

    reason: str
    retry_after: float | None = None
    reached: bool = True


@dataclass
class _Health:
    """given_up: requests in a row that got no answer after every attempt. reason: of the last of
    them. answered: whether any request got an answer.

    If one request breaks the server, only that request is given up. If several are given up and no
    other gets an answer, the server is at fault.
    """

    given_up: int = 0
    reason: str = ""
    answered: bool = False


def _read(content: bytes, api: str) -> Completion:
    """The first choice of a 200 answer. An answer that breaks the protocol is a failed row."""
    try:
        record = json.loads(content)
        choice = record["choices"][0]
        text = choice["text"] if api == "completions" else choice["message"]["content"]
        usage = record.get("usage") or {}
        n_prompt, n_output = (
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
        )
        reason = choice["finish_reason"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        excerpt = content[:120].decode("utf-8", "replace")
        return failed(
            f"the answer is not what the protocol says ({type(error).__name__}: {error}): {excerpt}"
        )
    if not isinstance(text, str) or reason not in ("stop", "length"):
        return failed(f"the server ended with finish_reason {reason!r}")
    return Completion(text, reason, n_prompt, n_output)


def _http_error(response: Any) -> str:
    return f"HTTP {response.status_code}: {' '.join(response.text.split())[:300]}"


def _retry_after(value: str | None) -> float | None:
    """Seconds that the server asks to wait: a number or an HTTP date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
