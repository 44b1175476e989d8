"""Faults of real servers: which cost a row, which are waited for, and which stop the stage."""

import gzip
import itertools
import json
import time
from contextlib import ExitStack

import pytest
from corpusmill.manifests.errors import EngineError, RecipeError
from corpusmill.stages.engines import replies
from corpusmill.stages.engines.contract import Completion, Request, in_order
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.engines.replies import Fault

from tests.stages.engines import scripted_server
from tests.stages.engines.scripted_server import answer

GOOD = answer("fine", chat=True)


@pytest.fixture
def serving():
    with ExitStack() as stack:
        yield lambda behave: stack.enter_context(scripted_server.serving(behave))


def engine_at(server, **settings):
    settings = {"backoff_seconds": 0.01, "api": "chat", "attempts": 3, **settings}
    return OpenAIEngine(url=server.url, model="tiny", **settings)


def request(number=1, max_tokens=40):
    messages = ({"role": "user", "content": f"text {number}"},)
    return Request((number, 8, 9), messages, max_tokens, 0.5, 0.9, 77)


def requests(count):
    return [request(number) for number in range(count)]


def body(choice, **more):
    return 200, {}, json.dumps({"choices": [choice], **more}).encode()


def asked(serving, reply, max_tokens=40) -> Completion:
    """The completion of a server that gives this reply to the first request, and good ones then."""
    server = serving(lambda prompt, attempt: reply if prompt == "text 1" else GOOD)
    return in_order(engine_at(server), [request(1, max_tokens)])[0]


# Ends of an answer


@pytest.mark.parametrize("reason", ["stop", "eos", "EOS", "eos_token", "end_turn", "stop_sequence"])
def test_words_for_an_answer_that_the_model_ended(serving, reason):
    assert asked(serving, answer("x", reason, chat=True)).finish_reason == "stop"


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_words_for_an_answer_that_was_cut(serving, reason):
    assert asked(serving, answer("x", reason, chat=True)).finish_reason == "length"


@pytest.mark.parametrize("choice", [{"finish_reason": None}, {}])
def test_without_a_finish_reason_the_number_of_tokens_tells(serving, choice):
    reply = body({**choice, "message": {"content": "x"}}, usage={"completion_tokens": 40})
    assert asked(serving, reply, max_tokens=40).finish_reason == "length"
    assert asked(serving, reply, max_tokens=41).finish_reason == "stop"


def test_an_answer_without_text_says_where_the_text_is(serving):
    reasoned = {"content": None, "reasoning_content": "The user wants a rewrite."}
    ended = asked(serving, body({"message": reasoned, "finish_reason": "stop"}))
    assert ended.finish_reason == "error"
    assert "content is null and reasoning_content holds text" in ended.error
    empty = {"message": {**reasoned, "content": ""}, "finish_reason": "stop"}
    assert "content is empty and reasoning_content holds text" in asked(serving, body(empty)).error
    refused = {"message": {"content": None, "refusal": "I cannot."}, "finish_reason": "stop"}
    assert "the model refuses: I cannot." in asked(serving, body(refused)).error
    cut = asked(serving, body({"message": reasoned, "finish_reason": "length"}))
    assert (cut.finish_reason, cut.text) == ("length", "")


def test_parts_of_a_content_are_joined_without_the_thinking(serving):
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a river"}]
    assert asked(serving, body({"message": {"content": parts}})).text == "a river"


# One odd answer costs its row only


def odd(kind):
    return {
        "gzip that is none": (200, {"content-encoding": "gzip"}, GOOD[2]),
        "an error of its own": (200, {}, b'{"error": {"code": 400, "message": "too long"}}'),
        "a refusal": (403, {}, b"this page is blocked"),
        "a filter": answer("x", "content_filter", chat=True),
        "no object": (200, {}, b"[]"),
        "null": (200, {}, b"null"),
        "a number for a text": body({"message": {"content": 5}, "finish_reason": "stop"}),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("gzip that is none", "an error of its own", "a refusal", "a filter", "no object", "null"),
        "a number for a text",
    ],
)
def test_an_odd_answer_costs_its_row_and_is_not_asked_for_again(serving, kind):
    server = serving(lambda prompt, attempt: odd(kind) if prompt == "text 3" else GOOD)
    completions = in_order(engine_at(server), requests(8))
    assert [completion.finish_reason for completion in completions].count("stop") == 7
    assert completions[3].finish_reason == "error"
    assert server.attempts["text 3"] == 1


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        ({"code": "content_filter", "message": "flagged: 'how billing works'"}, Fault.REQUEST),
        ({"type": "invalid_request_error", "message": "is overloaded"}, Fault.REQUEST),
        ({"type": "BadRequestError", "code": 500, "message": "no"}, Fault.REQUEST),
        ({"message": "Error while loading image"}, Fault.SHAKEN),
        ({"message": "uploading failed"}, Fault.SHAKEN),
        ({"message": "a page about billing and an overloaded truck"}, Fault.SHAKEN),
        ({"message": "Model is currently loading"}, Fault.BUSY),
        ({"message": "503 Service Unavailable"}, Fault.BUSY),
        ({"code": "server_error", "type": "rate_limit_exceeded", "message": "wait"}, Fault.BUSY),
        ({"type": "overloaded_error", "message": "no"}, Fault.BUSY),
        ({"code": 429, "type": "insufficient_quota", "message": "no"}, Fault.ACCOUNT),
        ({"message": "You exceeded your current quota"}, Fault.ACCOUNT),
    ],
)
def test_the_code_and_the_type_of_an_error_tell_before_its_message(error, fault):
    reply = replies.read(200, {}, json.dumps({"error": error}).encode(), 9)
    assert isinstance(reply, replies.Refusal)
    assert reply.fault is fault


