"""A real HTTP server on a real socket. A test decides how it answers completions, well or badly."""

import json
import socket
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers with `behave(prompt, attempt)`: (status, headers, body bytes). Keeps what it saw.

    None cuts the connection.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, behave):
        self.behave = behave
        self.seen = []
        self.attempts = {}
        self.lock = threading.Lock()
        self.busy = self.most_busy = 0
        self.connections = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def process_request(self, request, client_address):
        self.connections.append(request)
        super().process_request(request, client_address)

    def hang_up(self):
        """Cut every connection, as the end of a server's process does."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        pass  # the test cut this client off on purpose


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = body["prompt"][0] if "prompt" in body else body["messages"][-1]["content"]
        if isinstance(prompt, list):  # parts of a message, with an image among them
            prompt = json.dumps(prompt)
        with server.lock:
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
            attempt = server.attempts[prompt] = server.attempts.get(prompt, 0) + 1
            server.seen.append((self.path, dict(self.headers), body))
        try:
            reply = server.behave(prompt, attempt)
        finally:
            with server.lock:
                server.busy -= 1
        if reply is None:
            self.close_connection = True
            self.connection.close()
            return
        status, headers, data = reply
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *arguments):
        pass


def answer(text, reason="stop", chat=False):
    choice = {"message": {"content": text}} if chat else {"text": text}
    record = {
        "choices": [{**choice, "finish_reason": reason}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    return 200, {"content-type": "application/json"}, json.dumps(record).encode()


@contextmanager
def serving(behave):
    """A started server. It stops at the end of the block."""
    server = Server(behave)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.hang_up()
