"""The HTTP engine against a real server on a real socket, which misbehaves in many ways."""

import time
from contextlib import ExitStack

import pytest
from corpusmill.manifests.errors import EngineError, ModelError
from corpusmill.stages.engines.contract import Request, in_order
from corpusmill.stages.engines.openai import OpenAIEngine
from corpusmill.stages.engines.replies import retry_after

from tests.stages.engines import scripted_server
from tests.stages.engines.scripted_server import Server, answer


@pytest.fixture
def serving():
    with ExitStack() as stack:
        yield lambda behave: stack.enter_context(scripted_server.serving(behave))


def engine_at(server, **settings):
    return OpenAIEngine(url=server.url, model="tiny", **{"backoff_seconds": 0.01, **settings})


def request(number=1):
    return Request(
        token_ids=(number, 8, 9),
        messages=({"role": "user", "content": f"text {number}"},),
        max_tokens=40,
        temperature=0.5,
        top_p=0.9,
        seed=77,
        stop=("END",),
    )


def test_completions_sends_token_ids_limits_and_seed(serving):
    server = serving(lambda prompt, attempt: answer("hello", "length"))
    completion = in_order(engine_at(server, extra={"repetition_penalty": 1.1}), [request()])[0]
    path, _, body = server.seen[0]
    assert path == "/v1/completions"
    assert body == {
        "model": "tiny",
        "prompt": [1, 8, 9],
        "max_tokens": 40,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 77,
        "stop": ["END"],
        "repetition_penalty": 1.1,
    }
    assert (completion.text, completion.finish_reason) == ("hello", "length")
    assert (completion.n_prompt_tokens, completion.n_output_tokens) == (7, 3)


def test_chat_sends_messages(serving):
    server = serving(lambda prompt, attempt: answer("hello", chat=True))
    assert in_order(engine_at(server, api="chat"), [request()])[0].text == "hello"
    path, _, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "text 1"}]
    assert "prompt" not in body


def test_the_key_comes_from_the_named_variable(serving, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret-word")
    server = serving(lambda prompt, attempt: answer("x"))
    engine = engine_at(server, api_key_variable="MY_KEY")
    in_order(engine, [request()])
    assert server.seen[0][1]["Authorization"] == "Bearer secret-word"
    assert "secret-word" not in repr(engine)


def test_answers_come_back_in_order_with_many_in_flight(serving):
    def slow(prompt, attempt):
        time.sleep(0.05 if prompt % 3 else 0.15)
        return answer(f"answer {prompt}")

    server = serving(slow)
    completions = in_order(
        engine_at(server, in_flight=16), [request(number) for number in range(60)]
    )
    assert [completion.text for completion in completions] == [
        f"answer {number}" for number in range(60)
    ]
    assert 8 <= server.most_busy <= 16


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(serving, status):
    server = serving(
        lambda prompt, attempt: (status, {}, b"busy") if attempt < 3 else answer("at last")
    )
    assert in_order(engine_at(server), [request()])[0].text == "at last"
    assert len(server.seen) == 3


def test_retry_after_is_honoured(serving):
    server = serving(
        lambda prompt, attempt: (429, {"retry-after": "0.3"}, b"") if attempt == 1 else answer("x")
    )
    started = time.monotonic()
    in_order(engine_at(server, backoff_seconds=0.0), [request()])
    assert time.monotonic() - started >= 0.3


def test_pauses_double_with_full_jitter_and_end_at_two_minutes(serving, monkeypatch):
    pauses: list[float] = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    server = serving(lambda prompt, attempt: (503, {}, b"") if attempt < 12 else answer("x"))
    engine = engine_at(server, attempts=12, backoff_seconds=1.0)
    assert in_order(engine, [request()])[0].text == "x"
    assert len(pauses) == 11
    assert all(0 <= pause <= min(120, 2**place) for place, pause in enumerate(pauses))
    assert len(set(pauses)) == 11


def test_a_server_that_asks_for_hours_waits_two_minutes(serving, monkeypatch):
    pauses: list[float] = []

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    busy = (429, {"retry-after": "7200"}, b"")
    server = serving(lambda prompt, attempt: busy if attempt == 1 else answer("x"))
    in_order(engine_at(server), [request()])
    assert pauses == [120.0]


def test_retry_after_may_be_a_date():
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert (
        3000
        < (
            retry_after(time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3600)))
            or 0
        )
        <= 3600
    )
    assert retry_after("soon") is None


