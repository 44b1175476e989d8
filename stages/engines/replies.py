"""What a server's answer means: a completion, or why there is none and whose fault that is.

Servers agree on the shape of an answer and little else. They name the end of an answer in many
ways, put errors inside a 200, and give reasoning beside the text or instead of it.
"""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any, Literal

from corpusmill.stages.engines.contract import Completion, failed

_STOP = {
    *("stop", "eos", "eos_token", "eos_found", "end_turn", "stop_sequence", "stop_token"),
    *("completed", "complete", "done", "finished", "end"),
}
_LENGTH = {"length", "max_tokens", "max_output_tokens", "model_length", "token_limit"}
# The server ended the answer, as when it is restarted. Another try may go well.
_BROKEN_OFF = {
    *("abort", "aborted", "cancelled", "canceled", "error", "timeout"),
    *("engine_error", "internal_error", "network_error", "preempted"),
}
_BUSY = {408, 409, 423, 425, 429, 503, 529}
_ACCESS = {401, 403, 404}
_REASONING = ("reasoning_content", "reasoning", "thinking")
# Codes and types of errors. Servers spell them with and without underscores and capitals.
_NO_QUOTA = (
    *("insufficientquota", "insufficientbalance", "insufficientcredit", "paymentrequired"),
    "billing",
)
_IS_BUSY = (
    *("ratelimit", "toomanyrequests", "overloaded", "serverbusy", "unavailable", "modelloading"),
    "enginebusy",
)
_REFUSES_IT = ("invalidrequest", "badrequest", "contentfilter", "contentpolicy", "contextlength")
# Whole phrases of messages, which may also quote a request.
_SAYS_NO_QUOTA = (
    *("insufficient_quota", "insufficient balance", "insufficient_balance", "insufficient credit"),
    *("exceeded your current quota", "payment required", "billing details", "billing hard limit"),
)
_SAYS_BUSY = (
    *("rate limit", "rate_limit", "ratelimit", "too many requests", "server is busy"),
    *("server_busy", "service unavailable", "temporarily unavailable", "currently unavailable"),
    *("model is loading", "model is currently loading", "loading model", "currently loading"),
    *("is overloaded", "currently overloaded", "server overloaded"),
)
_LARGEST_COUNT = 2**31 - 1


class Fault(Enum):
    """Why a request got no answer.

    REQUEST: the server refused it, or answered it with rubbish. A second try would end likewise.
    ACCESS: the same for 401, 403 and 404. The key, path or model may be at fault too, or instead.
    BUSY: the server cannot answer now. SHAKEN: the server failed at it. Either may be at fault.
    ACCOUNT: no request will be answered before the user has done something.
    """

    REQUEST = auto()
    ACCESS = auto()
    BUSY = auto()
    SHAKEN = auto()
    ACCOUNT = auto()


@dataclass(frozen=True)
class Refusal:
    """retry_after: seconds that the server asks to wait."""

    fault: Fault
    reason: str
    retry_after: float | None = None