@pytest.mark.parametrize(
    ("status", "content", "fault"),
    [
        (
            429,
            b'{"error": {"code": "rate_limit_exceeded", "message": "\'insufficient balance\'"}}',
            Fault.BUSY,
        ),
        (403, b"flagged: how billing works", Fault.ACCESS),
    ],
)
def test_a_refusal_that_quotes_a_page_about_money_is_no_empty_account(status, content, fault):
    reply = replies.read(status, {}, content, 9)
    assert isinstance(reply, replies.Refusal)
    assert reply.fault is fault


def test_a_server_that_refuses_every_third_request_answers_the_others(serving):
    numbers = itertools.count(1)
    too_long: tuple = (400, {}, b"maximum context length is 300 tokens")
    server = serving(lambda prompt, attempt: too_long if next(numbers) % 3 == 1 else GOOD)
    completions = in_order(engine_at(server), requests(12))
    ends = [completion.finish_reason for completion in completions]
    assert ends.count("stop") + ends.count("error") == 12
    assert ends.count("stop") >= 7


def test_a_good_answer_in_gzip_is_read(serving):
    packed = (200, {"content-encoding": "gzip"}, gzip.compress(GOOD[2]))
    assert asked(serving, packed).text == "fine"


def test_half_a_surrogate_pair_becomes_a_replacement_character(serving):
    assert (
        asked(serving, answer("waved \ud83d", chat=True)).text.encode() == "waved \ufffd".encode()
    )


@pytest.mark.parametrize("count", [10**12, -4, "many", 2.5, None])
def test_a_count_that_cannot_be_true_is_left_out(serving, count):
    reply = body({"message": {"content": "x"}}, usage={"prompt_tokens": count})
    assert asked(serving, reply).n_prompt_tokens == 0


# What passes is waited for


@pytest.mark.parametrize(
    "busy",
    [
        (429, {}, b"slow down"),
        (503, {}, b"Loading model"),
        (200, {}, b'{"error": {"code": 429, "message": "rate limited"}}'),
        (200, {}, b'{"choices": [{"error": {"code": 503, "message": "overloaded"}}]}'),
        (200, {}, b'{"error": {"code": "rate_limit_exceeded", "message": "slow down"}}'),
        (200, {}, b'{"error": {"type": "overloaded_error", "message": "Overloaded"}}'),
    ],
)
def test_a_busy_server_is_asked_again_for_as_long_as_it_answers_others(serving, busy):
    def behave(prompt, attempt):
        time.sleep(0.01)
        return busy if prompt == "text 3" and len(server.attempts) < 60 else GOOD

    server = serving(behave)
    engine = engine_at(server, in_flight=4, backoff_seconds=0.1, attempts=4)
    completions = in_order(engine, requests(60))
    assert {completion.finish_reason for completion in completions} == {"stop"}
    assert server.attempts["text 3"] > 1


@pytest.mark.parametrize("reason", ["abort", "error", "cancelled"])
def test_an_answer_that_the_server_broke_off_is_asked_for_again(serving, reason):
    broken = answer("half a", reason, chat=True)
    server = serving(lambda prompt, attempt: broken if attempt == 1 else GOOD)
    assert [each.text for each in in_order(engine_at(server), requests(3))] == ["fine"] * 3


def test_fewer_requests_are_in_flight_while_the_server_is_busy(serving):
    found: list = []

    def behave(prompt, attempt):
        busy = found[0].busy
        time.sleep(0.01)
        return (429, {}, b"") if busy > 4 else GOOD

    found.append(serving(behave))
    in_order(engine_at(found[0], in_flight=32, backoff_seconds=0.1), requests(200))
    assert sum(found[0].attempts.values()) < 2 * 200


