"""One server, asked by many requests at a time: when to ask again, how many at once, whom to blame.

- A busy server (429, 503) is asked again with exponential backoff and full jitter (Brooker 2015,
  "Exponential backoff and jitter"), as long as it answers others. Retry-After is honoured.
- The number of requests in flight halves when the server is busy, and grows by one a round of
  answers (additive increase, multiplicative decrease; Chiu and Jain 1989).
- A request that fails alone costs its row. To know that it is alone, the server is asked for a few
  tokens. If that fails too, the server is at fault, and no row is lost to it.
"""

import asyncio
import functools
import os
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Completion, failed
from corpusmill.stages.engines.replies import Fault, Refusal, read

_LONGEST_WAIT = 120.0
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_LEFT_OUT = ("max_tokens", "seed", "top_p", "temperature")  # fields that some servers do not take
_PROBES = 3
_PROBE_SECONDS = 0.5
_making = threading.Lock()
_REFUSED = (Fault.REQUEST, Fault.ACCESS)
_GO_ON = "then run the same command again; answers so far are kept"


@dataclass(frozen=True)
class Address:
    """Where and how to ask: settings of the engine. call: follows the url. key: empty if none."""

    url: str
    call: str
    model: str
    key_variable: str
    key: str = field(repr=False)
    in_flight: int
    timeout_seconds: float
    attempts: int
    backoff_seconds: float


@dataclass(frozen=True)
class Asked:
    """body: as it is sent. max_tokens: of the answer."""

    body: Mapping[str, Any]
    max_tokens: int


