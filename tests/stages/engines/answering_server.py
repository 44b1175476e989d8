"""A server process that can be killed: it repeats each passage, and logs what it has answered.

python answering_server.py PORT LOG SECONDS      LOG: a line for each answer. SECONDS: of an answer.
"""

import hashlib
import json
import os
import select
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = body["messages"][-1]["content"]
        if isinstance(prompt, list):  # with an image, which it knows by its bytes
            seen = hashlib.sha256(json.dumps(prompt).encode()).hexdigest()
            prompt = f"Image\n\n{seen}"
        time.sleep(float(sys.argv[3]) * (0.5 + len(prompt) % 10 / 10))
        if self._is_alone():  # as vLLM does, it gives up a request whose client is gone
            return
        message = {"content": "Rewritten text:\n" + prompt.split("\n\n", 1)[-1]}
        record = {"choices": [{"message": message, "finish_reason": "stop"}]}
        data = json.dumps(record).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        line = f"{hashlib.sha256(prompt.encode()).hexdigest()}\n".encode()
        log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, line)
        os.close(log)

    def _is_alone(self):
        ready, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(ready) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except ConnectionError:
            return True

    def log_message(self, format, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
