"""Ray nodes for tests: each is a `ray start` of its own, with folders of its own."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

# One for all tests of a process: Ray's client reads it once.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
RAY = str(Path(sys.executable).with_name("ray"))


class Node:
    """A node: `ray start` and all that it starts."""

    def __init__(self, variables, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="node-")  # sockets need a short path
        self.log = Path(self.folder.name, "ray.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [RAY, "start", "--block", "--num-cpus=1", "--disable-usage-stats", *arguments],
                cwd=self.folder.name,
                env={**os.environ, **variables, "TMPDIR": self.folder.name},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, text):
        """Wait until the node's log has the text."""
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.2)

    def processes(self):
        return [*psutil.Process(self.process.pid).children(recursive=True)]

    def at_work(self):
        """The node's processes that do a shard. Ray's own are called `ray::` and something, too."""
        found = []
        for process in self.processes():
            try:
                name = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if name.startswith("ray::run_task"):
                found.append(process)
        return found

    def kill_at_work(self):
        """Kill the node while it does a shard. False, and no kill, if it does none.

        The workers are stopped before their names are read again. Without that a shard may end
        between the look and the kill, and the kill would lose nothing.
        """
        stopped = self.at_work()
        for process in stopped:
            process.suspend()
        if self.at_work():
            self.kill()
            return True
        for process in stopped:
            process.resume()
        return False

    def kill(self):
        """Kill all processes of the node. They are stopped first: a stopped one starts no other."""
        if self.process.poll() is not None:
            return
        stopped: set[psutil.Process] = set()
        while new := {psutil.Process(self.process.pid), *self.processes()} - stopped:
            _send(new, signal.SIGSTOP)
            stopped |= new
        _send(stopped, signal.SIGKILL)
        self.process.wait()


def _send(processes, number):
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
