"""A server, or several of one model, asked by many requests at a time: when to ask again, whom to
blame.

- A busy server (429, 503) is asked again with exponential backoff and full jitter (Brooker 2015,
  "Exponential backoff and jitter"), as long as it answers others. Retry-After is honoured.
- How many requests an address gets, `stages.engines.endpoint` decides. A request that an address
  fails goes to another one, if there are several.
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
from dataclasses import dataclass, field, replace
from typing import Any

from corpusmill.manifests.errors import EngineError
from corpusmill.stages.engines.contract import Completion, failed
from corpusmill.stages.engines.endpoint import Endpoint
from corpusmill.stages.engines.replies import Fault, Refusal, read

_LONGEST_WAIT = 120.0
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
# Fields that some servers do not take.
_LEFT_OUT = ("response_format", "max_tokens", "seed", "top_p", "temperature")
_FIRST_SHARE = 0.1  # of that patience, for servers that never answered and take no connection
_PROBES = 3
_PROBE_SECONDS = 0.5
_making = threading.Lock()
_REFUSED = (Fault.REQUEST, Fault.ACCESS)
_GO_ON = "then run the same command again; answers so far are kept"


@dataclass(frozen=True)
class Address:
    """Where and how to ask: settings of the engine. call: follows the url. key: empty if none.
    in_flight: at each url.
    """

    urls: tuple[str, ...]
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
    """Connections to all addresses of a model. A process has one for each setting."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client = _client(address)
        self._endpoints = [
            Endpoint(url.rstrip("/"), address.in_flight, address.timeout_seconds / 2)
            for url in address.urls
        ]
        self._pausing = 0
        # How long it may be away: as long as one request's pauses can take.
        bounds = [address.backoff_seconds * 2**turn for turn in range(address.attempts - 1)]
        self._patience = sum(min(_LONGEST_WAIT, bound) for bound in bounds)

    def room(self) -> int:
        """Requests that may be in flight. Those that pause take no place."""
        most = self._address.in_flight * len(self._endpoints)
        limits = sum(each.limit for each in self._endpoints if not each.rests)
        return min(most, limits + self._pausing)

    async def complete(self, asked: Asked, probe: Asked) -> Completion:
        """The answer to one request.

        probe: a short request of the same kind. Raises EngineError if the server, and not this
        request, is at fault.
        """
        tries, began = 0, time.monotonic()
        endpoint: Endpoint | None = None
        while True:
            sent = time.monotonic()
            endpoint = self._choose(endpoint)
            reply = await self._post(asked, endpoint)
            if isinstance(reply, Completion):
                return reply
            tries += 1
            if reply.fault is Fault.ACCOUNT:
                raise _error(endpoint.url, "refuses to go on", reply, f"settle that, {_GO_ON}")
            if reply.fault in _REFUSED:
                # A server that no longer takes the key still answers what it took before. So only
                # an answer to the probe shows that this request alone is refused.
                since = sent if reply.fault is Fault.REQUEST else float("inf")
                refused = await self._refuses(probe, since, endpoint)
                if refused is None:
                    return failed(reply.reason)
                if refused.fault in _REFUSED:
                    mend = self._mend(refused)
                    raise _error(endpoint.url, "refuses every request", refused, mend)
                reply = refused
            if (
                reply.fault is not Fault.BUSY
                and tries >= self._address.attempts
                and await self._refuses(probe, sent) is None
            ):
                return failed(f"given up after {tries} attempts: {reply.reason}")
            away = time.monotonic() - max(began, *(each.last for each in self._endpoints))
            if tries >= self._address.attempts and away >= self._patience:
                where = " and ".join(self._address.urls)
                mend = f"start it or mend engine.url{_named_proxies()}, {_GO_ON}"
                told = replace(reply, reason=f"{reply.reason}; {tries} attempts a request")
                raise _error(where, "stays away", told, mend)
            if all(each.never_there for each in self._endpoints) and (
                time.monotonic() - began >= _FIRST_SHARE * self._patience
            ):
                where = " and ".join(self._address.urls)
                mend = f"start it or mend engine.url{_named_proxies()}, {_GO_ON}"
                raise _error(where, "takes no connection", reply, mend)
            self._pausing += 1
            try:
                await asyncio.sleep(self._pause(tries, reply.retry_after))
            finally:
                self._pausing -= 1

    def _choose(self, but: Endpoint | None) -> Endpoint:
        """The address with most room. but: not this one, if there is another that does not rest."""
        return min(self._endpoints, key=lambda each: (each.rests, each is but, each.preference))

    async def _refuses(
        self, probe: Asked, sent: float, endpoint: Endpoint | None = None
    ) -> Refusal | None:
        """Why the server answers nobody. None: it has answered another request since `sent`, or
        answers the probe now. endpoint: the address in question, else any.
        """
        refusal: Refusal | None = None
        asked_of = [endpoint] if endpoint else self._endpoints
        for turn in range(_PROBES):
            if turn:  # some servers refuse now and then; others may be answered meanwhile
                await asyncio.sleep(_PROBE_SECONDS)
            if any(each.last >= sent for each in asked_of):
                return None
            reply = await self._post(probe, endpoint or self._choose(None))
            if isinstance(reply, Completion):
                return None
            refusal = reply
            if refusal.fault not in _REFUSED:
                break
        return refusal

    async def _post(self, asked: Asked, endpoint: Endpoint) -> Completion | Refusal:
        """One attempt at an address, which takes note of how it went."""
        sent = time.monotonic()
        endpoint.flying += 1
        try:
            reply = await self._sent(asked, endpoint)
        finally:
            endpoint.flying -= 1
        if isinstance(reply, Completion):
            endpoint.answered(sent)
        elif reply.fault is Fault.BUSY:
            endpoint.busy(sent)
        return reply

    async def _sent(self, asked: Asked, endpoint: Endpoint) -> Completion | Refusal:
        import httpx

        try:
            sent = time.monotonic()
            response = await self._client.post(endpoint.url + self._address.call, json=asked.body)
        except httpx.ReadTimeout:
            endpoint.busy(sent)
            seconds = self._address.timeout_seconds
            return Refusal(Fault.SHAKEN, f"no answer within {seconds:g} s")
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            return Refusal(Fault.SHAKEN, f"the connection was cut: {error or type(error).__name__}")
        except httpx.DecodingError as error:
            return Refusal(Fault.REQUEST, f"the answer's encoding is not what it says ({error})")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise EngineError(
                f"engine.url {endpoint.url} is not an address ({error})",
                "write http://HOST:PORT/v1",
            ) from error
        except httpx.TransportError as error:
            endpoint.away(sent)
            endpoint.refused = isinstance(error, httpx.ConnectError)
            return Refusal(Fault.BUSY, f"{type(error).__name__}: {error}")
        if response.is_redirect:
            raise EngineError(
                f"the server at {endpoint.url} redirects to "
                f"{response.headers.get('location', 'nowhere')}",
                "set engine.url to that address, up to and including /v1",
            )
        reply = read(response.status_code, response.headers, response.content, asked.max_tokens)
        if isinstance(reply, Refusal) and self._address.key:
            hidden = reply.reason.replace(self._address.key, "***")
            return Refusal(reply.fault, hidden, reply.retry_after)
        return reply

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


def _error(url: str, does: str, refusal: Refusal, mend: str) -> EngineError:
    return EngineError(f"the server at {url} {does} ({refusal.reason})", mend)


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
                max_connections=address.in_flight * len(address.urls),
                max_keepalive_connections=address.in_flight * len(address.urls),
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