class Server:
    """A server's connections and health. A process has one for each address."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = _client(address)
        self._limit = float(address.in_flight)
        self._pausing = 0
        self._limited = self._answered = -float("inf")  # when it was last limited; last answered
        # How long it may be away: as long as one request's pauses can take.
        bounds = [address.backoff_seconds * 2**turn for turn in range(address.attempts - 1)]
        self._patience = sum(min(_LONGEST_WAIT, bound) for bound in bounds)

    def room(self) -> int:
        """Requests that may be in flight. Those that pause take no place."""
        return min(self._address.in_flight, int(self._limit) + self._pausing)

    async def complete(self, asked: Asked, probe: Asked) -> Completion:
        """The answer to one request.

        probe: a short request of the same kind. Raises EngineError if the server, and not this
        request, is at fault.
        """
        tries, began = 0, time.monotonic()
        while True:
            sent = time.monotonic()
            reply = await self._post(asked)
            if isinstance(reply, Completion):
                self._note_answer()
                return reply
            tries += 1
            if reply.fault is Fault.ACCOUNT:
                raise self._error("refuses to go on", reply.reason, f"settle that, {_GO_ON}")
            if reply.fault in _REFUSED:
                # A server that no longer takes the key still answers what it took before. So only
                # an answer to the probe shows that this request alone is refused.
                since = sent if reply.fault is Fault.REQUEST else float("inf")
                refused = await self._refuses(probe, since)
                if refused is None:
                    return failed(reply.reason)
                if refused.fault in _REFUSED:
                    raise self._error("refuses every request", refused.reason, self._mend(refused))
                reply = refused
            if reply.fault is Fault.BUSY:
                self._note_busy(sent)
            elif tries >= self._address.attempts and await self._refuses(probe, sent) is None:
                return failed(f"given up after {tries} attempts: {reply.reason}")
            away = time.monotonic() - max(began, self._answered)
            if tries >= self._address.attempts and away >= self._patience:
                raise self._error(
                    "stays away",
                    f"{reply.reason}; {tries} attempts a request",
                    f"start it or mend engine.url{_named_proxies()}, {_GO_ON}",
                )
            self._pausing += 1
            try:
                await asyncio.sleep(self._pause(tries, reply.retry_after))
            finally:
                self._pausing -= 1

    async def _refuses(self, probe: Asked, sent: float) -> Refusal | None:
        """Why the server answers nobody. None: it has answered another request since `sent`, or
        answers the probe now.
        """
        refusal: Refusal | None = None
        for turn in range(_PROBES):
            if turn:  # some servers refuse now and then; others may be answered meanwhile
                await asyncio.sleep(_PROBE_SECONDS)
            if self._answered >= sent:
                return None
            reply = await self._post(probe)
            if isinstance(reply, Completion):
                self._note_answer()
                return None
            refusal = reply
            if refusal.fault not in _REFUSED:
                break
        return refusal

    async def _post(self, asked: Asked) -> Completion | Refusal:
        """One attempt."""
        import httpx

        try:
            response = await self._client.post(
                self._address.url.rstrip("/") + self._address.call, json=asked.body
            )
        except httpx.ReadTimeout:
            seconds = self._address.timeout_seconds
            return Refusal(Fault.SHAKEN, f"no answer within {seconds:g} s")
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            return Refusal(Fault.SHAKEN, f"the connection was cut: {error or type(error).__name__}")
        except httpx.DecodingError as error:
            return Refusal(Fault.REQUEST, f"the answer's encoding is not what it says ({error})")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise EngineError(
                f"engine.url {self._address.url} is not an address ({error})",
                "write http://HOST:PORT/v1",
            ) from error
        except httpx.TransportError as error:
            return Refusal(Fault.BUSY, f"{type(error).__name__}: {error}")
        if response.is_redirect:
            raise EngineError(
                f"the server at {self._address.url} redirects to "
                f"{response.headers.get('location', 'nowhere')}",
                "set engine.url to that address, up to and including /v1",
            )
        reply = read(response.status_code, response.headers, response.content, asked.max_tokens)
        if isinstance(reply, Refusal) and self._address.key:
            hidden = reply.reason.replace(self._address.key, "***")
            return Refusal(reply.fault, hidden, reply.retry_after)
        return reply

    def _note_answer(self) -> None:
        self._answered = time.monotonic()
        self._limit = min(self._address.in_flight, self._limit + 1 / self._limit)

    def _note_busy(self, sent: float) -> None:
        """Halve the limit, once for all requests that were sent under the old one."""
        if sent >= self._limited:
            self._limited = time.monotonic()
            self._limit = max(1.0, self._limit / 2)

    def _pause(self, tries: int, asked: float | None) -> float:
        """Seconds before the next try: full jitter below a bound that doubles, and at least what
        the server asks for.
        """
        bound = min(_LONGEST_WAIT, self._address.backoff_seconds * 2.0 ** min(tries - 1, 32))
        return min(_LONGEST_WAIT, max(random.uniform(0, bound), asked or 0.0))

    def _mend(self, refused: Refusal) -> str:
        """What to do about a server that refuses every request."""
        address, said = self._address, refused.reason.lower()
        hints = [
            f"check engine.url, engine.model ({address.model}) and the key in "
            f"${address.key_variable}{_named_proxies()}"
        ]
        if "max_completion_tokens" in said:
            hints.append("set engine.rename: {max_tokens: max_completion_tokens}")
        elif found := next((name for name in _LEFT_OUT if name in said), None):
            hints.append(f"if it does not know {found}, set engine.rename: {{{found}: null}}")
        if address.call == "/completions" and ("prompt" in said or re.search("http 40[45]", said)):
            hints.append("if it takes no token ids or has chat only, set engine.api: chat")
        return "; ".join(hints)

    def _error(self, does: str, reason: str, mend: str) -> EngineError:
        return EngineError(f"the server at {self._address.url} {does} ({reason})", mend)


def server(address: Address) -> Server:
    """The process's server at this address: one client, whose connections are used again."""
    with _making:
        return _server(address)


@functools.lru_cache(maxsize=4)
def _server(address: Address) -> Server:
    return Server(address)


def _client(address: Address) -> Any:
    import httpx

    try:
        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {address.key}"} if address.key else {},
            timeout=httpx.Timeout(address.timeout_seconds, connect=10.0),
            limits=httpx.Limits(
                max_connections=address.in_flight, max_keepalive_connections=address.in_flight
            ),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise EngineError(
            f"no connection can be made ({error})", f"check engine.url{_named_proxies()}"
        ) from error


def _named_proxies() -> str:
    """The variables that send requests through a proxy, for a message."""
    found = [name for name in _PROXIES if os.environ.get(name)]
    return f" and the proxy in ${', $'.join(found)}" if found else ""
