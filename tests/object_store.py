"""An S3 server for tests: moto's, on loopback. It can be told to fail as real stores do.

`Faults` stands before the server and injects, with seeded dice:

- `error`: the request is answered with 500 or 503 and does not reach the store.
- `lost`: the request is done, but the answer is 500. The client cannot know.
- `slow`: the body of an answer comes in pieces with pauses.
- `cut`: the connection ends in the middle of an answer.
- `dropped`: the connection ends in the middle of an upload. Nothing is stored.
- `torn`: the store keeps the first half of an upload and reports success.

While `down` is set, all requests fail with 503.
"""

import io
import json
import logging
import random
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

PAUSE_SECONDS = 0.005  # between the pieces of a slow answer
RETRY_SECONDS = 0.02  # before a client's second attempt; then twice as much each time
PIECES = 10
# Shares of requests. `slow` and `cut` are for GET, `dropped` and `torn` for PUT.
SHARES = {"error": 0.05, "lost": 0.02, "slow": 0.05, "cut": 0.05, "dropped": 0.04, "torn": 0.03}
READ, WRITTEN = ("slow", "cut"), ("dropped", "torn")
ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>injected</Message></Error>"


class Faults:
    """A WSGI application that passes requests on to `app`, or fails. `injected` counts faults."""

    def __init__(self, app: Any, seed: int) -> None:
        self._app = app
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self.shares: dict[str, float] = {}
        self.down = False
        self.down_after: int | None = None  # requests
        self.requests = 0
        self.injected: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        fault = self._fault(environ)
        if fault:
            with self._lock:
                self.injected[fault] += 1
        if fault in ("error", "down"):
            _body(environ)
            return _refused(start_response, self._dice.random() < 0.5 or fault == "down")
        if fault == "dropped":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            raise ConnectionError("injected: dropped")
        if fault == "torn":
            half = _body(environ)[: int(environ["CONTENT_LENGTH"]) // 2]
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(half), str(len(half))
        if fault == "lost":
            environ["wsgi.input"] = io.BytesIO(_body(environ))
            for _ in self._app(environ, lambda *_: None):
                pass
            return _refused(start_response, slow_down=False)
        answer = self._app(environ, start_response)
        return _in_pieces(b"".join(answer), fault) if fault in READ else answer

    def _fault(self, environ: dict[str, Any]) -> str:
        with self._lock:
            self.requests += 1
            if self.down_after is not None and self.requests > self.down_after:
                self.down = True
            drawn = self._dice.random()
        if self.down:
            return "down"
        method = environ["REQUEST_METHOD"]
        for fault, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                fits = method == "GET" if fault in READ else method == "PUT"
                whole = fault not in (*READ, *WRITTEN) or fits
                return fault if whole and _fits(fault, environ) else ""
        return ""


class _Handler(MotoRequestHandler):
    """moto's, but a dropped connection is closed. werkzeug would read the rest of an upload as the
    next request, and wait for the end of its first line.
    """

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        self.close_connection = True


def _fits(fault: str, environ: dict[str, Any]) -> bool:
    """Whether half of an upload is something else than the whole."""
    return fault not in WRITTEN or int(environ.get("CONTENT_LENGTH") or 0) > 1


def _body(environ: dict[str, Any]) -> bytes:
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def _refused(start_response: Any, slow_down: bool) -> list[bytes]:
    status, code = ("503 Slow Down", b"SlowDown") if slow_down else ("500 Error", b"InternalError")
    body = ERROR % code
    start_response(
        status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    )
    return [body]


def _in_pieces(body: bytes, fault: str) -> Iterator[bytes]:
    size = max(len(body) // PIECES, 1)
    for number, start in enumerate(range(0, len(body), size)):
        if fault == "cut" and number == PIECES // 2:
            raise ConnectionError("injected: cut")
        if fault == "slow":
            time.sleep(PAUSE_SECONDS)
        yield body[start : start + size]


@contextmanager
def object_store(
    shares: dict[str, float] | None = None, seed: int = 1
) -> Iterator[tuple[dict[str, str], Faults]]:
    """An S3 server with an empty bucket `bucket`.

    Yields environment variables that lead boto and s3fs to it, and its faults. The variables are
    set in this process too.
    """
    import s3fs

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # it tells of every request
    faults = Faults(DomainDispatcherApplication(create_backend_app), seed)
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=_Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
    }
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as models:
        _write_retries(Path(models))
        variables["AWS_DATA_PATH"] = models
        for name, value in variables.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        # all servers of a process have one store
        reset = urllib.request.Request(f"{variables['AWS_ENDPOINT_URL']}/moto-api/reset", b"")
        urllib.request.urlopen(reset).close()
        s3fs.S3FileSystem().mkdir("bucket")
        faults.shares = shares or {}
        try:
            yield variables, faults
        finally:
            s3fs.S3FileSystem.clear_instance_cache()
            server.shutdown()
            thread.join()


def _write_retries(folder: Path) -> None:
    """Write boto's own retry policies, but with shorter waits: by default, half a second on average
    before the second attempt. boto reads its models from `AWS_DATA_PATH` first.
    """
    from botocore.loaders import Loader

    policies = Loader().load_data("_retry")
    policies["retry"]["__default__"]["delay"]["base"] = RETRY_SECONDS
    (folder / "_retry.json").write_text(json.dumps(policies))
