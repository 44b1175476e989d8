"""Ray nodes for tests: each is a `ray start` of its own, with folders of its own."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

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

    def works(self):
        """Whether a task runs on the node."""
        names = []
        for process in self.processes():
            try:
                names.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return any(name.startswith("ray::") and "IDLE" not in name for name in names)

    def kill(self):
        if self.process.poll() is not None:
            return
        for process in [*self.processes(), psutil.Process(self.process.pid)]:
            try:
                process.kill()  # SIGKILL
            except psutil.NoSuchProcess:
                continue
        self.process.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