def test_a_cut_connection_is_tried_again(serving):
    server = serving(lambda prompt, attempt: None if attempt == 1 else answer("whole"))
    assert in_order(engine_at(server), [request()])[0].text == "whole"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((400, {}, b'{"error": "prompt is too long"}'), "HTTP 400.*too long"),
        ((200, {}, b"<html>gateway</html>"), "not what the protocol says.*<html>"),
        ((200, {}, b'{"choices": []}'), "not what the protocol says"),
        (
            (200, {}, b'{"choices": [{"text": null, "finish_reason": "stop"}]}'),
            "finish_reason 'stop'",
        ),
        (
            (200, {}, b'{"choices": [{"text": "x", "finish_reason": "tool_calls"}]}'),
            "finish_reason 'tool_calls'",
        ),
        ((200, {}, b"[1, 2"), "not what the protocol says"),
    ],
)
def test_one_bad_row_costs_itself_and_nothing_else(serving, reply, error):
    import re

    server = serving(lambda prompt, attempt: reply if prompt == 5 else answer("fine"))
    completions = in_order(engine_at(server), [request(number) for number in range(10)])
    assert [completion.finish_reason for completion in completions] == ["stop"] * 5 + ["error"] + [
        "stop"
    ] * 4
    assert re.search(error, completions[5].error)
    assert server.attempts[5] == 1


def test_a_request_that_always_breaks_the_server_is_given_up_alone(serving):
    server = serving(lambda prompt, attempt: (500, {}, b"boom") if prompt == 2 else answer("fine"))
    completions = in_order(engine_at(server, attempts=3), [request(number) for number in range(6)])
    assert completions[2].finish_reason == "error"
    assert "given up after 3 attempts: HTTP 500: boom" in completions[2].error
    assert sum(completion.finish_reason == "stop" for completion in completions) == 5


def test_a_server_that_answers_nobody_stops_the_stage(serving):
    server = serving(lambda prompt, attempt: (503, {}, b"loading"))
    with pytest.raises(EngineError, match=r"stays away \(HTTP 503: loading; 2 attempts"):
        in_order(engine_at(server, attempts=2), [request(number) for number in range(40)])


def test_a_server_that_is_down_is_named_with_the_mend():
    down = Server(lambda prompt, attempt: answer("x"))
    url = down.url
    down.server_close()
    engine = OpenAIEngine(url=url, model="tiny", attempts=2, backoff_seconds=0.01)
    # The patience is so short here that either of its ends may come first.
    said = r"(stays away|takes no connection) .*start it or mend engine\.url"
    with pytest.raises(EngineError, match=rf"the server at {url} {said}"):
        in_order(engine, [request(), request(2)])


def test_a_wrong_model_name_stops_at_once(serving):
    server = serving(lambda prompt, attempt: (404, {}, b"The model `tiny` does not exist"))
    with pytest.raises(
        EngineError,
        match=r"refuses every request.*does not exist.*engine\.model \(tiny\).*engine.api: chat",
    ):
        in_order(engine_at(server, in_flight=1), [request(number) for number in range(5)])
    assert len(server.seen) == 4  # the request, and short ones to know whom to blame


def test_an_answer_that_takes_too_long_is_given_up(serving):
    def slow(prompt, attempt):
        time.sleep(0.8 if prompt == 1 else 0)
        return answer("late")

    engine = engine_at(serving(slow), timeout_seconds=0.2, attempts=2)
    late, fine = in_order(engine, [request(1), request(2)])
    assert "no answer within 0.2 s" in late.error
    assert fine.finish_reason == "stop"


def test_a_url_without_a_scheme_is_refused():
    with pytest.raises(EngineError, match="write http://HOST:PORT/v1"):
        in_order(OpenAIEngine(url="somewhere/v1", model="tiny"), [request()])


def test_without_a_tokenizer_the_setting_is_named():
    with pytest.raises(ModelError, match=r"set engine\.tokenizer_name"):
        OpenAIEngine(model="./served-name").tokenizer()


def test_no_requests_are_no_calls(serving):
    server = serving(lambda prompt, attempt: answer("x"))
    assert in_order(engine_at(server), []) == []
    assert server.seen == []


def test_a_closed_server_is_asked_with_another_models_tokenizer(serving):
    server = serving(lambda prompt, attempt: answer("fine", chat=True))
    engine = OpenAIEngine(url=server.url, model="closed-1", api="chat")
    with pytest.raises(ModelError, match=r"api: chat, any tokenizer .*package:models/tiny"):
        engine.tokenizer()
    engine = engine.model_copy(update={"tokenizer_name": "package:models/tiny"})
    chat = ({"role": "user", "content": "Say it again: bread"},)
    [ids] = engine.tokenizer().prompt_ids([chat])
    [found] = in_order(engine, [Request(tuple(ids), chat, 9, 0.0, 1.0, 1)])
    assert found.text == "fine"
    assert server.seen[0][2]["messages"] == list(chat)