@pytest.mark.parametrize(
    "reply",
    [
        (402, {}, b"Insufficient Balance"),
        (429, {}, b'{"error": {"code": "insufficient_quota"}}'),
        (200, {}, b'{"error": {"code": 402, "message": "more credits"}}'),
        (200, {}, b'{"error": {"code": "insufficient_quota", "message": "check your plan"}}'),
    ],
)
def test_an_empty_account_stops_the_stage(serving, reply):
    server = serving(lambda prompt, attempt: reply if prompt > "text 3" else GOOD)
    with pytest.raises(EngineError, match=r"refuses to go on.*settle that, then run the same"):
        in_order(engine_at(server, in_flight=2), requests(40))
    assert len(server.seen) < 12


def test_a_request_that_fails_while_the_server_is_down_is_not_given_up(serving):
    server = serving(lambda prompt, attempt: (500, {}, b"boom"))
    with pytest.raises(EngineError, match=r"stays away \(HTTP 500: boom"):
        in_order(engine_at(server), [request()])


# What no request gets past


@pytest.mark.parametrize(
    ("status", "said", "api", "mend"),
    [
        (400, b"'prompt' must be a string", "completions", r"engine\.api: chat"),
        (404, b"Not Found", "completions", r"engine\.api: chat"),
        (401, b"Incorrect API key", "chat", r"the key in \$OPENAI_API_KEY"),
        (400, b"use max_completion_tokens", "chat", r"rename: {max_tokens: max_completion_tokens}"),
        (400, b"unknown field seed", "chat", r"rename: {seed: null}"),
    ],
)
def test_a_server_that_refuses_every_request_stops_the_stage_and_says_what_to_mend(
    serving, status, said, api, mend
):
    server = serving(lambda prompt, attempt: (status, {}, said))
    with pytest.raises(EngineError, match=f"refuses every request.*{mend}"):
        in_order(engine_at(server, api=api, in_flight=1), requests(3))
    assert len(server.seen) == 4


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_key_that_is_revoked_in_mid_run_costs_no_row(serving, status):
    """Requests that the server took before are still answered after it refuses new ones."""

    def behave(prompt, attempt):
        number = len(server.seen)
        if number > 20:
            return status, {}, b"no longer"
        time.sleep(0.02 * (number % 7))
        return GOOD

    server = serving(behave)
    answers = engine_at(server, in_flight=8).answers(iter(requests(60)))
    found = []
    with pytest.raises(EngineError, match=r"refuses every request.*no longer"):
        found.extend(answers)
    assert {completion.finish_reason for _, completion in found} <= {"stop"}


def test_a_redirect_is_named(serving):
    moved = (307, {"location": "https://example.org/v2"}, b"")
    server = serving(lambda prompt, attempt: moved)
    with pytest.raises(EngineError, match=r"redirects to https://example.org/v2; set engine.url"):
        in_order(engine_at(server), requests(3))


def test_fields_are_renamed_left_out_and_added(serving):
    server = serving(lambda prompt, attempt: GOOD)
    engine = engine_at(
        server,
        rename={"max_tokens": "max_completion_tokens", "seed": None},
        extra={"provider": {"order": ["a", "b"], "zdr": True}},
        template_arguments={"enable_thinking": False},
    )
    in_order(engine, [request()])
    sent = server.seen[0][2]
    assert sent["max_completion_tokens"] == 40
    assert not {"max_tokens", "seed"} & set(sent)
    assert sent["provider"] == {"order": ["a", "b"], "zdr": True}
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}


# Keys and proxies


def test_blanks_around_the_key_are_stripped(serving, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", " sk-test-123\n")
    server = serving(lambda prompt, attempt: GOOD)
    in_order(engine_at(server), [request()])
    assert server.seen[0][1]["Authorization"] == "Bearer sk-test-123"


@pytest.mark.parametrize("key", ["sk-te\nst-123", "sk-te st-123", "sk-tést-123", "sk-te\x00st-123"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(monkeypatch, key):
    monkeypatch.setattr("os.environ", {"MY_KEY": key})
    engine = OpenAIEngine(url="http://127.0.0.1:1/v1", model="m", api_key_variable="MY_KEY")
    with pytest.raises(EngineError, match=r"\$MY_KEY holds no key") as error:
        in_order(engine, [request()])
    assert "sk-" not in repr(error.value)


def test_a_key_that_the_server_repeats_is_not_shown(serving, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-123")
    server = serving(lambda prompt, attempt: (401, {}, b"Incorrect API key: sk-test-123"))
    with pytest.raises(EngineError, match=r"Incorrect API key: \*\*\*") as error:
        in_order(engine_at(server), [request()])
    assert "sk-test" not in repr(error.value)


def test_a_key_in_the_address_is_refused():
    with pytest.raises(RecipeError, match="put the key into the variable"):
        OpenAIEngine(url="https://user:sk-1@host/v1", model="m")


def test_a_proxy_that_cannot_be_used_is_named(serving, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    server = serving(lambda prompt, attempt: GOOD)
    with pytest.raises(EngineError, match=r"the proxy in \$ALL_PROXY"):
        in_order(engine_at(server), [request()])