def read(
    status: int, headers: Mapping[str, str], content: bytes, max_tokens: int
) -> Completion | Refusal:
    """The first choice of an answer, or why there is none. An answer without usable text is a
    completion with an error: the server has done its part.

    max_tokens: of the request. It tells how an answer ended if the server does not say.
    """
    if status != 200:
        said = " ".join(content.decode("utf-8", "replace").split())[:300]
        wait = retry_after(headers.get("retry-after"))
        return _refusal(status, f"HTTP {status}: {said}", wait, _within(content) or _told(said))
    try:
        record = json.loads(content)
        if record.get("error") and not record.get("choices"):
            return _error_within(record["error"])
        choice = record["choices"][0]
        if choice.get("error"):
            return _error_within(choice["error"])
        usage = record.get("usage") or {}
        message = choice.get("message") or {}
        text = _text(choice["message"]["content"] if "message" in choice else choice["text"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        excerpt = content[:120].decode("utf-8", "replace")
        return Refusal(
            Fault.REQUEST,
            f"the answer is not what the protocol says ({type(error).__name__}: {error}): "
            f"{excerpt}",
        )
    n_output = _count(usage, "completion_tokens")
    named = choice.get("finish_reason") or choice.get("stop_reason")
    reason = _end(named, cut=n_output >= max_tokens)
    if str(named).lower() in _BROKEN_OFF:
        return Refusal(Fault.SHAKEN, f"the server broke off, with finish_reason {named!r}")
    if reason is None:
        return failed(f"the server ended with finish_reason {named!r}")
    if not text and reason == "stop":
        reasoned = next((name for name in _REASONING if message.get(name)), None)
        if reasoned:
            return failed(
                f"content is {'null' if text is None else 'empty'} and {reasoned} holds text: the "
                "model ended in its reasoning (switch it off with engine.template_arguments, or "
                "raise the prompt's limit)"
            )
        if message.get("refusal"):
            return failed(f"the model refuses: {message['refusal']}")
        if text is None:
            return failed(f"the answer has no text (finish_reason {named!r})")
    return Completion(text or "", reason, _count(usage, "prompt_tokens"), n_output)


def _text(content: Any) -> str | None:
    """A message's content. Some servers send a list of parts, with thinking among them."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError(f"the text is {type(content).__name__}")
    if content is None:
        return None
    # JSON may hold half of a surrogate pair, which is no character.
    return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _end(named: Any, cut: bool) -> Literal["stop", "length"] | None:
    """How the answer ended. None: in a way that leaves no usable text, such as a filter."""
    if named is None:
        return "length" if cut else "stop"
    word = str(named).lower()
    return "stop" if word in _STOP else "length" if word in _LENGTH else None


def _count(usage: Any, name: str) -> int:
    """A count of tokens. 0 if the server gives none that can be true."""
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and 0 <= value <= _LARGEST_COUNT else 0


def _error_within(error: Any) -> Refusal:
    """An error inside a 200, as routers send it: its code is that of the server behind."""
    record = error if isinstance(error, Mapping) else {"message": error}
    said = " ".join(str(record.get("message", error)).split())[:300]
    names = [record[name] for name in ("code", "status", "type") if record.get(name)]
    reason = f"the answer is an error ({names[0] if names else None}): {said}"
    fault = _named(names) or _told(said)
    number = next((int(str(name)) for name in names if str(name).isdecimal()), None)
    if number is not None:
        return _refusal(number, reason, None, fault)
    return Refusal(fault or Fault.SHAKEN, reason)


def _refusal(status: int, reason: str, wait: float | None, fault: Fault | None) -> Refusal:
    """fault: what code, type and message of the error tell."""
    if status == 402 or (status in (403, 429) and fault is Fault.ACCOUNT):
        return Refusal(Fault.ACCOUNT, reason)
    if status in _BUSY:
        return Refusal(Fault.BUSY, reason, wait)
    if status in _ACCESS:
        return Refusal(Fault.ACCESS, reason)
    if status >= 500 and fault is Fault.REQUEST:
        return Refusal(Fault.REQUEST, reason)
    return Refusal(Fault.SHAKEN if status >= 500 else Fault.REQUEST, reason, wait)


def _within(content: bytes) -> Fault | None:
    """What the error in the body of an answer tells by its code and type."""
    try:
        error = json.loads(content)["error"]
        return _named([error[name] for name in ("code", "type") if error.get(name)])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _named(names: Sequence[Any]) -> Fault | None:
    """What the code or the type of an error tells. None: nothing that is known."""
    for name in names:
        word = re.sub(r"[^a-z]", "", str(name).lower())
        for words, fault in (
            (_NO_QUOTA, Fault.ACCOUNT),
            (_IS_BUSY, Fault.BUSY),
            (_REFUSES_IT, Fault.REQUEST),
        ):
            if any(each in word for each in words):
                return fault
    return None


def _told(said: str) -> Fault | None:
    """What the message of an error tells."""
    if _tells(said, _SAYS_NO_QUOTA):
        return Fault.ACCOUNT
    return Fault.BUSY if _tells(said, _SAYS_BUSY) else None


def _tells(reason: str, words: tuple[str, ...]) -> bool:
    return any(word in reason.lower() for word in words)


def retry_after(value: str | None) -> float | None:
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
